"""(b) Nothing has changed, and the client has to find that out."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from bench import clients
from bench.processes import run
from bench.processes import running as process
from bench.relay import counted
from bench.results import Result, Verdict
from bench.setting import sync, wait_for
from bench.trees import plant

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from bench.servers import Target
    from bench.setting import Running, Setting

SECONDS, REQUESTS, LOOKS = "seconds", "requests", "requests a look"
RUNNING = "paperfleet, running"
_TEN_TIMES = 10


def measure(setting: Setting) -> Result:
    """Measure time on the direct way and count requests through a relay."""
    scale = setting.scale
    result = Result(
        "unchanged",
        "Nothing changed",
        f"Source and target are equal: {scale.tree}, at the simulated Nextcloud {scale.simulated}. "
        "A whole process each, and what a mirror that runs asks to see that nothing has changed "
        "at the target.",
    )
    for server in setting.servers():
        source = setting.path("source")
        plant(source, setting.tree(server.kind))
        _measure_seconds(setting, server, source, result)
        _count_requests(setting, server, source, result)
        _judge(result, server)
        shutil.rmtree(source)
    return result


def _measure_seconds(setting: Setting, server: Running, source: Path, result: Result) -> None:
    journal = setting.path("journal")
    compared = [clients.ours(), *clients.rclones()]
    with server.folder() as target:
        _prepare(source, target, target, journal)
        for _ in range(setting.rounds(server.kind)):
            for client in compared:
                ended = run(client.sync(source, target, journal))
                result.add(server.title, client.name, SECONDS, "s", ended.seconds)


def _prepare(source: Path, target: Target, at: Target, journal: Path) -> None:
    """Make the target equal, and let each client see it so once."""
    sync(clients.ours().sync(source, at, journal), source, target.root)
    for client in clients.rclones()[:1]:
        run(client.sync(source, at, journal))
    run(clients.ours().sync(source, at, journal))


def _count_requests(setting: Setting, server: Running, source: Path, result: Result) -> None:
    journal = setting.path("journal")
    with server.folder() as target, counted(target.url) as relay:
        at = target.through(relay.url)
        _prepare(source, target, at, journal)
        for client in [clients.ours(), *clients.rclones()]:
            relay.taken()
            run(client.sync(source, at, journal))
            _add(result, server, client.name, REQUESTS, relay.taken())
        if server.kind.simulated:
            looks = setting.scale.live_checks
            command = clients.paperfleet(source, at, journal, "--target-check-seconds", "1")
            with process(command):
                _until_idle(source, target)
                relay.taken()
                time.sleep(looks)
                found = relay.taken()
            text = f"{_described(found)} in {looks} looks"
            result.add(server.title, RUNNING, LOOKS, "", found.total() / looks, text)


def _until_idle(source: Path, target: Target) -> None:
    """Wait until a mirror that was just started follows changes, and has looked after the last."""
    (source / "ready.txt").write_text("ready")
    wait_for(target.root / "ready.txt")
    time.sleep(3)


def _add(result: Result, server: Running, client: str, metric: str, methods: Counter[str]) -> None:
    result.add(server.title, client, metric, "", methods.total(), _described(methods))


def _described(methods: Counter[str]) -> str:
    return ", ".join(f"{count} {method}" for method, count in methods.most_common()) or "none"


def _judge(result: Result, server: Running) -> None:
    ours = result.median(server.title, clients.OURS, REQUESTS)
    if server.kind.simulated:
        looks = result.median(server.title, RUNNING, LOOKS)
        measured = f"{looks:g} a look while running, {ours:g} for a whole process with its start"
        result.verdicts.append(Verdict("one request", server.title, measured, looks <= 1))
        return
    best = result.best(server.title, [c.name for c in clients.rclones()], REQUESTS)
    if best is not None:
        measured = f"{ours:g} beside {best[1]:g} ({best[0]})"
        reached = ours * _TEN_TIMES <= best[1]
        target = "a tenth of rclone's requests"
        result.verdicts.append(Verdict(target, server.title, measured, reached))
