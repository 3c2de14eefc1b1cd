"""A day of a fleet, event by event. The same arguments give the same day."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bench.autoscale.arrivals import DAY, HOUR, MAIL_EVERY
from bench.autoscale.calendar import Calendar
from bench.autoscale.cluster import Pod, first_to_go
from bench.autoscale.scalers import METRICS_SECONDS, SYNC_SECONDS, Seen
from bench.autoscale.tasks import Broker, Task, Workers

if TYPE_CHECKING:
    from bench.autoscale.arrivals import Day
    from bench.autoscale.scalers import Scaler

LATEST = 2 * DAY  # what is not done by then never will be
MAIL_CHECK, OTHER_CHORE = "mail check", "chore"
# paperless-ngx 3.0.5, settings/custom.py: training and workflows, 5 */1 * * *. What is not begun a
# minute before the next of its kind expires.
HOURLY_AT, HOURLY = 300, 2
BEFORE_NEXT = 60
SLOTS = 48  # of a day, for the picture


@dataclass
class Outcome:
    """What a day came to. Seconds; pods are counted until they are gone, within the 24 hours.

    ``wakes``: from the first document that finds no pods until a worker begins with one.
    ``most``: replicas at most; ``alive``: pods in each slot of the day, with those that drain.
    """

    documents: list[Task] = field(default_factory=list)
    chores: list[Task] = field(default_factory=list)
    pod_seconds: float = 0.0
    scale_downs: int = 0
    stopped: int = 0
    stopped_busy: int = 0
    wakes: list[float] = field(default_factory=list)
    most: int = 0
    alive: list[float] = field(default_factory=lambda: [0.0] * SLOTS)


class Simulation:
    """One fleet on one day. ``base``: seconds that a task of the scheduler takes.

    ``start``: seconds from the decision for a pod until its worker takes tasks.
    """

    def __init__(
        self, day: Day, scaler: Scaler, workers: Workers, *, base: float, start: float
    ) -> None:
        self._scaler, self._workers, self._base, self._start = scaler, workers, base, start
        self._rng = random.Random(day.seed)  # noqa: S311  # repeatable, not secret
        self._calendar = Calendar()
        self._broker = Broker(workers.reserve)
        self._pods: list[Pod] = []  # that are not gone
        self._started = 0
        self._replicas = 0
        self._mailbox: list[Task] = []
        self._open = len(day.arrivals)  # documents that are to come, wait or run
        self._work = 0  # documents that wait or run
        self._sleeping_since: float | None = None  # a document that waits for a fleet of no pods
        self._outcome = Outcome()
        self._plan(day)

    def run(self) -> Outcome:
        """Return what the day came to, once all of its documents are done or lost.

        Raises ``RuntimeError`` when one is neither, a day after the last one came.
        """
        self._scale(self._scaler.least)
        while self._calendar.now < DAY or self._open:
            self._calendar.step()
            if self._calendar.now > LATEST:
                raise RuntimeError(f"{self._open} documents were never worked on")
        for pod in self._pods:
            self._count(pod, self._calendar.now)
        return self._outcome

    def _plan(self, day: Day) -> None:
        calendar = self._calendar
        for arrival in day.arrivals:
            task = Task(arrival.at, arrival.source, arrival.seconds)
            self._outcome.documents.append(task)
            come = self._mailbox.append if arrival.source == "mail" else self._publish
            calendar.at(arrival.at, partial(come, task))
        calendar.every(MAIL_EVERY, 0, partial(self._chore, MAIL_CHECK, MAIL_EVERY))
        for _ in range(HOURLY):
            calendar.every(HOUR, HOURLY_AT, partial(self._chore, OTHER_CHORE, HOUR))
        phase = self._rng.uniform
        calendar.every(METRICS_SECONDS, phase(0, METRICS_SECONDS), self._look)
        calendar.every(SYNC_SECONDS, phase(0, SYNC_SECONDS), self._sync)
        if polling := self._scaler.polling:
            calendar.every(polling, phase(0, polling), self._poll)

    # Tasks

    def _chore(self, name: str, every: float) -> None:
        now = self._calendar.now
        chore = Task(now, name, self._base, is_document=False, expires=now + every - BEFORE_NEXT)
        self._outcome.chores.append(chore)
        self._broker.put(chore)
        self._deliver()

    def _publish(self, task: Task) -> None:
        self._work += 1
        if not self._replicas and self._sleeping_since is None:
            self._sleeping_since = self._calendar.now
        self._broker.put(task)
        self._deliver()

    def _deliver(self) -> None:
        for pod in self._broker.deliver():
            self._next(pod)

    def _next(self, pod: Pod) -> None:
        """Let a pod begin what it has, and wait for more."""
        now = self._calendar.now
        while pod.reserved and pod.task is None:
            task = pod.reserved.popleft()
            if task.expires is None or now < task.expires:
                self._begin(pod, task)
        self._broker.wait(pod)

    def _begin(self, pod: Pod, task: Task) -> None:
        now = self._calendar.now
        pod.task, pod.began = task, now
        if task.begun is None:
            task.begun = now
        if task.is_document and self._sleeping_since is not None:
            self._outcome.wakes.append(now - self._sleeping_since)
            self._sleeping_since = None
        self._calendar.after(task.seconds, partial(self._end, pod, task))

    def _end(self, pod: Pod, task: Task) -> None:
        if pod.gone is not None:
            return  # it was killed
        now = self._calendar.now
        pod.busy, pod.task, task.ended = pod.busy + now - pod.began, None, now
        self._close(task)
        if task.source == MAIL_CHECK:
            for mail in self._mailbox:
                self._publish(mail)
            self._mailbox.clear()
        if pod.told is not None:
            self._remove(pod)
        else:
            self._next(pod)
            self._deliver()

    def _close(self, task: Task) -> None:
        if task.is_document:
            self._open, self._work = self._open - 1, self._work - 1

    # Pods

    def _look(self) -> None:
        for pod in self._pods:
            if pod.ready is not None:
                pod.look(self._calendar.now)

    def _sync(self) -> None:
        now = self._calendar.now
        if now < DAY:
            self._outcome.alive[int(now * SLOTS / DAY)] += len(self._pods) * SYNC_SECONDS
        self._scale(self._scaler.sync(now, self._replicas, self._seen()))

    def _poll(self) -> None:
        self._scale(self._scaler.poll(self._calendar.now, self._replicas, self._seen()))

    def _seen(self) -> Seen:
        usage = [pod.usage(self._calendar.now) for pod in self._pods if pod.told is None]
        return Seen(len(self._broker.listed), self._work, usage)

    def _scale(self, replicas: int) -> None:
        now, kept = self._calendar.now, [pod for pod in self._pods if pod.told is None]
        for _ in range(replicas - len(kept)):
            self._started += 1
            pod = Pod(self._started, now)
            self._pods.append(pod)
            self._calendar.after(self._start, partial(self._ready, pod))
        if replicas < len(kept):
            self._outcome.scale_downs += 1
            for pod in first_to_go(kept, now, self._rng)[: len(kept) - replicas]:
                self._stop(pod)
        self._replicas = replicas
        self._outcome.most = max(self._outcome.most, replicas)
        self._deliver()

    def _ready(self, pod: Pod) -> None:
        if pod.told is None:
            pod.ready = self._calendar.now
            self._next(pod)
            self._deliver()

    def _stop(self, pod: Pod) -> None:
        """Send SIGTERM: what is not begun goes back at once, what runs is ended."""
        pod.told = self._calendar.now
        self._broker.put_back(pod.reserved)
        pod.reserved.clear()
        self._outcome.stopped += 1
        if pod.task is None:
            self._remove(pod)
        else:
            self._outcome.stopped_busy += 1
            self._calendar.after(self._workers.grace, partial(self._kill, pod))

    def _kill(self, pod: Pod) -> None:
        if pod.gone is not None or pod.task is None:
            return
        task = pod.task
        task.kills += 1
        self._remove(pod)
        again = self._workers.offered_again
        if again is None:
            task.lost = True
            self._close(task)
        else:
            self._calendar.after(again, partial(self._offer_again, task))

    def _offer_again(self, task: Task) -> None:
        self._broker.put_back([task])
        self._deliver()

    def _remove(self, pod: Pod) -> None:
        pod.gone = self._calendar.now
        self._pods.remove(pod)
        self._count(pod, pod.gone)

    def _count(self, pod: Pod, until: float) -> None:
        self._outcome.pod_seconds += max(0.0, min(until, DAY) - min(pod.created, DAY))
