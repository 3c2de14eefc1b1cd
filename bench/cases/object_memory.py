"""(h) A large file is saved to a bucket: how much memory and time it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.buckets import fast_server
from bench.processes import BenchError, python, run
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from bench.buckets import Running
    from bench.processes import Ended
    from bench.setting import Setting

CLIENTS = ("paperfleet", "bare obstore", "django-storages")
MEMORY, SECONDS, CPU = "peak memory", "seconds", "processor time"
_MOST_MEGABYTES = 100
_MOST_TIMES = 1.1
_LONGEST = 600.0


def measure(setting: Setting) -> Result:
    """Save with each client in turn, each in a process of its own."""
    megabytes = setting.scale.saved_mb
    result = Result(
        "object_memory",
        "A large save",
        f"A file of {megabytes:,} MB is saved, each client in a process of its own; the memory is "
        "all that the process has, Python and libraries included. Paperfleet reads the file twice, "
        "so that its checksum is noted with the object and proven by the store; the others prove "
        "nothing.",
    )
    source = setting.path("large")
    with source.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    with fast_server() as running:
        setting.say(f"  {running.title}")
        for turn in range(setting.scale.rounds):
            first = turn % len(CLIENTS)
            for client in CLIENTS[first:] + CLIENTS[:first]:
                ended = _saved(running, client, source)
                result.add(running.title, client, MEMORY, "MB", ended.peak_bytes / 1e6)
                result.add(running.title, client, SECONDS, "s", ended.seconds)
                result.add(running.title, client, CPU, "s", ended.cpu_seconds)
        result.verdicts += _verdicts(result, running.title)
    source.unlink()
    return result


def _saved(running: Running, client: str, source: Path) -> Ended:
    """Save once, see that all of it is there, and remove it."""
    bucket, size = running.bucket(), source.stat().st_size
    job = {
        "client": client,
        "bucket": bucket._asdict(),
        "path": str(source),
        "name": "large.pdf",
    }
    ended = run(python("bench.object_save")._replace(input=json.dumps(job)), _LONGEST)
    key = f"{bucket.location}/large.pdf"
    found = running.server.client.head_object(Bucket=bucket.bucket, Key=key)
    if found["ContentLength"] != size:
        raise BenchError(f"{client} stored {found['ContentLength']} bytes")
    running.server.client.delete_object(Bucket=bucket.bucket, Key=key)
    return ended


def _verdicts(result: Result, server: str) -> list[Verdict]:
    ours, _, peer = CLIENTS
    memory = result.median(server, ours, MEMORY)
    seconds = [result.median(server, client, SECONDS) for client in (ours, peer)]
    times = seconds[0] / seconds[1]
    return [
        Verdict("under 100 MB", server, f"{memory:.0f} MB", memory < _MOST_MEGABYTES),
        Verdict(
            f"at most {_MOST_TIMES} times django-storages",
            server,
            f"{seconds[0]:.1f} s beside {seconds[1]:.1f} s: {times:.2f} times",
            times <= _MOST_TIMES,
        ),
    ]
