"""(d) A mirror that runs: from a file's close until it is at the target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench import clients
from bench.edits import FOLDER, KEPT, KINDS, SIZE
from bench.processes import run
from bench.processes import running as process
from bench.results import Result, Verdict
from bench.setting import wait_for
from bench.trees import plant

if TYPE_CHECKING:
    from pathlib import Path

    from bench.servers import Target
    from bench.setting import Running, Setting

BARE = "bare request"
SETTLE_SECONDS = 0.1
_ALLOWED = 1.5
_BLOCKS = 2


def measure(setting: Setting) -> Result:
    """Measure blocks of changes, a mirror's and bare ones in turn."""
    result = Result(
        "latency",
        "Latency of single changes",
        f"{setting.scale.edits} changes of each kind to files of {SIZE / 1000:g} and "
        f"{2 * SIZE / 1000:g} KB, one after the other, beside {setting.scale.others}. "
        "From close (rename, unlink) until the server has it on disk, looked at every millisecond. "
        "The mirror waits 0.1 s for more changes of the same file; "
        "the bare request is one PUT, MOVE or DELETE by the same HTTP client on a connection "
        "that is open.",
    )
    for server in setting.servers():
        for _ in range(_BLOCKS):
            number = max(1, setting.scale.edits // _BLOCKS)
            with server.folder() as target:
                _measure_bare(setting, target, number, result)
            with server.folder() as target:
                _measure_mirror(setting, target, number, result)
        _judge(result, server)
    return result


def _planted(setting: Setting) -> Path:
    source = setting.path("source")
    plant(source, setting.scale.others)
    (source / FOLDER).mkdir()
    (source / KEPT).write_text("so that the folder stays")
    return source


def _measure_bare(setting: Setting, target: Target, number: int, result: Result) -> None:
    run(clients.bare_put(_planted(setting), target, 4))
    _add(result, target, BARE, run(clients.edits(target, number, source=None)).output)


def _measure_mirror(setting: Setting, target: Target, number: int, result: Result) -> None:
    source = _planted(setting)
    with process(clients.paperfleet(source, target, setting.path("journal"))):
        wait_for(target.root / KEPT)
        (source / FOLDER / "ready.txt").write_text("ready")
        wait_for(target.root / FOLDER / "ready.txt")
        ended = run(clients.edits(target, number, source=source))
    _add(result, target, clients.OURS, ended.output)


def _add(result: Result, target: Target, client: str, output: str) -> None:
    for kind, samples in json.loads(output).items():
        for sample in samples:
            result.add(target.kind.title, client, kind, "ms", sample * 1000)


def _judge(result: Result, server: Running) -> None:
    for kind in KINDS:
        ours = result.median(server.title, clients.OURS, kind)
        bare = result.median(server.title, BARE, kind)
        allowed = _ALLOWED * bare + SETTLE_SECONDS * 1000
        measured = f"p50 {ours:.0f} ms, allowed {allowed:.0f} (bare {bare:.1f})"
        target = f"{kind}: within 1.5 bare requests and the settle time"
        result.verdicts.append(Verdict(target, server.title, measured, ours <= allowed))
