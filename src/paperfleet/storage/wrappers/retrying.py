"""Trying again what may succeed by itself."""

from __future__ import annotations

import itertools
import random
import time
from typing import IO, TYPE_CHECKING, TypeVar

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    IntegrityError,
    MaintenanceError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    ThrottledError,
    UnavailableError,
)
from paperfleet.storage.full import full
from paperfleet.storage.hashing import sha256_of
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paperfleet.model import BegunMove, FileStat, Obstacle, Precondition, Upload
    from paperfleet.storage.protocol import DocumentStorage

_T = TypeVar("_T")

ONE_FILE = 30.0
"""Seconds of patience with a file that a storage fails with while it does well with others."""


def patience_with(error: UnavailableError, patience: float) -> float:
    """Return for how many seconds of ``patience`` an error is worth waiting.

    A failure that the file alone has (such as a name that makes the server fail) is no outage, and
    whoever waits for it keeps others waiting.
    """
    alone = isinstance(error, BusyError) and not error.at_work
    return min(patience, ONE_FILE) if alone else patience


class Retrying(Wrapper):
    """Repeats an operation after a transient error, ``tries`` times in all.

    Between tries it waits ``first_delay`` seconds, doubled each time up to ``longest_delay``, each
    shortened by chance by up to a half; longer when the storage said so (``retry_after``), and not
    at all when it asked for more than ``longest_delay``: then the error is raised.

    ``patience`` says for how many seconds in all an operation goes on when the whole storage does
    not answer (``UnavailableError``), beyond the number of tries: an outage ends by itself. It is
    shorter with a file that the storage alone fails with (``patience_with``). From ``end_requests``
    on nothing is tried again.

    What may have taken effect is looked at before it is repeated: a move, a delete, a conditional
    save. A stream that ``open`` returned is not resumed, content that cannot be rewound is not
    saved again.
    """

    def __init__(
        self,
        inner: DocumentStorage,
        *,
        tries: int = 4,
        first_delay: float = 0.5,
        longest_delay: float = 30.0,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
        patience: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__(inner)
        self._tries = tries
        self._first_delay = first_delay
        self._longest_delay = longest_delay
        self._sleep = sleep
        self._chance = chance
        self._patience = patience
        self._ending = False

    def end_requests(self, within: float) -> None:
        """See ``SupportsEndRequests``; what is ended is not tried again."""
        self._ending = True
        super().end_requests(within)

    def _around(self, operation: str, names: tuple[str, ...], work: Callable[[], _T]) -> _T:  # noqa: ARG002 (what the base calls)
        if operation in {"enter", "exit"}:
            self._ending = False
            return work()
        return self._repeat(work)

    def _repeat(
        self, work: Callable[[], _T], after: Callable[[StorageError], object] | None = None
    ) -> _T:
        """Do the work; after a transient error call ``after``, which may raise to end it."""
        began = time.monotonic()
        for turn in itertools.count():
            try:
                return work()
            except StorageError as error:
                self._wait(turn, error, began)
                if after:
                    after(error)
        raise AssertionError("unreachable")

    def _wait(self, turn: int, error: StorageError, began: float) -> None:
        """Wait before the next try; raise the error if there is to be none."""
        asked = error.retry_after or 0.0
        left = 0.0
        if isinstance(error, UnavailableError):
            left = patience_with(error, self._patience()) - (time.monotonic() - began)
        more = (turn < self._tries - 1 or left > 0) and not self._ending
        if not (error.transient and more) or asked > max(self._longest_delay, left):
            raise error
        delay = min(self._first_delay * 2 ** min(turn, 20), self._longest_delay)
        self._sleep(max(asked, delay * (1 - self._chance() / 2)))

    def save(self, name: str, content: IO[bytes]) -> str:
        """See ``DocumentStorage``; content that cannot be rewound gets one try."""
        if not content.seekable():
            return self._inner.save(name, content)
        start = content.tell()
        return self._repeat(lambda: self._inner.save(name, content), lambda _: content.seek(start))

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveWith``; a condition broken by our own earlier try is no failure."""
        unsure = _Unsure()

        def work() -> FileStat:
            try:
                return self._inner.save_with(name, upload, expect)
            except (AlreadyExistsError, PreconditionFailedError):
                if unsure.errors and (arrived := self._arrived(name, upload)):
                    return arrived
                raise

        return self._repeat(work, unsure.note)

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveInTwo``; looked at once, as what is to be repeated may be in doubt."""
        return self.save_with(name, upload, expect)

    def _arrived(self, name: str, upload: Upload) -> FileStat | None:
        here = full(self)
        found = here.find(name)
        if found is None or found.size != upload.size:
            return None
        same = here.content_sha256(found.name) == sha256_of(upload)
        return found if same else None

    def delete(self, name: str) -> None:
        """See ``DocumentStorage``."""
        self._delete(lambda: self._inner.delete(name))

    def delete_if(self, name: str, etag: str) -> None:
        """See ``SupportsConditionalDelete``."""
        self._delete(lambda: self._inner.delete_if(name, etag))

    def _delete(self, delete: Callable[[], None]) -> None:
        unsure = _Unsure()

        def work() -> None:
            try:
                delete()
            except NotFoundError:
                if not unsure.errors:
                    raise

        self._repeat(work, unsure.note)

    def move(self, old_name: str, new_name: str) -> None:
        """See ``DocumentStorage``."""
        self._move(lambda: self._inner.move(old_name, new_name), old_name, new_name, self.exists)

    def end_move(self, begun: BegunMove) -> None:
        """See ``SupportsMoveInTwo``."""
        old_name, new_name = begun.file.name, begun.new_name
        self._move(lambda: self._inner.end_move(begun), old_name, new_name, self.exists)

    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """See ``SupportsMoveFolder``."""
        self._move(
            lambda: self._inner.move_folder(old_name, new_name, etag),
            old_name,
            new_name,
            self._has_files,
        )

    def _move(
        self, move: Callable[[], None], old: str, new: str, is_there: Callable[[str], bool]
    ) -> None:
        moved = False

        def look(error: StorageError) -> None:
            nonlocal moved
            if not _may_have_happened(error):
                return
            at_old, at_new = is_there(old), is_there(new)
            if at_old == at_new:  # both or none: nobody knows what happened
                raise error
            moved = at_new

        self._repeat(lambda: None if moved else move(), look)

    def _has_files(self, folder: str) -> bool:
        return any(True for _ in self.list_files(folder))

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """See ``DocumentStorage``; goes on after the last name that was listed."""
        last, began = "", time.monotonic()
        for turn in itertools.count():
            try:
                for name in self._inner.list_files(prefix):
                    if name > last:
                        last = name
                        yield name
            except StorageError as error:
                self._wait(turn, error, began)
            else:
                return

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``; tried again as long as nothing was listed."""
        return self._begun(lambda: self._inner.list_stats(prefix))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``; tried again as long as nothing was listed."""
        return self._begun(lambda: self._inner.survey(prefix))

    def _begun(self, listing: Callable[[], Iterable[_T]]) -> Iterator[_T]:
        def first() -> tuple[list[_T], Iterator[_T]]:
            items = iter(listing())
            return [item for _, item in zip(range(1), items, strict=False)], items

        begun, rest = self._repeat(first)
        yield from begun
        yield from rest


class _Unsure:
    """The errors after which an effect may be there."""

    def __init__(self) -> None:
        self.errors: list[StorageError] = []

    def note(self, error: StorageError) -> None:
        """Remember an error unless it says that nothing happened."""
        if _may_have_happened(error):
            self.errors.append(error)


def _may_have_happened(error: StorageError) -> bool:
    refused = isinstance(error, MaintenanceError | ThrottledError)
    return isinstance(error, UnavailableError | IntegrityError) and not refused
