"""(f) Objects of 100 KB in a bucket: put, get, head, list, move."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

from bench.buckets import fast_server
from bench.object_work import OPERATIONS, SIZE
from bench.processes import python, run
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from bench.buckets import Running
    from bench.object_work import Rates
    from bench.setting import Setting

OURS, BARE, DJANGO = "paperfleet", "bare obstore", "django-storages"
THREADS = (1, 16)
_LONGEST = 900.0
TARGETS = ((DJANGO, 2.0), (BARE, 0.9))
JUDGED = ("put", "get")


def measure(setting: Setting) -> Result:
    """Let the clients take turns on one server, with one thread and with many."""
    scale = setting.scale
    result = Result(
        "objects",
        "Objects in a bucket",
        f"Operations a second on objects of {SIZE // 1000} KB; a listing has {scale.objects} "
        f"names. {scale.turns} turns of each client, one after the other, so that what else the "
        "machine does strikes all of them. What is judged is the median of the ratios within one "
        "turn. bare obstore compares nothing after a write, and its move is a copy and a delete. "
        "django-storages has no move: it reads, saves and deletes.",
    )
    with fast_server() as running:
        setting.say(f"  {running.title}")
        for threads in THREADS:
            job = {
                "bucket": running.bucket()._asdict(),
                "number": max(scale.objects, threads),
                "threads": threads,
                "turns": scale.turns,
            }
            command = python("bench.object_work")._replace(input=json.dumps(job))
            _note(result, running, threads, json.loads(run(command, _LONGEST).output))
    return result


def _note(result: Result, running: Running, threads: int, rates: Rates) -> None:
    where = f"{running.title}, {threads} thread{'' if threads == 1 else 's'}"
    for client, operations in rates.items():
        for operation in OPERATIONS:
            for rate in operations[operation]:
                result.add(where, client, operation, "/s", rate)
    for operation in JUDGED:
        for peer, least in TARGETS:
            ratio = median(
                ours / theirs
                for ours, theirs in zip(rates[OURS][operation], rates[peer][operation], strict=True)
            )
            result.verdicts.append(
                Verdict(
                    f"{operation}: at least {least:g} times {peer}",
                    where,
                    f"{ratio:.2f} times",
                    ratio >= least,
                )
            )
