"""Following a paperless-ngx: a thread asks what changed, and the mirror is told the names."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from paperfleet.documents.inventory import WHOLE_SECONDS
from paperfleet.errors import CredentialsError, StorageError
from paperfleet.mirror.watch.changes import EVERYTHING, Hint
from paperfleet.mirror.watch.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paperfleet.documents.inventory import DocumentsInventory, Touched
    from paperfleet.documents.storage import ListFault

MISSING_SECONDS = 30.0
"""How often documents are looked for that came and went without a change of their time."""
_LONGEST_PAUSE = 60.0
"""Seconds after which is tried again what fails again and again, or a token that was refused."""
_MOST_HINTS = 1000
_LAST_LOOK_SECONDS = 5.0


class DocumentsWatcher:
    """Hints at the documents that paperless-ngx tells of (``mirror.watch.choose.Watcher``).

    A thread of its own asks, as a first look at many documents takes minutes.
    """

    def __init__(
        self,
        make_inventory: Callable[[Callable[[], bool]], DocumentsInventory],
        fault: ListFault,
        *,
        poll_seconds: float,
        missing_seconds: float = MISSING_SECONDS,
    ) -> None:
        self._inventory = make_inventory(lambda: not self._stopping.is_set())
        self._fault = fault
        self._poll, self._missing = poll_seconds, missing_seconds
        self._wakeup = Wakeup()
        self._hints: deque[Hint] = deque()
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._stale: deque[int] = deque()
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, name="paperless-ngx", daemon=True)

    @property
    def description(self) -> str:
        """How changes are noticed, for people."""
        return f"its REST API, every {self._poll:g} s"

    @property
    def sees_writers(self) -> bool:
        """Say yes: paperless-ngx shows a document when all of it is there."""
        return True

    def __enter__(self) -> Self:
        self._wakeup.__enter__()
        self._fault.reading(self._progress)
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._hurry.set()
        self._thread.join(_LAST_LOOK_SECONDS)
        self._wakeup.__exit__(exc_type, exc_val, exc_tb)

    def wait(self, timeout: float) -> list[Hint]:
        """Return hints as soon as there are any, [] after ``timeout`` seconds or when woken.

        Raises what the thread ended with, which is a fault in Paperfleet.
        """
        if not (self._hints or self._broken):
            self._wakeup.sleep(timeout)
        if self._broken is not None:
            raise self._broken
        return [self._hints.popleft() for _ in range(len(self._hints))]

    def wake(self) -> None:
        """Make ``wait`` return at once; from any thread or signal handler."""
        self._wakeup.wake()

    def doubt(self, number: int) -> None:
        """Ask for the files of a document anew: other bytes came than were told of."""
        self._stale.append(number)
        self._hurry.set()

    def _progress(self) -> str:
        found = self._inventory
        if not found.to_ask:
            return "the list of documents is being read"
        return f"{found.asked:,} of {found.to_ask:,} documents are known so far"

    # In the thread

    def _follow(self) -> None:
        try:
            turn = _Turns(self._inventory, self._poll, self._missing)
            while not self._stopping.is_set():
                self._hurry.wait(self._turn(turn))
                self._hurry.clear()
        except BaseException as error:  # noqa: BLE001  # told in the engine's thread
            self._broken = error
            self._wakeup.wake()

    def _turn(self, turns: _Turns) -> float:
        """Look, and hand over what was found; return after how many seconds to look again."""
        stale = [*self._stale]
        try:
            touched = turns.take(time.monotonic(), stale)
        except StorageError as error:
            if self._stopping.is_set():
                return 0.0
            if self._fault.set(error):
                self._tell({EVERYTHING: None})
            pause = turns.failed()
            return _LONGEST_PAUSE if isinstance(error, CredentialsError) else pause
        if self._stopping.is_set():
            return 0.0
        for _ in stale:
            self._stale.popleft()
        self._tell({EVERYTHING: None} if self._fault.set(None) else touched)
        return turns.next_in(time.monotonic())

    def _tell(self, touched: Touched) -> None:
        if not touched:
            return
        if len(touched) > _MOST_HINTS:
            touched = {EVERYTHING: None}
        self._hints.extend(Hint(name, partner=partner) for name, partner in touched.items())
        self._wakeup.wake()


def _after(began: float, seconds: float) -> float:
    """Return when to look again: paperless-ngx is left alone for half of the time at least."""
    done = time.monotonic()
    return done + max(seconds, done - began)


class _Turns:
    """Which look is due when; times are those of ``time.monotonic``."""

    def __init__(self, inventory: DocumentsInventory, poll: float, missing: float) -> None:
        self._inventory = inventory
        self._poll, self._missing = poll, missing
        self._next_poll = self._next_missing = self._next_whole = float("-inf")
        self._failures = 0

    def take(self, now: float, stale: list[int]) -> Touched:
        """Do what is due."""
        if now >= self._next_whole:
            return self._everything()
        touched = self._inventory.look_at_files(stale) if stale else {}
        if now >= self._next_poll:
            touched |= self._inventory.look_at_changed()
            self._next_poll = _after(now, self._poll)
        if now >= self._next_missing:
            began = time.monotonic()
            touched |= self._inventory.look_for_missing()
            self._next_missing = _after(began, self._missing)
        return touched

    def _everything(self) -> Touched:
        touched = self._inventory.look_at_all()
        done, self._failures = time.monotonic(), 0
        self._next_whole, self._next_missing = done + WHOLE_SECONDS, done + self._missing
        self._next_poll = done + self._poll
        return touched

    def failed(self) -> float:
        """Look at all next time, as some of what was found was not taken over; return when."""
        self._next_whole = float("-inf")
        self._failures += 1
        return min(self._poll * 2.0**self._failures, max(self._poll, _LONGEST_PAUSE))

    def next_in(self, now: float) -> float:
        """Return in how many seconds something is due."""
        return max(0.0, min(self._next_poll, self._next_missing, self._next_whole) - now)
