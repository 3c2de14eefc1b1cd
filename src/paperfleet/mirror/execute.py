"""Carry out one operation on the target and say what the journal shall know. No journal here."""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from paperfleet.errors import (
    AlreadyExistsError,
    ArrivedDamagedError,
    IntegrityError,
    NotFoundError,
    Scope,
    StorageError,
)
from paperfleet.mirror.events import Action, Done
from paperfleet.mirror.planning.classify import matches, row_of
from paperfleet.mirror.proof import Proof
from paperfleet.mirror.renames import Renames
from paperfleet.model import (
    BatchFile,
    BegunSave,
    Delete,
    KnownFile,
    Move,
    MoveFolder,
    Put,
    Upload,
)
from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paperfleet.mirror.jobs import FolderStep
    from paperfleet.model import FileStat, Operation, Precondition
    from paperfleet.storage.full import FullStorage

    _Save = Callable[[str, Upload, Precondition], FileStat | BegunSave]

_UNSEEN_SECONDS = 0.5
"""After which what was sent is looked at: what others write there meanwhile is taken for ours."""


class SourceError(StorageError):
    """The source could not be read; nothing is wrong with the target."""


class UntriedError(StorageError):
    """Nothing was asked of the target for this file: the row that it was in ended before it."""

    def __init__(self, name: str) -> None:
        super().__init__("it was not tried yet", operation="save", name=name)


class OperationResult(NamedTuple):
    """What the journal shall know, and what shall be told, once an operation took effect."""

    rows: tuple[KnownFile, ...] = ()
    forgets: tuple[str, ...] = ()
    events: tuple[Done, ...] = ()

    @property
    def names(self) -> set[str]:
        """The source names of which the target's state is known by this."""
        return {row.name for row in self.rows} | set(self.forgets)


class _Sent(NamedTuple):
    """A file that the target took; ``wanted``: it is to be read back."""

    put: Put
    stored: FileStat | BegunSave
    events: tuple[Done, ...]
    wanted: bool


