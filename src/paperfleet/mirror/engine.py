"""The mirror: a thread of its own for what is to be done, a pool of threads for doing it."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from paperfleet.errors import CredentialsError, StorageError, is_at_work
from paperfleet.mirror.loop import Loop
from paperfleet.storage.full import LAST_REQUESTS_SECONDS, full

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.accident import Disk
    from paperfleet.mirror.events import Reporter
    from paperfleet.mirror.options import Options
    from paperfleet.mirror.watch.choose import Watcher
    from paperfleet.storage.protocol import DocumentStorage

_TRIES_ONCE = 4
_AT_WORK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: files to be tried again, deletes that wait, whether it converged."""

    failed: int
    refused: int
    converged: bool


class Mirror:
    """Keeps a target equal to a source.

    Use it as a context manager; then ``run`` until ``stop``, or ``run_once``. All methods but
    ``stop`` belong to one thread.
    """

    def __init__(
        self,
        source: DocumentStorage,
        target: DocumentStorage,
        journal: Journal,
        watcher: Watcher,
        options: Options,
        report: Reporter,
        *,
        disk: Disk | None = None,
        prove_apart: Callable[[], object] = lambda: None,
    ) -> None:
        self._source, self._target, self._watcher = full(source), full(target), watcher
        self._loop = Loop(
            self._source, self._target, journal, watcher, options, report, disk, prove_apart
        )
        self._stopping = threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open the storages and begin to watch: nothing that happens from now on is missed."""
        self._stack.enter_context(self._source)
        self._stack.enter_context(self._target)
        self._stack.enter_context(self._watcher)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Finish or safely abandon what is under way; the journal says which."""
        try:
            self._loop.end()
        finally:
            self._stack.close()

    def stop(self) -> None:
        """End ``run`` soon; safe from any thread and from a signal handler.

        Requests that are under way have a few seconds; what they were about is in the journal.
        """
        self._stopping.set()
        for storage in (self._source, self._target):
            storage.end_requests(LAST_REQUESTS_SECONDS)
        self._watcher.wake()

    def run(self) -> RunOutcome:
        """Mirror until ``stop``; wait out whatever passes by itself.

        Raises ``CredentialsError`` at the first refused login, as servers count them, and, before
        the target has ever answered, whatever says that it is not one (``NotAStorageError`` …).
        """
        loop = self._loop
        loop.begin()
        while not self._stopping.is_set():
            loop.turn()
            error = loop.pause_error
            hopeless = isinstance(error, CredentialsError) or not loop.schedule.contacted
            if error and hopeless and not error.transient:
                raise error
        return self._outcome()

    def run_once(self) -> RunOutcome:
        """Mirror until source and target agree, then return.

        Raises the ``StorageError`` that kept source or target out of reach: a wrong password at
        once, an absent server after a few tries.
        """
        loop = self._loop
        loop.hurry()
        loop.begin()
        while not (self._stopping.is_set() or (loop.schedule.first_done and loop.settled())):
            loop.turn()
            patience = loop.schedule.failures < _TRIES_ONCE
            if loop.pause_error and not (loop.pause_error.transient and patience):
                raise loop.pause_error
            if loop.source_error and not is_at_work(loop.source_error):
                raise loop.source_error
        return self._outcome()

    def plan(self) -> list[str]:
        """Return what a run would do now, line by line, and do nothing at the target."""
        self._loop.begin()
        while not self._stopping.is_set():
            try:
                return self._loop.plan()
            except StorageError as error:
                if not is_at_work(error):
                    raise
                self._watcher.wait(_AT_WORK_SECONDS)
        return []

    def _outcome(self) -> RunOutcome:
        failed, refused = self._loop.counts()
        return RunOutcome(failed, refused, self._loop.settled())
