"""The way of one new file to a Nextcloud: through how many modules of ours it leads.

``python -m bench.journey`` mirrors to the double of a Nextcloud, puts new files into a folder that
is known, one after the other, and follows the calls of every thread by ``sys.setprofile``: from the
moment before the file is written until the server has its answer to the PUT ready, and until the
mirror tells that the file is there, which is after the journal has it. The figures are the medians
of the files; ``--list`` names the modules. Nothing here is a time.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from tests.servers.nextcloud_double import NextcloudDouble

from bench.processes import BenchError
from paperfleet.mirror.events import Done, Synced
from paperfleet.running.build import build_mirror
from paperfleet.settings.config import read, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import CodeType, FrameType

    from tests.servers.nextcloud_http import Request, Response

    from paperfleet.mirror.engine import Mirror
    from paperfleet.mirror.events import Event

FILES = 5
MODULES, CHANGES = 30, 300
_OURS = "/paperfleet/"
_LONGEST = 60.0
_FOLDER = "2026"


class Call(NamedTuple):
    """A function of ours was entered, or a generator of ours went on."""

    at: int
    thread: int
    code: CodeType

    @property
    def module(self) -> str:
        """Its module, as a path within the package without its ending."""
        return self.code.co_filename.rpartition(_OURS)[2].removesuffix(".py")


class Figures(NamedTuple):
    """What was passed; ``changes`` are calls of another module than the last one of the thread."""

    modules: frozenset[str]
    functions: int
    classes: int
    calls: int
    changes: int


class Profile:
    """Notes the calls of every thread that begins after it was installed, while it is ``on``."""

    def __init__(self) -> None:
        self.on = False
        self.calls: list[Call] = []

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        """Take one event of the interpreter (``sys.setprofile``)."""
        if self.on and event == "call" and _OURS in frame.f_code.co_filename:
            call = Call(time.perf_counter_ns(), threading.get_ident(), frame.f_code)
            self.calls.append(call)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Follow the threads that begin within the block."""
        threading.setprofile(self)
        try:
            yield
        finally:
            threading.setprofile(None)


class _Double(NextcloudDouble):
    """Notes when the answer to a PUT was ready."""

    answered_at: int = 0

    def _answer(self, request: Request) -> Response:
        response = super()._answer(request)
        if request.method == "PUT":
            self.answered_at = time.perf_counter_ns()
        return response


class _Told:
    """What the mirror tells, to wait for."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self._events: list[Event] = []

    def __call__(self, event: Event) -> None:
        with self._arrived:
            self._events.append(event)
            self._arrived.notify_all()

    def wait_for_done(self, name: str) -> None:
        self._wait(lambda: any(isinstance(e, Done) and e.name == name for e in self._events), name)

    def wait_for_synced(self, since: int) -> int:
        """Wait until everything is done; return how many events there were."""
        self._wait(lambda: any(isinstance(e, Synced) for e in self._events[since:]), "the rest")
        return len(self._events)

    def _wait(self, arrived: Callable[[], bool], what: str) -> None:
        with self._arrived:
            if not self._arrived.wait_for(arrived, _LONGEST):
                raise BenchError(f"the mirror did not bring {what}")


def measure(files: int = FILES) -> tuple[list[Figures], list[Figures]]:
    """Return for each new file its figures until the answer, and until it is in the journal."""
    until_answer, until_known = [], []
    with TemporaryDirectory(prefix="journey-") as temp, _double(Path(temp)) as double:
        source = Path(temp) / "source"
        (source / _FOLDER).mkdir(parents=True)
        (source / _FOLDER / "known.pdf").write_bytes(b"so that the folder is there")
        told, profile = _Told(), Profile()
        with profile.installed(), _mirroring(source, double, Path(temp) / "journal", told):
            seen = told.wait_for_synced(0)
            for number in range(files):
                name = f"{_FOLDER}/new-{number}.pdf"
                profile.calls.clear()
                profile.on = True
                (source / name).write_bytes(f"document {number}".encode() * 1000)
                told.wait_for_done(name)
                profile.on = False
                calls = list(profile.calls)
                seen = told.wait_for_synced(seen)
                until_answer.append(figures([c for c in calls if c.at <= double.answered_at]))
                until_known.append(figures(calls))
    return until_answer, until_known


def figures(calls: Sequence[Call]) -> Figures:
    """Count; functions without a name of their own count as calls of their module only."""
    names = {(c.module, c.code.co_qualname) for c in calls if not c.code.co_name.startswith("<")}
    owners = {(module, name.rpartition(".")[0]) for module, name in names}
    classes = {owner for owner in owners if owner[1] and not owner[1].endswith("<locals>")}
    changes = 0
    for thread in {call.thread for call in calls}:
        modules = [call.module for call in calls if call.thread == thread]
        changes += sum(one != other for one, other in pairwise(modules))
    modules_passed = frozenset(call.module for call in calls)
    return Figures(modules_passed, len(names), len(classes), len(calls), changes)


@contextmanager
def _double(base: Path) -> Iterator[_Double]:
    double = _Double(base / "nextcloud")
    double.start()
    try:
        yield double
    finally:
        double.stop()


@contextmanager
def _mirroring(source: Path, double: _Double, journal: Path, told: _Told) -> Iterator[None]:
    """Mirror in a thread for the length of the block, with a mirror as the program builds it."""
    arguments = {"source": str(source), "target": double.url, "username": double.user}
    environ = {"PAPERFLEET_PASSWORD": double.password, "PAPERFLEET_JOURNAL": str(journal)}
    settings = settings_of(read(arguments, environ), environ)
    running: list[Mirror] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            with build_mirror(settings, report=told) as mirror:
                running.append(mirror)
                mirror.run()
        except Exception as error:  # noqa: BLE001  # raised below, in the thread that measures
            failures.append(error)

    thread = threading.Thread(target=run, name="mirror")
    thread.start()
    try:
        yield
    finally:
        for mirror in running:
            mirror.stop()
        thread.join(_LONGEST)
    if failures:
        raise failures[0]


def table(rows: Sequence[tuple[str, Sequence[Figures]]]) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        "| one new file, until | modules | module changes | classes | functions | calls |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for title, found in rows:
        medians = [
            statistics.median(len(one.modules) for one in found),
            statistics.median(one.changes for one in found),
            statistics.median(one.classes for one in found),
            statistics.median(one.functions for one in found),
            statistics.median(one.calls for one in found),
        ]
        lines.append(f"| {title} | " + " | ".join(f"{n:,.0f}" for n in medians) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.journey", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES, help="so many files, one by one")
    parser.add_argument("--list", action="store_true", help="name the modules that were passed")
    options = parser.parse_args()
    until_answer, until_known = measure(options.files)
    titles = ("the answer to its PUT", "the journal has it")
    print(table(list(zip(titles, (until_answer, until_known), strict=True))))
    if options.list:
        print(*sorted(frozenset().union(*(one.modules for one in until_answer))), sep="\n")
    print(f"to reach: {MODULES} modules, {CHANGES} module changes", file=sys.stderr)


if __name__ == "__main__":
    main()