class Executor:
    """Carries out operations; safe to use from many threads."""

    def __init__(
        self, source: FullStorage, target: FullStorage, proof: Proof | None = None
    ) -> None:
        self._source = source
        self._target = target
        self._proof = proof or Proof("sample")
        self._renames = Renames(target)

    def run(self, operation: Operation, folder_etag: str | None = None) -> OperationResult:
        """Carry out one operation; raise a ``StorageError`` when it did not (surely) take effect.

        ``folder_etag`` is the state of a folder in which everything was seen to be the mirror's.
        """
        if isinstance(operation, Put):
            return self._put(operation)
        if isinstance(operation, Move):
            try:
                return self._move(operation)
            except AlreadyExistsError as error:
                raise self._in_the_way(operation.target_name, error) from error
        if isinstance(operation, MoveFolder):
            return self._move_folder(operation, folder_etag)
        return self._delete(operation)

    def take(self, step: FolderStep) -> None:
        """Make a folder, or remove it if nothing is in it."""
        change = self._target.make_folder if step.action == "make" else self._target.remove_folder
        change(step.folder)

    def _put(self, put: Put) -> OperationResult:
        sent = self._send(put, self._target.save_with)
        return self._proven(sent, cast("FileStat", sent.stored))

    def _send(self, put: Put, save: _Save) -> _Sent:
        events = self._set_aside(put)
        source = put.source
        wanted = self._proof.wanted()
        upload = Upload(
            lambda: self._open(source), source.size, source.modified_ns, source.sha256, wanted
        )
        try:
            return _Sent(put, save(put.target_name, upload, put.expect), events, wanted)
        except ArrivedDamagedError:
            self._proof.damaged()
            raise
        except AlreadyExistsError as error:
            raise self._in_the_way(put.target_name, error) from error

    def _proven(self, sent: _Sent, stored: FileStat) -> OperationResult:
        self._check_arrival(sent.put, stored)
        self._proof.require(self._target, stored, sent.put.source.sha256, wanted=sent.wanted)
        return _put_result(sent.put, stored, sent.events)

    def _in_the_way(self, name: str, error: AlreadyExistsError) -> AlreadyExistsError:
        """Return what stands under a name that is taken; a file is looked at and kept anyway."""
        hint = "Rename or remove it there, or rename the document: what is not ours is not touched"
        with contextlib.suppress(StorageError):
            files = (up for up in parents(name) if self._target.find(up))
            if (file := next(files, None)) is not None:
                reason = f"the file {file!r} at the target stands where a folder has to be"
            elif self._target.find(name) is None:
                reason = f"a folder {name!r} at the target stands where this file belongs"
            else:
                return error
            label = self._target.label
            return AlreadyExistsError(reason, operation="save", name=name, storage=label, hint=hint)
        return error

    def _set_aside(self, put: Put) -> tuple[Done, ...]:
        if put.aside is None:
            return ()
        self._target.move(put.target_name, put.aside)
        return (Done("set aside", put.target_name, put.aside),)

    def _check_arrival(self, put: Put, stored: FileStat) -> None:
        if stored.size != put.source.size or stored.sha256 not in {None, put.source.sha256}:
            raise IntegrityError(
                f"the target has {stored.size} bytes of other content",
                operation="save",
                name=put.target_name,
                storage=self._target.label,
            )

    def _open(self, source: FileStat) -> IO[bytes]:
        try:
            stream = self._source.open(source.name)
        except StorageError as error:
            raise SourceError(error.reason, operation="read", name=source.name) from error
        return cast("IO[bytes]", _SourceStream(stream, source.name))

    def put_each(
        self, puts: Sequence[Put], go_on: Callable[[], bool]
    ) -> list[OperationResult | Exception]:
        """Send files one after the other while ``go_on`` says so; one answer for each.

        Where the target can, what arrived of several is seen at once, at the end, or sooner where
        sending takes long. After an error of the target as a whole the rest are not tried:
        ``UntriedError``.
        """
        answers: list[OperationResult | Exception | _Sent] = []
        since = time.monotonic()
        for put in puts:
            if answers and not go_on():
                break
            answers.append(self._sent_one(put))
            if isinstance(answers[-1], StorageError) and answers[-1].scope is Scope.STORAGE:
                break
            if time.monotonic() - since > _UNSEEN_SECONDS:
                answers = [*self._seen(answers)]
                since = time.monotonic()
        untried = (UntriedError(name=put.target_name) for put in puts[len(answers) :])
        return [*self._seen(answers), *untried]

    def _sent_one(self, put: Put) -> OperationResult | Exception | _Sent:
        try:
            sent = self._send(put, self._target.begin_save)
            if isinstance(sent.stored, BegunSave):
                return sent
            return self._proven(sent, sent.stored)
        except Exception as error:  # noqa: BLE001  # told as a fault, with its file; the rest goes on
            return error

    def _seen(
        self, answers: Sequence[OperationResult | Exception | _Sent]
    ) -> list[OperationResult | Exception]:
        """Return the answers with what is seen of the files that nobody has looked at yet."""
        sent = [one for one in answers if isinstance(one, _Sent)]
        begun = [one.stored for one in sent if isinstance(one.stored, BegunSave)]
        seen = iter(zip(sent, self._target.end_saves(begun) if begun else (), strict=True))
        return [self._arrived(*next(seen)) if isinstance(one, _Sent) else one for one in answers]

    def _arrived(self, sent: _Sent, stored: FileStat | StorageError) -> OperationResult | Exception:
        if isinstance(stored, StorageError):
            return stored
        try:
            return self._proven(sent, stored)
        except Exception as error:  # noqa: BLE001  # told as a fault, with its file; the rest goes on
            return error

    def put_batch(self, puts: Sequence[Put]) -> list[OperationResult | StorageError]:
        """Send small new files with one request; one answer for each."""
        answers: list[OperationResult | StorageError] = []
        readable: list[tuple[Put, bytes]] = []
        for put in puts:
            content = self._content(put)
            if isinstance(content, StorageError):
                answers.append(content)
            else:
                readable.append((put, content))
        files = [BatchFile(p.target_name, content, p.source.modified_ns) for p, content in readable]
        stored = self._target.save_batch(files) if files else []
        sent = iter(zip(readable, stored, strict=True))
        by_name = {
            put.source.name: self._refused(put, one)
            if isinstance(one, StorageError)
            else self._batched(put, one)
            for (put, _), one in sent
        }
        failed = iter(answers)
        return [by_name[p.source.name] if p.source.name in by_name else next(failed) for p in puts]

    def _refused(self, put: Put, error: StorageError) -> StorageError:
        if isinstance(error, AlreadyExistsError):
            return self._in_the_way(put.target_name, error)
        return error

    def _batched(self, put: Put, stored: FileStat) -> OperationResult | StorageError:
        try:
            wanted = self._proof.wanted()
            self._proof.require(self._target, stored, put.source.sha256, wanted=wanted)
        except StorageError as error:
            return error
        return _put_result(put, stored, ())

    def _content(self, put: Put) -> bytes | StorageError:
        try:
            with self._open(put.source) as stream:
                content = stream.read()
        except StorageError as error:
            return error
        if hashlib.sha256(content).hexdigest() == put.source.sha256:
            return content
        return IntegrityError(
            "it changed while it was read", operation="read", name=put.source.name
        )

    def _move(self, move: Move) -> OperationResult:
        row = self._renames.move(move)
        done = Done("moved", move.known.name, move.new_name)
        return OperationResult((row,), (move.known.name,), (done,))

    def _move_folder(self, move: MoveFolder, folder_etag: str | None) -> OperationResult:
        rows = self._renames.move_folder(move, folder_etag)
        done = Done("moved", move.old_name + "/", move.new_name + "/", count=len(rows))
        return OperationResult(rows, tuple(m.known.name for m in move.members), (done,))

    def _delete(self, delete: Delete) -> OperationResult:
        known = delete.known
        try:
            self._target.delete_unchanged(
                known.target_name,
                known.target_etag,
                lambda seen: matches(seen, known),
            )
        except NotFoundError:
            # Somebody may have been faster: then the target is as it should be.
            self._target.require_readable_above(known.target_name)
        return OperationResult((), (known.name,), (Done("deleted", known.name),))


def _put_result(put: Put, stored: FileStat, before: tuple[Done, ...]) -> OperationResult:
    action: Action = put.why
    row = row_of(put.source, stored.name, stored.etag)
    return OperationResult(
        (row,), (), (*before, Done(action, put.source.name, size=put.source.size))
    )


class _SourceStream(io.BufferedIOBase):
    """A source's stream whose read errors are told from the target's."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        super().__init__()
        self._stream, self._name = stream, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._stream.read(-1 if size is None else size)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SourceError(reason, operation="read", name=self._name) from error

    def close(self) -> None:
        self._stream.close()
        super().close()
