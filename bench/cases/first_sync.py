"""(a) The first sync: everything has to be sent."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench import clients
from bench.results import Result, Verdict
from bench.setting import Running, Setting, sync
from bench.trees import plant

if TYPE_CHECKING:
    from pathlib import Path

    from bench.clients import Client

SECONDS, CPU, MEMORY = "seconds", "processor time", "peak memory"
_CONNECTIONS = (1, 4, 8)
_SAME, _TWICE = 1.0, 0.5


def measure(setting: Setting) -> Result:
    """Measure every client on every server, in turn."""
    scale = setting.scale
    result = Result(
        "first_sync",
        "First sync",
        f"{scale.tree} into an empty folder; to the simulated Nextcloud {scale.simulated}. "
        "From the start of the process until the last file is at the target.",
    )
    for running in setting.servers():
        # It waits 10 ms before each request, so that one run, once, says it all: it takes long.
        once = [] if result.rows and not running.kind.simulated else clients.rclone_as_it_is()
        _measure_server(setting, running, once, result)
        _judge(result, running)
    return result


def _measure_server(setting: Setting, running: Running, once: list[Client], result: Result) -> None:
    source = setting.path("source")
    plant(source, setting.tree(running.kind))
    compared = [clients.ours(), *clients.rclones(), *clients.bare(*_CONNECTIONS)]
    for number in range(setting.rounds(running.kind)):
        for client in compared if number else compared + once:
            _measure_client(setting, running, client, source, result)
    shutil.rmtree(source)


def _measure_client(
    setting: Setting, running: Running, client: Client, source: Path, result: Result
) -> None:
    with running.folder() as target:
        ended = sync(client.sync(source, target, setting.path("journal")), source, target.root)
    result.add(running.title, client.name, SECONDS, "s", ended.seconds)
    result.add(running.title, client.name, CPU, "s", ended.cpu_seconds)
    result.add(running.title, client.name, MEMORY, "MB", ended.peak_bytes / 1e6)


def _judge(result: Result, running: Running) -> None:
    best = result.best(running.title, [c.name for c in clients.rclones()], SECONDS)
    if best is None:
        return
    share = _TWICE if running.kind.simulated else _SAME
    ours = result.median(running.title, clients.OURS, SECONDS)
    target = (
        "at least twice as fast as rclone"
        if running.kind.simulated
        else ("no slower than rclone at its best")
    )
    measured = (
        f"{ours:.2f} s beside {best[1]:.2f} s ({best[0]}): {best[1] / ours:.2f} times as fast"
    )
    result.verdicts.append(Verdict(target, running.title, measured, ours <= share * best[1]))
