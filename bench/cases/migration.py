"""(i) A folder is migrated to a bucket, verification included."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.servers.rclone_server import rclone_binary

from bench.buckets import address, fast_server, our_environment, rclone_environment
from bench.processes import BenchError, Command, python, run
from bench.results import Result, Verdict
from bench.trees import plant

if TYPE_CHECKING:
    from pathlib import Path

    from bench.buckets import Running
    from bench.object_clients import Bucket
    from bench.setting import Setting

OURS = "paperfleet migrate --threads 16"
RCLONE = "rclone copy --transfers 16 --checksum"
SECONDS, CPU, MEMORY = "seconds", "processor time", "peak memory"
_LONGEST = 900.0


def measure(setting: Setting) -> Result:
    """Migrate into an empty folder of keys, each client in turn."""
    tree = setting.scale.migrated
    result = Result(
        "migration",
        "Migration of a folder to a bucket",
        f"{tree} into an empty folder of keys. Sixteen files at a time each. What `paperfleet "
        "migrate` sent is proven by SHA-256 and the store's own checksum; a receipt is written.",
    )
    source = setting.path("source")
    plant(source, tree)
    clients = [OURS, RCLONE] if rclone_binary() else [OURS]
    with fast_server() as running:
        setting.say(f"  {running.title}")
        for turn in range(setting.scale.rounds):
            for client in clients if turn % 2 == 0 else reversed(clients):
                _measure_client(setting, running, client, source, result)
    shutil.rmtree(source)
    _judge(result, running)
    return result


def _measure_client(
    setting: Setting, running: Running, client: str, source: Path, result: Result
) -> None:
    bucket = running.bucket()
    state = setting.path("state")
    command = _ours(source, bucket, state) if client == OURS else _rclone(source, bucket)
    ended = run(command, _LONGEST)
    _require_all(running, bucket, source)
    result.add(running.title, client, SECONDS, "s", ended.seconds)
    result.add(running.title, client, CPU, "s", ended.cpu_seconds)
    result.add(running.title, client, MEMORY, "MB", ended.peak_bytes / 1e6)


def _ours(source: Path, bucket: Bucket, state: Path) -> Command:
    env = our_environment(bucket, "PAPERFLEET_TARGET_OPTIONS") | {"XDG_STATE_HOME": str(state)}
    receipt = ("--receipt", f"{state}.receipt")
    return python(
        "paperfleet", "migrate", "--threads", "16", str(source), address(bucket), *receipt, env=env
    )


def _rclone(source: Path, bucket: Bucket) -> Command:
    target = f"bench:{bucket.bucket}/{bucket.location}"
    arguments = [str(rclone_binary()), "copy", "--transfers", "16", "--checksum"]
    return Command([*arguments, str(source), target], rclone_environment(bucket))


def _require_all(running: Running, bucket: Bucket, source: Path) -> None:
    """Raise ``BenchError`` unless every file is there in its size."""
    wanted = {
        f"{bucket.location}/{path.relative_to(source).as_posix()}": path.stat().st_size
        for path in source.rglob("*")
        if path.is_file()
    }
    pages = running.server.client.get_paginator("list_objects_v2")
    found = {
        item["Key"]: item["Size"]
        for page in pages.paginate(Bucket=bucket.bucket, Prefix=f"{bucket.location}/")
        for item in page.get("Contents", [])
    }
    if found != wanted:
        raise BenchError(f"{len(found)} of {len(wanted)} files arrived")


def _judge(result: Result, running: Running) -> None:
    theirs = result.find(running.title, RCLONE, SECONDS)
    if theirs is None:
        return
    ours = result.median(running.title, OURS, SECONDS)
    measured = f"{ours:.1f} s beside {theirs.median:.1f} s"
    result.verdicts.append(
        Verdict("no slower than rclone", running.title, measured, ours <= theirs.median)
    )
