"""(k) A fleet of a real paperless-ngx, beside the same programs without the app, on one host."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.paperless import checkout, papers
from tests.paperless.installation import PROGRAMS, Bucket, Servers
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.redis_server import redis_missing, redis_server

from bench.buckets import fast_server
from bench.fleet import measuring
from bench.fleet.systems import FLEET, STOCK, System, can_confine, systems
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.scale import FleetScale
    from bench.setting import Setting

RATE, FOUND, FOUND_ELSEWHERE = "documents a minute", "until found", "until found by another web"
IDLE_EDIT, EDIT = "title edit, idle", "title edit, busy"
NICE_EDIT = "title edit, busy workers at nice 19"
KILLED = "SIGKILL until it runs elsewhere"
_TIMES_FASTER = 5
_MOST_SECONDS = 60
_SEARCHERS = 2  # workers while it is measured when a document is found


def measure(setting: Setting) -> Result:
    """Measure each of the two by itself, in turns."""
    scale = setting.scale.fleet
    result = Result("fleet", "A fleet beside paperless-ngx by itself", "")
    if reason := checkout.missing() or postgres_missing() or redis_missing():
        result.about = f"Not measured in this run: {reason}."
        setting.say(f"  without it: {reason}")
        return result
    if not can_confine():
        setting.say("  no worker is killed: namespaces cannot be made here, which needs root")
    loads = [os.getloadavg()[0]]
    with ExitStack() as stack:
        servers = Servers(
            stack.enter_context(postgres_server()), stack.enter_context(redis_server())
        )
        running = stack.enter_context(fast_server())
        bucket = Bucket(running.server, "fleet")
        made = stack.enter_context(
            systems(checkout.checkout(), servers, setting.path("fleet"), bucket)
        )
        given = measuring.Papers()
        for number in range(scale.rounds):
            for system in made if number % 2 == 0 else reversed(made):
                setting.say(f"  round {number + 1}: {system.name}")
                _Round(result, scale, system, given, number).measure()
                loads.append(os.getloadavg()[0])
    result.about = _about(scale, running.title, loads)
    result.rows.sort(key=lambda row: (int(row.server.split()[0]), row.client == FLEET))
    _judge(result, scale)
    return result


def _about(scale: FleetScale, server: str, loads: Sequence[float]) -> str:
    load = ", ".join(f"{one:.1f}" for one in loads)
    documents = ", ".join(f"{count} for {workers}" for workers, count in scale.documents.items())
    return (
        f"paperless-ngx {checkout.checkout().label}, {scale.rounds} rounds in turns; one of the "
        "two runs at a time, with all of its programs, on the same PostgreSQL and Redis. By "
        "itself, paperless-ngx has its documents on the local disk; the fleet has them in "
        f"`{server}` on loopback, and a second web server where that is searched. Each round "
        "sends both the same small PDFs with a text layer, so that there is no OCR: "
        f"{documents} workers (processes of one Celery); {scale.uploads} one after the other with "
        f"{_SEARCHERS} workers, from the upload until the search of a web server finds it; "
        f"{scale.edits} changes of titles with nothing to do, and as many, in at most "
        f"{scale.edit_seconds} s, while {scale.busy} workers have enough of it; then as many while "
        "these leave the processors to all others, as if they had some of their own. "
        f"Workers of the fleet are killed while they read a scan, {scale.kills} in a round: each "
        "is in namespaces of its own, so that no other process sees that it is gone, and all times "
        "are those by default. Memory is what the processes of a role hold (PSS) while documents "
        f"are consumed. The load of the machine before, and after each part: {load}."
    )


@dataclass(frozen=True)
class _Round:
    result: Result
    scale: FleetScale
    system: System
    given: measuring.Papers
    number: int

    def measure(self) -> None:
        """Start the system, measure everything once, and stop it."""
        system, scale = self.system, self.scale
        least = min(scale.documents)
        system.start(least)
        with closing(system.first.rest()) as rest:
            first = self.given.get(f"{self.number}: first", 1)
            measuring.consume(system, rest, first, ())  # what the first one alone pays
            for workers, count in scale.documents.items():
                system.start_worker(workers)
                roles = PROGRAMS if workers == least else ("worker",)
                stage = self.given.get(f"{self.number}: {workers}", count)
                consumed = measuring.consume(system, rest, stage, roles)
                self._add(_workers(workers), RATE, "", consumed.rate)
                for role, held in consumed.memory.items():
                    self._add(_workers(workers), f"memory: {role}", "MB", held / 1e6)
        self._search()
        self._edit()
        if system.others and scale.kills and can_confine():
            self._kill()
        system.require_all()
        system.stop()

    def _search(self) -> None:
        self.system.start_worker(_SEARCHERS)
        seconds = measuring.until_found
        stage = self.given.get(f"{self.number}: {FOUND}", self.scale.uploads)
        for sample in seconds(self.system, stage, self.system.first):
            self._add(_workers(_SEARCHERS), FOUND, "s", sample)
        for host in self.system.others[:1]:
            host.start("web")
            stage = self.given.get(f"{self.number}: {FOUND_ELSEWHERE}", self.scale.uploads)
            for sample in seconds(self.system, stage, host):
                self._add(_workers(_SEARCHERS), FOUND_ELSEWHERE, "s", sample)
            host.stop("web")

    def _edit(self) -> None:
        scale, system = self.scale, self.system
        self._edits(_SEARCHERS, IDLE_EDIT)
        system.start_worker(scale.busy)
        feed = measuring.Feed(system, self.given, f"{self.number}: busy", scale.busy)
        with feed.running():
            begun, before = time.monotonic(), feed.finished
            self._edits(scale.busy, EDIT)
            rate = 60 * (feed.finished - before) / (time.monotonic() - begun)
            self._add(_workers(scale.busy), RATE, "", rate)
            system.make_worker_nice()
            self._edits(scale.busy, NICE_EDIT)
        measuring.drain(system)

    def _edits(self, workers: int, metric: str) -> None:
        scale = self.scale
        titles = f"{self.number} {metric}"
        for seconds in measuring.edit(self.system, scale.edits, scale.edit_seconds, titles):
            self._add(_workers(workers), metric, "ms", seconds * 1000)

    def _kill(self) -> None:
        system = self.system
        system.first.stop("worker")
        for host in system.others:
            host.start("worker")
        stage = self.given.get(f"{self.number}: scans", self.scale.kills, papers.scan)
        with closing(system.first.rest()) as rest:
            for paper in stage:
                self._add(
                    _workers(len(system.others)), KILLED, "s", measuring.kill(system, rest, paper)
                )

    def _add(self, setting: str, metric: str, unit: str, sample: float) -> None:
        self.result.add(setting, self.system.name, metric, unit, sample)


def _workers(number: int) -> str:
    return f"{number} worker" + ("s" if number > 1 else "")


def _judge(result: Result, scale: FleetScale) -> None:
    busy = _workers(scale.busy)
    for metric in (EDIT, NICE_EDIT):
        ours, theirs = (result.median(busy, name, metric) for name in (FLEET, STOCK))
        result.verdicts.append(
            Verdict(
                f"{metric}: {_TIMES_FASTER} times as fast as paperless-ngx by itself",
                busy,
                f"{theirs / ours:.1f} times by the medians ({ours:.0f} ms beside {theirs:.0f} ms)",
                ours * _TIMES_FASTER <= theirs,
            )
        )
    for row in result.rows:
        if row.metric == KILLED:
            target = f"{KILLED}: at most {_MOST_SECONDS} s"
            longest = max(row.samples)
            measured = f"{longest:.1f} s at most, of {len(row.samples)}"
            result.verdicts.append(Verdict(target, row.server, measured, longest <= _MOST_SECONDS))
