"""Watching by inotify(7): the kernel tells which names to look at again."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from inotify_simple import INotify

from paperfleet.mirror.watch.changes import EVERYTHING, Hint
from paperfleet.mirror.watch.events import EventReader
from paperfleet.mirror.watch.limits import more_instances, more_watches, setting
from paperfleet.mirror.watch.mounts import MountWatch
from paperfleet.mirror.watch.polling import PollingWatcher
from paperfleet.mirror.watch.tree import LIMITS, WatchedTree
from paperfleet.mirror.watch.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

_ROOT_LOOK = 1.0  # seconds between two looks at what the root's path leads to
_BREATH = 0.01  # seconds in which the kernel may merge the events of a busy writer


class _Watch(NamedTuple):
    """What there is while the root is watched; ``identity`` is the device and inode of it."""

    inotify: INotify
    tree: WatchedTree
    reader: EventReader
    identity: tuple[int, int]
    mounts: MountWatch | None = None

    def close(self) -> None:
        """Watch nothing any more."""
        self.inotify.close()
        if self.mounts is not None:
            self.mounts.close()


class InotifyWatcher:
    """Watches ``root`` and every folder below it.

    A folder is watched before its hint is given, so a look at the hinted names afterwards sees
    all that happened before. When the kernel's queue overflows, everything is hinted and all
    watches are renewed. When the host allows no more watches, ``on_notice`` is told how to raise
    the limit, and everything is hinted every ``fallback_seconds`` from then on. While the root is
    away nothing is watched; when it is back, everything is hinted.

    ``wait`` belongs to one thread; ``wake`` may be called from any, and by a signal handler.
    """

    def __init__(
        self,
        root: Path,
        *,
        on_notice: Callable[[str], None],
        follow_links: bool = False,
        fallback_seconds: float = 10.0,
    ) -> None:
        self._root = root
        self._on_notice = on_notice
        self._follow_links = follow_links
        self._fallback_seconds = fallback_seconds
        self._wakeup = Wakeup()
        self._watch: _Watch | None = None
        self._polling: PollingWatcher | None = None
        self._why_not = ""

    @property
    def description(self) -> str:
        """How changes are noticed, for people."""
        if self._polling is not None:
            return f"{self._polling.description}, for inotify is at its limit"
        if self._watch is None:
            return "inotify, waiting for the source"
        count = len(self._watch.tree)
        return f"inotify, {count} folder{'' if count == 1 else 's'}"

    @property
    def sees_writers(self) -> bool:
        """Whether a file that somebody still writes is known to be such."""
        return self._polling is None

    def __enter__(self) -> Self:
        self._wakeup.__enter__()
        try:
            self._attach()
        except BaseException:
            self._wakeup.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._detach()
        if self._polling is not None:
            self._polling.__exit__(exc_type, exc_val, exc_tb)
        self._wakeup.__exit__(exc_type, exc_val, exc_tb)

    def wake(self) -> None:
        """Make ``wait`` return at once."""
        self._wakeup.wake()
        polling = self._polling
        if polling is not None:
            polling.wake()

    def wait(self, timeout: float) -> list[Hint]:
        """Return hints as soon as there are any; [] after ``timeout`` seconds or when woken."""
        deadline = time.monotonic() + timeout
        while self._polling is None:
            watch = self._watch
            hints = self._look_for_root() if watch is None else self._collect(watch)
            left = deadline - time.monotonic()
            if hints or left <= 0:
                return hints
            if self._sleep(left):
                return []
        return self._polling.wait(deadline - time.monotonic())

    def _sleep(self, left: float) -> bool:
        """Sleep until there may be something to say; say whether it was woken."""
        watch = self._watch
        if watch is None:
            return self._wakeup.sleep(min(left, _ROOT_LOOK))
        due = watch.reader.next_due()
        if due is None:
            mounts = watch.mounts.fileno() if watch.mounts else None
            return self._wakeup.sleep(min(left, _ROOT_LOOK), watch.inotify.fileno(), urgent=mounts)
        # Somebody writes and writes. What he does next can wait for what he does after it.
        pause = max(0.0, due - time.monotonic())
        if self._wakeup.sleep(min(left, pause, _BREATH)):
            return True
        return self._wakeup.sleep(min(left, pause) - _BREATH, watch.inotify.fileno())

    def _collect(self, watch: _Watch) -> list[Hint]:
        """Return what there is to say of a root that is watched."""
        try:
            hints = watch.reader.read(watch.inotify.read(timeout=0), time.monotonic())
            if watch.reader.root_lost or _identity(self._root) != watch.identity:
                return [*hints, self._lose_root()]
            if watch.reader.overflowed:
                hints.append(self._start_over(watch))
            if (watch.mounts and watch.mounts.changed()) or watch.reader.unmounted:
                hints.append(self._renew(watch))
        except OSError as error:
            if error.errno not in LIMITS:
                raise
            self._fall_back(error)
            return [Hint(EVERYTHING)]
        return hints

    def _start_over(self, watch: _Watch) -> Hint:
        """Watch all again after events were lost."""
        self._on_notice(
            "more changes than the kernel's queue holds: the whole source is looked at again. "
            "If this happens often, raise the limit: sysctl fs.inotify.max_queued_events="
            f"{4 * setting('max_queued_events', 16_384)}"
        )
        return self._renew(watch)

    def _renew(self, watch: _Watch) -> Hint:
        """Watch all again, for the folders are not those of before."""
        watch.reader.overflowed = watch.reader.unmounted = False
        try:
            watch.tree.rebuild()
        except OSError as error:
            if error.errno in LIMITS:
                raise
            return self._lose_root()
        return Hint(EVERYTHING)

    def _look_for_root(self) -> list[Hint]:
        """Watch the root if it is there (again)."""
        self._attach()
        if self._watch is not None:
            self._on_notice(f"{self._root} is back")
        return [] if self._watch is None and self._polling is None else [Hint(EVERYTHING)]

    def _lose_root(self) -> Hint:
        self._detach()
        self._miss("it was moved, deleted or unmounted")
        return Hint(EVERYTHING)

    def _miss(self, reason: str) -> None:
        """Tell once why the root is not watched."""
        if reason != self._why_not and not (self._why_not and reason == _NOT_THERE):
            self._on_notice(f"{self._root} cannot be watched: {reason}")
        self._why_not = reason

    def _attach(self) -> None:
        identity = _identity(self._root)
        if identity is None:
            self._miss(_NOT_THERE)
            return
        try:
            self._watch = self._watch_tree(identity)
            self._why_not = ""
        except OSError as error:
            if error.errno in LIMITS:
                self._fall_back(error)
            else:
                self._miss(error.strerror or str(error))

    def _watch_tree(self, identity: tuple[int, int]) -> _Watch:
        inotify = INotify()
        mounts = MountWatch.of(self._root)  # before the tree: what is mounted later is told
        try:
            tree = WatchedTree(
                inotify,
                str(self._root),
                follow_links=self._follow_links,
                on_notice=self._on_notice,
            )
        except BaseException:
            inotify.close()
            if mounts is not None:
                mounts.close()
            raise
        return _Watch(inotify, tree, EventReader(tree), identity, mounts)

    def _detach(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _fall_back(self, error: OSError) -> None:
        """Poll from now on, for the host does not allow to watch the tree."""
        self._detach()
        polling = PollingWatcher(self._root, self._fallback_seconds)
        polling.__enter__()
        self._polling = polling
        self._on_notice(f"{_advice(error)}. Until then: {polling.description}")


_NOT_THERE = "it is not there"


def _identity(root: Path) -> tuple[int, int] | None:
    """Return what stays the same of a folder while it is the same; None when it is gone."""
    try:
        found = root.stat()
    except OSError:
        return None  # whatever the reason, the engine's scan meets it too, and reports it
    return (found.st_dev, found.st_ino) if found.st_nlink else None


def _advice(error: OSError) -> str:
    """Return what to do about a limit that inotify_init(2) or inotify_add_watch(2) has met."""
    if error.errno == errno.ENOSPC:
        now = setting("max_user_watches", 8_192)
        return (
            f"the host allows only {now} watched folders to a user. Allow more and start again: "
            f"{more_watches()}"
        )
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        now = setting("max_user_instances", 128)
        return (
            f"the host allows only {now} inotify instances to a user (or the process has too many "
            f"open files, see ulimit -n). Allow more and start again: {more_instances()}"
        )
    return f"inotify cannot be used ({error.strerror}). Free memory and start again"
