"""paperless-ngx's own helpers, tried on an empty storage before the first document is touched.

A name that was replaced in vain (because another module kept the original, or a helper changed)
shows here: a file that the storage does not get, or does not lose.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pikepdf
from django.db import transaction
from django.utils.connection import ConnectionDoesNotExist

from paperfleet.errors import ConfigurationError
from paperfleet.paperless import active, files, seams, transactions
from paperfleet.paperless.mounts import Mount
from paperfleet.paperless.paths import StoragePath
from paperfleet.storage.backends.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CONTENT = b"%PDF-1.7 self-test"
_LONG_AGO = 1_000_000_000
"""A time in seconds that no file of today has."""


class _Probe(MemoryBackend):
    """A storage that counts what costs a real one a transfer or a listing."""

    def __init__(self) -> None:
        super().__init__()
        self.costs = 0

    def open(self, name: str) -> IO[bytes]:
        self.costs += 1
        return super().open(name)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        self.costs += 1
        return super().list_files(prefix)


def run(settings: Any) -> None:  # noqa: ANN401  # Django's
    """Raise ``ConfigurationError`` that names what does not reach the storage; takes some ms."""
    root = f"{settings.ORIGINALS_DIR}/.paperfleet-selftest-{uuid.uuid4().hex}"
    memory = _Probe()
    active.mounts.add_first(Mount(root, "selftest", lambda: memory))
    try:
        with tempfile.TemporaryDirectory(prefix="paperfleet-") as scratch, memory:
            trial = _Trial(Path(root), Path(scratch), memory)
            for step in (
                trial.paths,
                trial.helpers,
                trial.moves,
                trial.opening,
                trial.copying,
                trial.programs,
                trial.pdfs,
                trial.documents,
                trial.rollback,
                trial.trash,
                trial.locks,
            ):
                _try(step)
    finally:
        active.mounts.remove(root)


def _try(step: Callable[[], None]) -> None:
    try:
        step()
    except (AssertionError, OSError, AttributeError, TypeError, ImportError) as error:
        raise ConfigurationError(
            f"the self-test of {step.__name__!r} failed: {type(error).__name__}: {error}",
            hint="This version of paperless-ngx is not supported yet. Nothing was touched",
        ) from error


def _require(held: object, what: str) -> None:
    if not held:
        raise AssertionError(what)


class _Asked(list[int]):
    """Numbers of documents that end the work of whoever asks for them."""

    watched = False

    def __iter__(self) -> Iterator[int]:
        self.watched = files.deletes_are_watched()
        raise InterruptedError


class _Trial:
    def __init__(self, root: Path, scratch: Path, memory: _Probe) -> None:
        self._root, self._scratch, self._memory = root, scratch, memory

    def _stored(self) -> set[str]:
        return {name.removeprefix("selftest/") for name in self._memory.list_files()}

    def paths(self) -> None:
        """See paths that are made or derived lead to the storage."""
        text = str(self._root)
        for path in (Path(text), Path(text) / "a", Path(Path(text)), Path(text).resolve()):
            _require(isinstance(path, StoragePath), "a path leads to the local disk")

    def helpers(self) -> None:
        """Try the helpers of the consumer, the importer and the sanity checker."""
        handling = importlib.import_module("documents.file_handling")
        utils = importlib.import_module("documents.utils")
        local, target = self._scratch / "local.pdf", self._root / "folder" / "a.pdf"
        local.write_bytes(_CONTENT)
        handling.create_source_path_directory(target)
        utils.copy_file_with_basic_stats(local, target)
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

    def opening(self) -> None:
        """Open a document by its text, and get the local copy that a program would get."""
        path = self._root / "b.pdf"
        with open(str(path), "rb") as stream:  # noqa: PTH123  # just this is tried
            _require(stream.read() == _CONTENT, "open() reads something else")
        copy = os.fspath(path)
        _require(not copy.startswith(str(self._root)), "a program would get no local copy")

    def copying(self) -> None:
        """Copy with all that ``shutil`` has for it; nothing that is replaced is fetched."""
        utils = importlib.import_module("documents.utils")
        local, target = self._scratch / "local.pdf", self._root / f"{uuid.uuid4().hex}.pdf"
        os.utime(local, (_LONG_AGO, _LONG_AGO))
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
        """See a program read a document whose path is a text."""
        done = subprocess.run(["cat", str(self._root / "b.pdf")], capture_output=True, check=False)  # noqa: S603, S607  # a path of ours; found as paperless-ngx finds its programs
        _require(done.stdout == _CONTENT, "a program gets no local copy")

    def pdfs(self) -> None:
        """Save a PDF in place, as rotating does."""
        path = self._root / "pdf.pdf"
        with pikepdf.new() as made:
            made.save(path)
        with pikepdf.open(path, allow_overwriting_input=True) as opened:
            opened.save()
        _require(path.stat().st_size, "a PDF that is saved in place does not reach the storage")
        path.unlink()

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

    def rollback(self) -> None:
        """See what is undone when the database has dropped a transaction; asks no database."""
        undone: list[bool] = []
        with transactions.dropped("the self-test", lambda: undone.append(True)):
            block = transaction.Atomic("paperfleet-selftest", savepoint=False, durable=False)
            with contextlib.suppress(ConnectionDoesNotExist):
                block.__exit__(None, None, None)
        _require(undone, "what a rolled back transaction wrote would stay")

    def trash(self) -> None:
        """See deletes be watched while the trash is emptied; it is given nothing to delete."""
        asked = _Asked()
        with contextlib.suppress(InterruptedError):
            importlib.import_module("documents.tasks").empty_trash(asked)
        _require(asked.watched, "the trash would not say what it could not delete")

    def locks(self) -> None:
        """See nothing take the media lock past the lease."""
        settings = importlib.import_module("django.conf").settings
        _require(seams.watches_commands(), "commands would load without their seams")
        for module in _COMMANDS:
            known = module in sys.modules or seams.awaits(module)
            _require(known, f"{module} would have its own lock")
        for module in (*_LOCKING, *(name for name in _COMMANDS if name in sys.modules)):
            made = importlib.import_module(module).FileLock(settings.MEDIA_LOCK)
            _require(type(made).__name__ == "MediaLock", f"{module} has its own lock")

    @contextlib.contextmanager
    def _free(self, what: str) -> Iterator[None]:
        before = self._memory.costs
        yield
        _require(self._memory.costs == before, f"{what} fetches or lists documents")


_LOCKING = tuple(
    f"documents.{module}" for module in ("consumer", "tasks", "mail", "signals.handlers")
)
_COMMANDS = tuple(
    f"documents.management.commands.{name}" for name in ("document_exporter", "document_importer")
)
"""These are imported by few processes; their seams are installed with them."""
