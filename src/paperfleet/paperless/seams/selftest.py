"""paperless-ngx's own helpers, tried on an empty storage before the first document is touched.

A name that was replaced in vain (because another module kept the original, or a helper changed)
shows here: a file that the storage does not get, or does not lose. What passes is a version of
paperless-ngx that may be used, so each seam is tried by an effect, on a document and on a local
file, and each way in which paperless-ngx touches documents: save, open, move, delete, glob, stat,
programs, archives. Nothing of it stays anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pikepdf
from django.db import transaction
from django.utils.connection import ConnectionDoesNotExist

from paperfleet.errors import ConfigurationError
from paperfleet.paperless.documents import active, medialock, transactions
from paperfleet.paperless.documents.mounts import Mount
from paperfleet.paperless.documents.paths import StoragePath
from paperfleet.paperless.seams import modelfiles
from paperfleet.paperless.seams import table as seams
from paperfleet.paperless.seams.probes import Asked, MemoryProbe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONTENT = b"%PDF-1.7 self-test"
_LONG_AGO = 1_000_000_000
"""A time in seconds that no file of today has."""


def run(settings: Any) -> None:  # noqa: ANN401  # Django's
    """Raise ``ConfigurationError`` that names what does not reach the storage; takes some ms."""
    root = f"{settings.ORIGINALS_DIR}/.paperfleet-selftest-{uuid.uuid4().hex}"
    memory = MemoryProbe()
    active.mounts.add_first(Mount(root, "selftest", lambda: memory))
    try:
        with tempfile.TemporaryDirectory(prefix="paperfleet-") as scratch, memory:
            trial = _Trial(Path(root), Path(scratch), memory)
            with active.scratch.elsewhere(Path(scratch) / "copies"):
                for step in trial.steps():
                    _try(step)
    except ConfigurationError:
        raise
    except Exception as error:
        raise _failed("start", error) from error
    finally:
        active.mounts.remove(root)


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception as error:  # whatever a changed name does: it must not be used
        raise _failed(step.__name__, error) from error


def _failed(what: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the self-test of {what!r} failed: {type(error).__name__}: {error}",
        hint="This version of paperless-ngx is not supported yet. Nothing was touched",
    )


def _require(held: object, what: str) -> None:
    if not held:
        raise AssertionError(what)


class _Trial:
    def __init__(self, root: Path, scratch: Path, memory: MemoryProbe) -> None:
        self._root, self._scratch, self._memory = root, scratch, memory

    def steps(self) -> tuple[Callable[[], None], ...]:
        """Return what is tried, in order: each leaves what the next one needs."""
        return (
            *(self.paths, self.helpers, self.moves, self.opening, self.looking, self.copying),
            *(self.programs, self.archives, self.pdfs, self.model_files, self.net),
            *(self.documents, self.folder_checks),
            *(self.local_files, self.rollback, self.trash, self.checksums, self.locks),
            self.search,
        )

    def _stored(self) -> set[str]:
        return {name.removeprefix("selftest/") for name in self._memory.list_files()}

    def _local(self, content: bytes = _CONTENT) -> Path:
        path = self._scratch / f"{uuid.uuid4().hex}.pdf"
        path.write_bytes(content)
        os.utime(path, (_LONG_AGO, _LONG_AGO))
        return path

    def paths(self) -> None:
        """See paths that are made or derived lead to the storage."""
        text = str(self._root)
        for path in (Path(text), Path(text) / "a", Path(Path(text)), Path(text).resolve()):
            _require(isinstance(path, StoragePath), "a path leads to the local disk")
        _require(not isinstance(Path(self._scratch, "a"), StoragePath), "a local path does not")

    def helpers(self) -> None:
        """Try the helpers of the consumer, the importer and the sanity checker."""
        handling = importlib.import_module("documents.file_handling")
        utils = importlib.import_module("documents.utils")
        target = self._root / "folder" / "a.pdf"
        handling.create_source_path_directory(target)
        utils.copy_file_with_basic_stats(self._local(), target)
        _require(self._stored() == {"folder/a.pdf"}, "a copy does not reach the storage")
        _require(target.is_file() and target.read_bytes() == _CONTENT, "it reads something else")
        back = self._scratch / "back.pdf"
        utils.copy_file_with_basic_stats(target, back)
        _require(back.read_bytes() == _CONTENT, "a copy does not come back")

    def moves(self) -> None:
        """See renames happen in the storage, and empty folders be no trouble."""
        handlers = importlib.import_module("documents.signals.handlers")
        handling = importlib.import_module("documents.file_handling")
        old, new = self._root / "folder" / "a.pdf", self._root / "b.pdf"
        with self._free("a rename"):
            handlers.shutil.move(old, new)
            handlers.delete_empty_directories(old.parent, root=self._root)
            handling.delete_empty_directories(old.parent, root=self._root)
        _require(self._stored() == {"b.pdf"}, "a rename does not reach the storage")
        shutil.move(self._local(), self._root / "in.pdf")
        shutil.move(self._root / "in.pdf", self._scratch / "out.pdf")
        _require((self._scratch / "out.pdf").read_bytes() == _CONTENT, "a move does not come back")
        _require(self._stored() == {"b.pdf"}, "a move leaves something behind")

    def opening(self) -> None:
        """Open a document by its text, and get the local copy that a program would get."""
        path = self._root / "b.pdf"
        with open(str(path), "rb") as stream:  # noqa: PTH123  # just this is tried
            _require(stream.read() == _CONTENT, "open() reads something else")
        copy = os.fspath(path)
        _require(not copy.startswith(str(self._root)), "a program would get no local copy")
        for target in (self._root / "new.txt", f"{self._root}/new.txt"):
            with open(target, "w", encoding="utf-8") as text:  # noqa: PTH123  # as above
                text.write("é")
            _require((self._root / "new.txt").read_bytes() == "é".encode(), "open() saves nothing")
        (self._root / "new.txt").unlink()

    def looking(self) -> None:
        """Find documents as the sanity checker and the exporter do, and look at them."""
        path = self._root / "b.pdf"
        for found in (self._root.glob("**/*"), self._root.rglob("*.pdf"), self._root.iterdir()):
            _require(list(found) == [path], "a document is not found in its folder")
        seen = path.stat()
        _require(seen.st_size == len(_CONTENT), "a document has another size")
        _require(stat.S_ISREG(seen.st_mode) and path.exists(), "a document is no file")
        _require(not (self._root / "none.pdf").exists(), "a document is there that is not")

    def copying(self) -> None:
        """Copy with all that ``shutil`` has for it; nothing that is replaced is fetched."""
        utils = importlib.import_module("documents.utils")
        local, target = self._local(), self._root / f"{uuid.uuid4().hex}.pdf"
        with self._free("replacing a document"):
            for copy in (shutil.copyfile, shutil.copy, shutil.copy2):
                copy(local, target)
            shutil.copymode(local, target)
            utils.utime(target, ns=(0, 0))
        shutil.copystat(target, self._scratch / "back.pdf")
        kept = (self._scratch / "back.pdf").stat().st_mtime
        _require(kept == _LONG_AGO, "a copy loses the document's time")
        target.unlink()

    def programs(self) -> None:
        """See a program read a document whose path is a text, in its arguments or variables."""
        path = str(self._root / "b.pdf")
        command = ["sh", "-c", 'cat "$1" "$FILE"', "sh", path]
        done = subprocess.run(  # noqa: S603  # a path of ours; found as paperless-ngx finds its programs
            command, capture_output=True, check=False, env={**os.environ, "FILE": path}
        )
        _require(done.stdout == _CONTENT * 2, "a program gets no local copy")

    def archives(self) -> None:
        """Put a document into a ZIP file, as a bulk download does."""
        archive = self._scratch / "all.zip"
        with zipfile.ZipFile(archive, "w") as made:
            made.write(self._root / "b.pdf", arcname="b.pdf")
        with zipfile.ZipFile(archive) as made:
            _require(made.read("b.pdf") == _CONTENT, "an archive has something else")

    def pdfs(self) -> None:
        """Save a PDF in place, as rotating does."""
        path, local = self._root / "pdf.pdf", self._scratch / "pdf.pdf"
        with pikepdf.new() as made:
            made.save(path)
            made.save(local)
        with pikepdf.open(path, allow_overwriting_input=True) as opened:
            opened.save()
        _require(path.stat().st_size, "a PDF that is saved in place does not reach the storage")
        _require(local.stat().st_size, "a local PDF is not saved")
        path.unlink()

    def model_files(self) -> None:
        """Save, read and delete a file of a model, such as the logo; the same on the local disk."""
        for location in (self._root, self._scratch):
            for name in modelfiles.tried(location):
                is_stored = name in self._stored()
                _require(is_stored == (location == self._root), "a logo is saved elsewhere")

    def folder_checks(self) -> None:
        """See paperless-ngx try to write into its local folders, and into no storage."""
        checks = importlib.import_module("paperless.checks")
        with self._free("a check of a folder"):
            _require(checks.path_check("", self._root) == [], "a folder of a storage is refused")
        found = checks.path_check("", self._scratch / "missing")
        _require(len(found) == 1, "a local folder that is missing is passed over")

    def net(self) -> None:
        """See what goes past all seams be refused instead of written to the local disk."""
        past, copy = f"{self._root}/past.pdf", os.fspath(self._root / "b.pdf")
        local = str(self._local())
        for what in (
            lambda: os.open(past, os.O_WRONLY | os.O_CREAT),
            lambda: os.open(copy, os.O_WRONLY),
            lambda: os.rename(local, past),  # noqa: PTH104  # what a library would do
            lambda: os.remove(past),  # noqa: PTH107
        ):
            code = 0
            try:
                what()
            except OSError as error:
                code = error.errno or 0
            _require(code == errno.EROFS, "the net below the seams lets something through")

    def documents(self) -> None:
        """See a document's paths lead to the storage, and deleting reach it."""
        models = importlib.import_module("documents.models")
        document = models.Document(pk=1, filename="a.pdf", archive_filename="a.pdf")
        for path in (document.source_path, document.archive_path):
            _require(active.place_of(path), f"{path} leads to the local disk")
            _require(isinstance(path, StoragePath), f"{path} is a path of the local disk")
        shutil.copy(self._root / "b.pdf", self._root / "c.pdf")
        (self._root / "c.pdf").unlink()
        (self._root / "b.pdf").unlink()
        _require(not self._stored(), "deleting does not reach the storage")

    def local_files(self) -> None:
        """See that local files are worked on as ever."""
        utils = importlib.import_module("documents.utils")
        local, target = self._local(), self._local(b"")
        for copy in (shutil.copyfile, shutil.copy, shutil.copy2):
            target.write_bytes(b"")
            copy(local, target)
            _require(target.read_bytes() == _CONTENT, "a local file is not copied")
        local.chmod(0o640)
        os.utime(local, (1, 1))
        shutil.copymode(local, target)
        _require(target.stat().st_mode & 0o777 == 0o640, "a local file gets no rights")
        shutil.copystat(local, target)
        _require(target.stat().st_mtime == 1, "a local file gets no time")
        utils.utime(target, ns=(2, 2))
        _require(target.stat().st_mtime_ns == 2, "a local file does not get its time")
        shutil.move(target, self._scratch / "moved.pdf")
        _require((self._scratch / "moved.pdf").is_file(), "a local file is not moved")
        for module in _EMPTYING:
            folder = self._scratch / "empty" / "a"
            folder.mkdir(parents=True)
            importlib.import_module(module).delete_empty_directories(
                folder, root=self._scratch / "empty"
            )
            _require(not folder.exists(), "an empty local folder stays")

    def rollback(self) -> None:
        """See what is undone when the database has dropped a transaction; asks no database."""
        undone: list[bool] = []
        ended = False
        with transactions.dropped("the self-test", lambda: undone.append(True)):
            block = transaction.Atomic("paperfleet-selftest", savepoint=False, durable=False)
            try:
                block.__exit__(None, None, None)
            except ConnectionDoesNotExist:  # Django's own end was asked
                ended = True
        _require(undone, "what a rolled back transaction wrote would stay")
        _require(ended, "transactions would not end")

    def trash(self) -> None:
        """See deletes be watched while the trash is emptied; it is given nothing to delete."""
        asked = Asked()
        with contextlib.suppress(InterruptedError):
            importlib.import_module("documents.tasks").empty_trash(asked)
        _require(asked.watched, "the trash would not say what it could not delete")

    def checksums(self) -> None:
        """See a damaged document keep its checksum where paperless-ngx 3 computes new ones."""
        try:
            sha256 = vars(importlib.import_module(seams.SHA256_MIGRATION))["_sha256"]
        except ModuleNotFoundError:  # paperless-ngx 2 has no such migration
            return
        digest = hashlib.sha256(_CONTENT).hexdigest()
        _require(sha256(self._local()) == digest, "a checksum is another")
        damaged = self._root / "damaged.pdf"
        damaged.write_bytes(_CONTENT)
        _require(sha256(damaged) == digest, "the checksum of a document is another")
        self._memory.damaged["selftest/damaged.pdf"] = "of the row"
        _require(sha256(damaged) == "of the row", "a damaged document gets a checksum")
        damaged.unlink()

    def locks(self) -> None:
        """See nothing take the media lock past the lease, and other locks be as ever."""
        _require(seams.reaches_commands(), "commands would load without their seams")
        for module in _COMMANDS:
            if module not in sys.modules:
                make = seams.awaited(module)
                if make is None:
                    raise AssertionError(f"{module} would have its own lock")
                self._locks(make(filelock.FileLock), module)
        for module in (*_LOCKING, *(name for name in _COMMANDS if name in sys.modules)):
            self._locks(importlib.import_module(module).FileLock, module)

    def _locks(self, lock: Any, module: str) -> None:  # noqa: ANN401  # a class or what stands in for it
        settings = importlib.import_module("django.conf").settings
        made = lock(settings.MEDIA_LOCK)
        _require(isinstance(made, medialock.MediaLock), f"{module} has its own lock")
        other = self._scratch / "other.lock"
        with lock(other) as taken:
            _require(taken.is_locked, f"{module} has no other locks")

    def search(self) -> None:
        """See paperless-ngx's own functions write into the stream, in a fleet, and no index."""
        if seams.feed_search():
            from paperfleet.paperless.search import writers  # noqa: PLC0415  # in a fleet alone

            fault = writers.fault()
            _require(not fault, fault)

    @contextlib.contextmanager
    def _free(self, what: str) -> Iterator[None]:
        before = self._memory.costs
        yield
        _require(self._memory.costs == before, f"{what} fetches or lists documents")


_EMPTYING = ("documents.file_handling", "documents.signals.handlers")
_LOCKING = tuple(
    f"documents.{module}" for module in ("consumer", "tasks", "mail", "signals.handlers")
)
_COMMANDS = tuple(
    f"documents.management.commands.{name}" for name in ("document_exporter", "document_importer")
)
"""These are imported by few processes; their seams are installed with them."""
