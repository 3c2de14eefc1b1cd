"""A storage that fails on command, and tells what was asked of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, cast

from paperfleet.errors import StorageError, UnavailableError
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.protocol import DocumentStorage

    Error = type[StorageError] | Callable[[], BaseException]

_T = TypeVar("_T")


class Call(NamedTuple):
    """One operation: the method's name, and the names of files or folders in their order."""

    operation: str
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class _Fault:
    operation: str | None
    name: str | None
    error: Error | None
    when: Literal["before", "after"]
    delay: float
    left: int | None

    def matches(self, call: Call) -> bool:
        """Say whether the fault is meant for this operation, and not used up."""
        return (
            self.left != 0
            and self.operation in {None, call.operation}
            and (self.name is None or self.name in call.names)
        )


class FaultyStorage(Wrapper):
    """Forwards to ``inner``, with faults that are set up by ``fail``.

    ``calls`` holds every operation in the order in which it began. ``before`` and ``after`` are
    called around every operation, ``after`` only when it took effect; they may raise, or kill the
    process. For a listing that is lazy they surround its making, not the walk.
    """

    def __init__(
        self,
        inner: DocumentStorage,
        *,
        before: Callable[[Call], object] | None = None,
        after: Callable[[Call], object] | None = None,
    ) -> None:
        super().__init__(inner)
        self.calls: list[Call] = []
        self._before = before
        self._after = after
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def fail(
        self,
        operation: str | None = None,
        name: str | None = None,
        *,
        error: Error | None = UnavailableError,
        when: Literal["before", "after"] = "before",
        delay: float = 0.0,
        times: int | None = 1,
    ) -> None:
        """Make an operation (None: any) on a name (None: any) fail so many times (None: always).

        ``error`` is a class of storage errors or a function that makes an exception; None only
        delays.
        ``before`` fails without an effect, ``after`` with it, as when an answer is lost. ``delay``
        is in seconds.
        """
        with self._lock:
            self._faults.append(_Fault(operation, name, error, when, delay, times))

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def count(self, *operations: str) -> int:
        """Return how often one of these operations was called."""
        return sum(call.operation in operations for call in self.calls)

    def _around(self, operation: str, names: tuple[str, ...], work: Callable[[], _T]) -> _T:
        call = Call(operation, names)
        self.calls.append(call)
        if self._before:
            self._before(call)
        self._strike(call, "before")
        result = work()
        try:
            self._strike(call, "after")
            if self._after:
                self._after(call)
        except BaseException:
            _close(result)
            raise
        return result

    def _strike(self, call: Call, when: Literal["before", "after"]) -> None:
        fault = self._take(call, when)
        if fault is None:
            return
        time.sleep(fault.delay)
        if fault.error:
            raise self._made(fault.error, call)

    def _made(self, error: Error, call: Call) -> BaseException:
        if isinstance(error, type) and issubclass(error, StorageError):
            name = call.names[0] if call.names else ""
            reason = "a fault of the test"
            return error(reason, operation=call.operation, name=name, storage=self.label)
        return cast("Callable[[], BaseException]", error)()

    def _take(self, call: Call, when: Literal["before", "after"]) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.when == when and fault.matches(call):
                    if fault.left is not None:
                        fault.left -= 1
                    return fault
        return None


def _close(result: object) -> None:
    """Close a stream or listing that the caller will not get."""
    close = getattr(result, "close", None)
    if callable(close):
        close()
