"""How changes of a source are noticed: what every watcher does, and which one fits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, Self

from paperfleet.filesystems import filesystem_type, is_network
from paperfleet.mirror.watch.changes import EVERYTHING, SOMEWHERE, Hint
from paperfleet.mirror.watch.polling import PollingWatcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

__all__ = ["EVERYTHING", "POLL_SECONDS", "SOMEWHERE", "Hint", "Watcher", "choose_watcher"]

POLL_SECONDS = 10.0
"""How often everything is looked at where inotify cannot see and nothing else was asked for."""


class Watcher(Protocol):
    """Hints at names that may have changed. Whoever scans them afterwards misses nothing.

    Inside the ``with`` block no change goes unnoticed, so a first scan belongs into it. ``wait``
    is called by one thread; ``wake`` by any, also by a signal handler and outside the block.
    """

    def __enter__(self) -> Self:
        """Begin to watch."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Stop watching."""
        ...

    @property
    def description(self) -> str:
        """How changes are noticed, for people: 'inotify, 312 folders'."""
        ...

    @property
    def sees_writers(self) -> bool:
        """Whether a file that somebody still writes is known to be such."""
        ...

    def wait(self, timeout: float) -> list[Hint]:
        """Return hints as soon as there are any; [] after ``timeout`` seconds or when woken.

        Hints come in the order of the changes. A name may come often, or for nothing.
        """
        ...

    def wake(self) -> None:
        """Make the present or the next ``wait`` return at once."""
        ...


def choose_watcher(
    root: Path,
    *,
    poll_seconds: float | None,
    on_notice: Callable[[str], None],
    follow_links: bool = False,
) -> Watcher:
    """Return the watcher that fits the filesystem of ``root``.

    ``poll_seconds`` asks for polling. Without it, inotify is used where the kernel has it and sees
    every change; ``on_notice`` is told where it does not, and later what a person should know.
    """
    if poll_seconds is not None:
        return PollingWatcher(root, poll_seconds)
    fstype = filesystem_type(root)
    if is_network(fstype):
        why = f"inotify does not see what other machines do on {fstype}"
    elif sys.platform != "linux":
        why = f"there is no inotify on {sys.platform}"
    else:
        from paperfleet.mirror.watch.inotify import (  # noqa: PLC0415 inotify is Linux alone
            InotifyWatcher,
        )

        return InotifyWatcher(
            root, on_notice=on_notice, follow_links=follow_links, fallback_seconds=POLL_SECONDS
        )
    on_notice(f"{why}: the source is looked at every {POLL_SECONDS:g} s")
    return PollingWatcher(root, POLL_SECONDS)
