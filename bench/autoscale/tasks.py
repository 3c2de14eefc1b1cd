"""Tasks, and the list in Redis from which workers take them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bench.autoscale.cluster import Pod


@dataclass(eq=False)
class Task:
    """A document to consume, or what the scheduler starts by itself. Times are seconds of the day.

    ``kills``: how often its worker was killed. ``lost``: nobody will ever end it.
    """

    arrived: float
    source: str
    seconds: float
    is_document: bool = True  # and somebody waits for it
    expires: float | None = None
    begun: float | None = None  # for the first time
    ended: float | None = None
    kills: int = 0
    lost: bool = False


@dataclass(frozen=True)
class Workers:
    """How each worker is set up.

    ``reserve``: messages that it takes beside the one that it works on (Celery's prefetch
    multiplier; 0 is ``--disable-prefetch``). ``grace``: seconds from SIGTERM to SIGKILL.
    ``offered_again``: seconds until what a killed one worked on is offered again; None: never.
    """

    reserve: int
    grace: float
    offered_again: float | None


@dataclass
class Broker:
    """A list of messages, and the workers that wait for one, in the order in which they came.

    Measured with Celery 5.6.3, early acknowledgement and one process: of 10 tasks with 1 done and
    1 running, the list has 4 with a prefetch multiplier of 4, and 8 with ``--disable-prefetch``.
    """

    reserve: int
    listed: deque[Task] = field(default_factory=deque)
    _waiting: deque[Pod] = field(default_factory=deque)

    def put(self, task: Task) -> None:
        """Add a message that is taken last."""
        self.listed.append(task)

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Add messages that are taken next, in this order."""
        self.listed.extendleft(reversed(list(tasks)))

    def wait(self, pod: Pod) -> None:
        """Let a worker wait for a message where it has room for one."""
        room = len(pod.reserved) < self.reserve if self.reserve else not (pod.task or pod.reserved)
        if room and pod.stays and not pod.waits:
            pod.waits = True
            self._waiting.append(pod)

    def deliver(self) -> Iterator[Pod]:
        """Hand out messages; yields each worker that got one, which may then wait again."""
        while self.listed and self._waiting:
            pod = self._waiting.popleft()
            pod.waits = False
            if pod.stays:
                pod.reserved.append(self.listed.popleft())
                yield pod
