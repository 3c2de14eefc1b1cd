"""What is measured on one system."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.paperless import papers

from bench.fleet import memory
from bench.processes import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.paperless.installation import Installation
    from tests.paperless.rest import Rest

    from bench.fleet.systems import System

LONGEST = 400.0
_LOOK_SECONDS = 0.05
_FEED_SECONDS = 0.3
_KILL_SECONDS = 0.02


class Paper(NamedTuple):
    """A document; ``word`` is in its name, and in that of no other one."""

    name: str
    content: bytes
    word: str


class Papers:
    """The documents: both systems are sent the same ones."""

    def __init__(self) -> None:
        self._made: dict[str, list[Paper]] = defaultdict(list)

    def get(self, stage: str, count: int, make: Callable[[str], bytes] = papers.pdf) -> list[Paper]:
        """Return the first ones of a stage; they are the same each time."""
        made = self._made[stage]
        while len(made) < count:
            text = papers.new_text()
            word = text.split()[2]
            ending = "png" if make is papers.scan else "pdf"
            made.append(Paper(f"Invoice {word}.{ending}", make(text), word))
        return made[:count]


def until(look: Callable[[], bool], what: str, every: float = _LOOK_SECONDS) -> None:
    """Wait until something is so; raise ``BenchError`` when it does not become."""
    deadline = time.monotonic() + LONGEST
    while not look():
        if time.monotonic() > deadline:
            raise BenchError(f"not within {LONGEST:.0f} s: {what}")
        time.sleep(every)


def drain(system: System) -> None:
    """Wait until nothing waits and nothing runs."""
    until(lambda: system.unfinished() == 0, f"{system.name} has nothing to do", _FEED_SECONDS)


class Consumed(NamedTuple):
    """Documents a minute, and the bytes of each program while half of them were done."""

    rate: float
    memory: dict[str, int]


def consume(system: System, rest: Rest, given: Sequence[Paper], roles: Sequence[str]) -> Consumed:
    """Upload documents, one after the other, until the last one is consumed."""
    begun = time.time()
    tasks = [system.post(rest, paper.name, paper.content) for paper in given]
    until(lambda: system.ended(tasks)[0] * 2 >= len(tasks), "half of the documents")
    held = {role: memory.proportional(system.first.program(role).pid) for role in roles}
    until(lambda: system.ended(tasks)[0] == len(tasks), "the documents")
    drain(system)
    return Consumed(60 * len(tasks) / (system.ended(tasks)[1] - begun), held)


def until_found(system: System, given: Sequence[Paper], searched: Installation) -> Iterator[float]:
    """Yield the seconds from an upload to the first host until another web server finds it."""
    with closing(system.first.rest()) as rest, closing(searched.rest()) as searching:
        for paper in given:
            begun = time.perf_counter()
            system.post(rest, paper.name, paper.content)
            until(lambda p=paper: len(searching.documents(query=p.word)) == 1, paper.name)  # type: ignore[misc]
            yield time.perf_counter() - begun
            drain(system)


class Feed:
    """Keeps workers busy: whenever fewer documents wait, it uploads more.

    So many wait or are worked on that each of the workers has one, and half of them the next.
    """

    def __init__(self, system: System, given: Papers, stage: str, workers: int) -> None:
        self._system, self._given, self._stage = system, given, stage
        self._enough = workers + workers // 2
        self._fed = 0
        self._filled, self._ended = threading.Event(), threading.Event()
        self._failed: list[Exception] = []

    @property
    def finished(self) -> int:
        """How many of them have been consumed."""
        return self._fed - self._system.unfinished()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Feed the workers in a block, which begins once all of them have work."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            if not self._filled.wait(LONGEST):
                raise BenchError("the workers did not get enough to do")
            yield
        finally:
            self._ended.set()
            thread.join(LONGEST)
        if self._failed:
            raise self._failed[0]

    def _run(self) -> None:
        try:
            with closing(self._system.first.rest()) as rest:
                while not self._ended.is_set():
                    self._feed(rest)
                    self._filled.set()
                    self._ended.wait(_FEED_SECONDS)
        except Exception as error:  # noqa: BLE001  # raised where the block ends
            self._failed.append(error)
            self._filled.set()

    def _feed(self, rest: Rest) -> None:
        missing = max(0, self._enough - self._system.unfinished())
        stage = self._given.get(self._stage, self._fed + missing)
        for paper in stage[self._fed :]:
            self._system.post(rest, paper.name, paper.content)
            self._fed += 1


def edit(system: System, count: int, longest: float, turn: str) -> Iterator[float]:
    """Yield the seconds that changes of titles take, one after the other.

    They end after ``count``, or ``longest`` seconds.
    """
    numbers = system.numbers()
    deadline = time.monotonic() + longest
    with closing(system.first.rest()) as rest:
        for number in range(count):
            if time.monotonic() > deadline:
                return
            document = numbers[number % len(numbers)]
            begun = time.perf_counter()
            rest.patch(f"documents/{document}/", json={"title": f"Edited {turn} {number}"})
            yield time.perf_counter() - begun


def kill(system: System, rest: Rest, paper: Paper) -> float:
    """Kill the worker that works on a document; return the seconds until another one does.

    Each of the hosts beside the first runs one worker, in namespaces of its own. They do again
    afterwards, and the document has been consumed.
    """
    hosts = {host.folder.name: host for host in system.others}
    task = system.post(rest, paper.name, paper.content)
    until(lambda: _owner(system, task) in hosts, "a worker takes it", _KILL_SECONDS)
    host = hosts.pop(_owner(system, task))
    begun = time.perf_counter()
    host.program("worker").kill()
    until(lambda: _owner(system, task) in hosts, "another worker takes it", _KILL_SECONDS)
    seconds = time.perf_counter() - begun
    host.start("worker")
    drain(system)
    system.ended([task])
    return seconds


def _owner(system: System, task: str) -> str:
    """Return the host on which a task runs; empty where it does not."""
    rows = system.ask(
        "SELECT owner FROM paperfleet_work WHERE task_id = %s AND state = 'running'", task
    )
    return str(rows[0][0]).partition("|")[0] if rows else ""
