"""A few daemon threads: a request that hangs must not keep the process from ending."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_Task = tuple["Future[object]", "Callable[[], object]"]


class Pool:
    """Runs functions on daemon threads; unlike an executor's they are not waited for at exit."""

    def __init__(self, threads: int) -> None:
        self.closed = False
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"mirror-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Queue a function; its result or exception arrives in the future."""
        future: Future[T] = Future()
        self._tasks.put((future, function))  # type: ignore[arg-type]  # Future is invariant
        return future

    def close(self) -> None:
        """Let the threads end once they have nothing to do; does not wait."""
        self.closed = True
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function = task
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  # it is raised where the result is read
                future.set_exception(error)
