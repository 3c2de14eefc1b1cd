"""Every row of the table of seams: it works, its name is missed, its absence is noticed."""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pikepdf
import pytest
from django.conf import settings
from django.core import management
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import transaction
from tests.paperless.inside.stores import memory, store

from paperfleet.errors import ConfigurationError
from paperfleet.paperless.activation import documents
from paperfleet.paperless.documents import active, net, undeleted
from paperfleet.paperless.documents.medialock import MediaLock
from paperfleet.paperless.documents.paths import StoragePath
from paperfleet.paperless.seams import selftest
from paperfleet.paperless.seams import table as seams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

LONG_AGO = 1_000_000_000


class Ground:
    """What a check works on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.originals = Path(settings.ORIGINALS_DIR)
        self.stored: MutableMapping[str, bytes] = memory.files

    def local(self, content: bytes = b"local") -> Path:
        path = self.folder / f"{uuid.uuid4().hex}.pdf"
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    def document(self, name: str = "a.pdf", content: bytes = b"document") -> Path:
        path = self.originals / name
        path.write_bytes(content)
        assert self.stored[f"originals/{name}"] == content
        return path


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


def path_new(g: Ground) -> None:
    assert type(Path(f"{g.originals}/a/b.pdf")) is StoragePath
    assert type(Path(str(g.folder), "x")) is not StoragePath


def builtin_open(g: Ground) -> None:
    path = g.document()
    with open(str(path), "rb") as stream:  # noqa: PTH123  # just this is tried
        assert stream.read() == b"document"
    with open(f"{g.originals}/new.txt", "w") as stream:  # noqa: PTH123
        stream.write("é")
    assert g.stored["originals/new.txt"] == "é".encode()


def move(g: Ground) -> None:
    old, new = g.document(), g.originals / "folder" / "b.pdf"
    store.calls.clear()
    shutil.move(old, new)
    assert set(documents_in(g)) == {"originals/folder/b.pdf"}
    assert store.count("open", "save", "save_with") == 0, "the bytes went through this machine"
    shutil.move(str(g.local(b"in")), str(g.originals / "in.pdf"))
    shutil.move(g.originals / "in.pdf", g.folder / "out.pdf")
    assert (g.folder / "out.pdf").read_bytes() == b"in"
    assert set(documents_in(g)) == {"originals/folder/b.pdf"}


def documents_in(g: Ground) -> list[str]:
    return [name for name in g.stored if name != "paperfleet.json"]


def copies(function: Callable[[Any, Any], Any]) -> Callable[[Ground], None]:
    def check(g: Ground) -> None:
        target = g.document()
        store.calls.clear()
        function(g.local(b"newer"), target)
        assert g.stored["originals/a.pdf"] == b"newer"
        assert store.count("open") == 0, "what was replaced was fetched"
        function(str(target), g.folder / "back.pdf")
        assert (g.folder / "back.pdf").read_bytes() == b"newer"

    return check


def copy2(g: Ground) -> None:
    copies(shutil.copy2)(g)
    modified = (g.originals / "a.pdf").stat().st_mtime_ns
    assert (g.folder / "back.pdf").stat().st_mtime_ns == modified


def copymode(g: Ground) -> None:
    target = g.document()
    shutil.copymode(g.local(), target)
    assert os.stat(os.fspath(target)).st_mode & 0o777 == 0o444  # noqa: PTH116


def copystat(g: Ground) -> None:
    path = g.originals / "a.pdf"
    shutil.copyfile(g.local(), path)
    back = g.folder / "back.pdf"
    back.write_bytes(b"x")
    shutil.copystat(path, back)
    assert back.stat().st_mtime == LONG_AGO
    shutil.copystat(g.local(), path)


def popen(g: Ground) -> None:
    path = g.document("ä b.pdf")
    assert output(["/bin/cat", f"{path}"]) == "document"
    pages = output(["/bin/echo", f"pdf:{path}[0]"])
    assert pages.startswith(f"pdf:{active.scratch.copies.folder}/")
    assert pages.endswith("/ä b.pdf[0]\n")
    environment = {**os.environ, "DOCUMENT": str(path)}
    assert output(["/bin/sh", "-c", 'cat "$DOCUMENT"'], environment) == "document"


def output(command: list[str], environment: dict[str, str] | None = None) -> str:
    return subprocess.run(
        command, env=environment, capture_output=True, check=True, text=True
    ).stdout


def utime(g: Ground) -> None:
    module = importlib.import_module("documents.utils")
    path, local = g.document(), g.local()
    module.utime(path, ns=(1, 2))
    module.utime(local, ns=(1, 2))
    assert local.stat().st_mtime_ns == 2
    module.copy_file_with_basic_stats(path, g.folder / "copy.pdf")
    module.copy_file_with_basic_stats(local, path)


def empty_directories(module: str) -> Callable[[Ground], None]:
    def check(g: Ground) -> None:
        function = importlib.import_module(module).delete_empty_directories
        store.calls.clear()
        function(g.originals / "a" / "b", root=g.originals)
        assert store.calls == [], "a bucket was asked"
        folder = g.folder / "root" / "a" / "b"
        folder.mkdir(parents=True)
        function(folder, root=g.folder / "root")
        assert list((g.folder / "root").iterdir()) == []

    return check


def atomic_exit(g: Ground) -> None:
    with transaction.atomic():
        g.document()
        transaction.set_rollback(True)
    assert documents_in(g) == []


def pdf_save(g: Ground) -> None:
    path = g.originals / "a.pdf"
    with pikepdf.new() as made:
        made.add_blank_page()
        made.save(path)
    before = g.stored["originals/a.pdf"]
    with pikepdf.open(path, allow_overwriting_input=True) as opened:
        opened.pages[0].rotate(90, relative=True)
        opened.save()
    assert g.stored["originals/a.pdf"] != before
    with pikepdf.open(str(path)) as rotated:
        assert rotated.pages[0].obj["/Rotate"] == 90
        rotated.save(g.folder / "local.pdf")
    assert documents_in(g) == ["originals/a.pdf"]


def empty_trash(_: Ground) -> None:
    seen = []

    class Numbers(list[int]):
        def __iter__(self) -> Iterator[int]:
            seen.append(undeleted.is_watched())
            raise InterruptedError

    with pytest.raises(InterruptedError):
        importlib.import_module("documents.tasks").empty_trash(Numbers())
    assert seen == [True]


def logo_path(g: Ground) -> None:
    storage = FileSystemStorage(location=str(g.originals))
    name = storage.save("x.svg", ContentFile(b"<svg/>"))
    path = storage.path(name)
    assert os.path.isfile(path)  # noqa: PTH113  # what libmagic sees
    assert output(["/bin/cat", path]) == "<svg/>"
    assert storage.size(name) == 6
    local = FileSystemStorage(location=str(g.folder))
    assert local.path("a/b.svg") == f"{g.folder}/a/b.svg"


def logo_save(g: Ground) -> None:
    storage = FileSystemStorage(location=str(g.originals))
    names = [storage.save("logo/x.svg", ContentFile(text)) for text in (b"one", "två")]
    assert [g.stored[f"originals/{name}"] for name in names] == [b"one", "två".encode()]
    assert names[0] == "logo/x.svg" != names[1]
    with pytest.raises(SuspiciousFileOperation):
        storage.save("../x.svg", ContentFile(b"out"))
    local = FileSystemStorage(location=str(g.folder))
    assert (g.folder / local.save("x.svg", ContentFile(b"local"))).read_bytes() == b"local"


def logo_delete(g: Ground) -> None:
    storage = FileSystemStorage(location=str(g.originals))
    g.document("x.svg")
    for _ in range(2):
        storage.delete("x.svg")
        assert documents_in(g) == []
    local = FileSystemStorage(location=str(g.folder))
    local.delete(g.local().name)
    assert list(g.folder.glob("*.pdf")) == []
    with pytest.raises(ValueError, match="must be given"):
        storage.delete("")


def path_check(g: Ground) -> None:
    check = importlib.import_module("paperless.checks").path_check
    store.calls.clear()
    assert check("PAPERLESS_EMPTY_TRASH_DIR", g.originals) == []
    assert store.calls == []
    assert check("PAPERLESS_DATA_DIR", g.folder) == []
    assert len(check("PAPERLESS_DATA_DIR", g.folder / "missing")) == 1
    assert check("PAPERLESS_EMPTY_TRASH_DIR", None) == []


MIGRATION = "documents.migrations.0016_sha256_checksums"


def sha256_of_all(g: Ground) -> None:
    module = importlib.import_module(MIGRATION)
    digest = hashlib.sha256(b"document").hexdigest()
    assert module._sha256(g.document()) == digest
    assert module._sha256(g.local(b"document")) == digest
    with pytest.raises(FileNotFoundError):
        module._sha256(g.originals / "none.pdf")


COMMANDS = "documents.management.commands"


def load_command(_: Ground) -> None:
    sys.modules.pop(f"{COMMANDS}.document_exporter", None)
    with unplugged():
        original = management.load_command_class
    with unplugged():
        assert documents.configuration is not None
        seams.install(documents.configuration, VERSION)
        assert management.load_command_class is not original
        assert seams.awaited(f"{COMMANDS}.document_exporter") is not None
        management.load_command_class("documents", "document_exporter")
        loaded = sys.modules[f"{COMMANDS}.document_exporter"]
        assert isinstance(loaded.FileLock(settings.MEDIA_LOCK), MediaLock)


def file_lock(module: str) -> Callable[[Ground], None]:
    def check(g: Ground) -> None:
        if module.startswith(COMMANDS):
            management.load_command_class("documents", module.rpartition(".")[2])
        lock_class = importlib.import_module(module).FileLock
        with lock_class(settings.MEDIA_LOCK) as lock:
            assert isinstance(lock, MediaLock)
            assert lock.is_locked
            g.document()
        assert not Path(settings.MEDIA_LOCK).exists()
        with lock_class(g.folder / "other.lock") as other:
            assert not isinstance(other, MediaLock)
            assert (g.folder / "other.lock").exists()

    return check


CHECKS: dict[str, Callable[[Ground], None]] = {
    "pathlib.Path.__new__": path_new,
    "builtins.open": builtin_open,
    "documents.tasks.empty_trash": empty_trash,
    f"{MIGRATION}._sha256": sha256_of_all,
    "django.core.files.storage.filesystem.FileSystemStorage.path": logo_path,
    "django.core.files.storage.filesystem.FileSystemStorage._save": logo_save,
    "django.core.files.storage.filesystem.FileSystemStorage.delete": logo_delete,
    "paperless.checks.path_check": path_check,
    "shutil.move": move,
    "shutil.copy": copies(shutil.copy),
    "shutil.copy2": copy2,
    "shutil.copyfile": copies(shutil.copyfile),
    "shutil.copymode": copymode,
    "shutil.copystat": copystat,
    "subprocess.Popen.__init__": popen,
    "documents.utils.utime": utime,
    "pikepdf.Pdf.save": pdf_save,
    "django.core.management.load_command_class": load_command,
    "django.db.transaction.Atomic.__exit__": atomic_exit,
    **{
        f"{module}.delete_empty_directories": empty_directories(module)
        for module in ("documents.file_handling", "documents.signals.handlers")
    },
    **{
        f"documents.{module}.FileLock": file_lock(f"documents.{module}")
        for module in (
            "consumer",
            "tasks",
            "mail",
            "signals.handlers",
            "management.commands.document_exporter",
            "management.commands.document_importer",
        )
    },
}


def rows() -> list[seams.Seam]:
    assert documents.configuration is not None
    version = importlib.import_module("paperless.version").__full_version_str__
    return list(seams.applying(documents.configuration, version))


ROWS = rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=[row.label for row in ROWS])


def test_every_row_has_a_check_and_says_why() -> None:
    assert documents.configuration is not None
    every = seams.table(documents.configuration)
    assert {row.label for row in every} == set(CHECKS)
    assert all(row.why for row in every)


@each_row
def test_the_seam_works(row: seams.Seam, ground: Ground) -> None:
    CHECKS[row.label](ground)


@contextmanager
def unplugged() -> Iterator[None]:
    """Take all seams out, and put them back."""
    assert documents.configuration is not None
    seams.uninstall()
    try:
        yield
    finally:
        seams.uninstall()
        seams.install(documents.configuration, VERSION)


VERSION = importlib.import_module("paperless.version").__full_version_str__


def owner_of(row: seams.Seam) -> Any:  # noqa: ANN401  # a module or a class
    return seams._owner(row)


@each_row
def test_a_name_that_is_missing_stops_the_start(row: seams.Seam) -> None:
    assert documents.configuration is not None
    owner = owner_of(row)
    with unplugged():
        original = vars(owner)[row.name]
        refusals: list[ConfigurationError] = []
        delattr(owner, row.name)
        try:  # not pytest.raises: without the name it may not work
            seams.install(documents.configuration, VERSION)
        except ConfigurationError as error:
            refusals.append(error)
        finally:
            seams.uninstall()
            setattr(owner, row.name, original)
    assert [row.label in refusal.message for refusal in refusals] == [True]
    assert "it is not there" in refusals[0].message
    assert "Nothing was touched" in refusals[0].hint


@each_row
def test_the_self_test_notices_a_row_that_is_left_out(
    row: seams.Seam, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert documents.configuration is not None
    left = tuple(one for one in ROWS if one is not row)
    with unplugged():
        monkeypatch.setattr(seams, "table", lambda _: left)
        seams.install(documents.configuration, VERSION)
        try:
            with pytest.raises(ConfigurationError, match="the self-test of") as caught:
                selftest.run(settings)
        finally:
            monkeypatch.undo()
    assert "Nothing was touched" in caught.value.hint


class Inert:
    """What stands in a place and does nothing."""

    def __call__(self, *_: object, **__: object) -> None:
        return None


def inert(original: Any) -> Any:  # noqa: ANN401  # of any function
    if isinstance(original, type):
        return Inert()
    return functools.wraps(original)(lambda *_, **__: None)


def through(original: Any) -> Any:  # noqa: ANN401  # of any function
    if isinstance(original, type):
        return original

    @functools.wraps(original)
    def new(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # of any function
        return original(*given, **named)

    return new


def local_refused(replacement: Any, original: Any) -> Any:  # noqa: ANN401  # of any function
    """Do the new thing with documents, and nothing with local files."""

    @functools.wraps(original)
    def new(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # of any function
        if any(active.place_of(one) for one in (*given, *named.values())):
            return replacement(*given, **named)
        return None

    return new


MUTANTS: dict[str, Callable[[seams.Seam], Callable[[Any], Any]]] = {
    "does nothing": lambda _: inert,
    "lets everything through": lambda _: through,
    "forgets local files": lambda row: lambda original: local_refused(row.make(original), original),
}
OF_PATHS = {"shutil", "documents.utils", "documents.file_handling", "documents.signals.handlers"}


@each_row
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_self_test_notices_a_row_that_is_broken(
    row: seams.Seam, mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert documents.configuration is not None
    if mutant == "forgets local files" and (row.owner not in OF_PATHS or row.name == "FileLock"):
        return
    broken = row._replace(make=MUTANTS[mutant](row))
    rows = tuple(broken if one is row else one for one in ROWS)
    refusals: list[ConfigurationError] = []
    with unplugged():
        monkeypatch.setattr(seams, "table", lambda _: rows)
        seams.install(documents.configuration, VERSION)
        try:  # not pytest.raises: with a broken name it may not work
            selftest.run(settings)
        except ConfigurationError as error:
            refusals.append(error)
        finally:
            seams.uninstall()
            monkeypatch.undo()
    assert [refusal.message.startswith("the self-test of") for refusal in refusals] == [True]


@pytest.mark.parametrize("function", ["_refuse_mount", "_refuse_copy"])
def test_the_self_test_notices_a_net_with_a_hole(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(net, function, lambda *_: None)
    with pytest.raises(ConfigurationError, match="the self-test of 'net' failed"):
        selftest.run(settings)


def everything_in(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*"))


def test_the_self_test_passes_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders = (tmp_path, Path(settings.SCRATCH_DIR), Path(settings.DATA_DIR))
    media = Path(settings.MEDIA_LOCK).parent
    before, local = dict(memory.files), everything_in(*folders)
    selftest.run(settings)
    assert dict(memory.files) == before
    assert everything_in(*folders) == local
    assert not [path for path in os.listdir(media) if "selftest" in path]  # noqa: PTH208  # past the mounts
    assert not [mount for mount in active.mounts if "selftest" in mount.root]
    assert active.scratch.copies.folder.parent == active.scratch.drafts.parent


@each_row
def test_a_name_that_somebody_else_replaces_is_reported(
    row: seams.Seam, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(seams.faults()) == []
    original = vars(owner_of(row))[row.name]
    called = getattr(original, "__func__", original)

    def other(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # of any function
        return called(*arguments, **keywords)

    if isinstance(original, staticmethod):
        other = staticmethod(other)
    monkeypatch.setattr(owner_of(row), row.name, other)
    found = list(seams.faults())
    monkeypatch.undo()
    assert found == [f"{row.label} was replaced by something else after the start"]


def test_a_module_that_is_missing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert documents.configuration is not None
    gone = ROWS[-1]._replace(owner="documents.no_such_module", late=False)
    with unplugged():
        monkeypatch.setattr(seams, "table", lambda _: (*ROWS, gone))
        with pytest.raises(ConfigurationError, match="no_such_module cannot be imported"):
            seams.install(documents.configuration, VERSION)
        monkeypatch.undo()


def test_installing_twice_replaces_once() -> None:
    assert documents.configuration is not None
    before = {row.label: vars(owner_of(row))[row.name] for row in ROWS}
    seams.install(documents.configuration, VERSION)
    assert {row.label: vars(owner_of(row))[row.name] for row in ROWS} == before


def test_the_net_refuses_what_goes_past_the_seams(ground: Ground) -> None:
    with pytest.raises(OSError, match="this folder is in a document storage") as caught:
        os.open(f"{ground.originals}/past.pdf", os.O_WRONLY | os.O_CREAT)
    assert not isinstance(caught.value, PermissionError)  # paperless-ngx passes over those
    path = ground.document()
    with pytest.raises(OSError, match="what is written there would be lost"):
        os.open(os.fspath(path), os.O_WRONLY)
    assert documents_in(ground) == ["originals/a.pdf"]
