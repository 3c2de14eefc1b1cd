"""(h) A large file is saved to a bucket: how much memory it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.buckets import fast_server
from bench.processes import BenchError, python, run
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from bench.setting import Setting

CLIENTS = ("paperfleet", "django-storages")
MEMORY, SECONDS, CPU = "peak memory", "seconds", "processor time"
_MOST_MEGABYTES = 100
_LONGEST = 600.0


def measure(setting: Setting) -> Result:
    """Save once with each client, each in a process of its own."""
    megabytes = setting.scale.saved_mb
    result = Result(
        "object_memory",
        "Memory of a large save",
        f"A file of {megabytes:,} MB is saved, each client in a process of its own; the memory is "
        "all that the process has, Python and libraries included. Paperfleet reads the file twice, "
        "so that its checksum is noted with the object and proven by the store.",
    )
    source = setting.path("large")
    with source.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    with fast_server() as running:
        setting.say(f"  {running.title}")
        for client in CLIENTS:
            bucket = running.bucket()
            job = {
                "client": client,
                "bucket": bucket._asdict(),
                "path": str(source),
                "name": "large.pdf",
            }
            ended = run(python("bench.object_save")._replace(input=json.dumps(job)), _LONGEST)
            key = f"{bucket.location}/large.pdf"
            found = running.server.client.head_object(Bucket=bucket.bucket, Key=key)
            if found["ContentLength"] != megabytes * 1_000_000:
                raise BenchError(f"{client} stored {found['ContentLength']} bytes")
            running.server.client.delete_object(Bucket=bucket.bucket, Key=key)
            result.add(running.title, client, MEMORY, "MB", ended.peak_bytes / 1e6)
            result.add(running.title, client, SECONDS, "s", ended.seconds)
            result.add(running.title, client, CPU, "s", ended.cpu_seconds)
        ours = result.median(running.title, CLIENTS[0], MEMORY)
    source.unlink()
    result.verdicts.append(
        Verdict("under 100 MB", running.title, f"{ours:.0f} MB", ours < _MOST_MEGABYTES)
    )
    return result
