"""Handing content to an upload that runs in a thread of its own.

obstore asks for the next bytes from inside of its own runtime, where no other call of obstore can
be made; yet the content may be an object of a store, too. So it is read in the caller's thread.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

AHEAD = 8
"""Pieces that wait to be sent."""
_LOOK = 0.2
"""Seconds after which the reader looks whether the upload has ended early."""


class StoppedError(Exception):
    """Ends an upload whose content failed: obstore then removes the parts that were sent."""


class Feed:
    """Passes pieces from one thread to another."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes | StoppedError | None] = queue.Queue(AHEAD)
        self._ended = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; raise ``StoppedError`` when there will be no whole content."""
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, StoppedError):
                raise piece
            yield piece

    def end(self) -> None:
        """Say that nobody takes pieces any more."""
        self._ended.set()

    def give(self, piece: bytes | StoppedError | None) -> bool:
        """Wait until there is room; say whether anybody still wants it. None ends the content."""
        while not self._ended.is_set():
            try:
                self._pieces.put(piece, timeout=_LOOK)
            except queue.Full:
                continue
            return True
        return False


def feed(content: Iterable[bytes], send: Callable[[Iterator[bytes]], object]) -> None:
    """Let ``send`` have the content, read in this thread; raise what either of them raises.

    Returns after ``send`` has, in any case.
    """
    passing = Feed()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            send(iter(passing))
        except BaseException as error:  # noqa: BLE001 (raised again below, in the caller's thread)
            errors.append(error)
        finally:
            passing.end()

    thread = threading.Thread(target=run, name="paperfleet-upload")
    thread.start()
    try:
        for piece in content:
            if not passing.give(piece):
                break
        passing.give(None)
    except BaseException:
        passing.give(StoppedError("the content failed"))
        raise
    finally:
        thread.join()
    if errors:
        raise errors[0]
