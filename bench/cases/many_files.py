"""(e) Very many small files: how fast a pass is, and how much memory and disk it takes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.servers.rclone_server import rclone_binary

from bench import clients
from bench.processes import python, run
from bench.results import Result, Verdict
from bench.trees import link_tree, plant_many

if TYPE_CHECKING:
    from pathlib import Path

    from bench.processes import Command
    from bench.setting import Setting

WHERE = "a folder on disk"
ADOPTING = "paperfleet, first run, all there"
UNCHANGED = "paperfleet, nothing changed"
SURVEY = "paperfleet, one pass over the source"
RCLONE = "rclone sync, nothing changed"
SECONDS, MEMORY, JOURNAL, RATE = "seconds", "peak memory", "journal", "files a second"
_LEAST_RATE, _MOST_MEGABYTES = 30_000, 200


def measure(setting: Setting) -> Result:
    """Take over a target that has everything, then run on what has not changed."""
    files = setting.scale.many
    result = Result(
        "many_files",
        "Very many files",
        f"{files:,} files of about 200 bytes, 100 in a folder, to a folder on disk. The first run "
        "finds all of them at the target and hashes them; then nothing has changed. The pass is "
        "that over the source alone: list, stat, compare with the journal.",
    )
    setting.say(f"  {WHERE}")
    source, target, journal = (setting.path(name) for name in ("source", "target", "journal"))
    plant_many(source, files)
    link_tree(source, target)
    ours = clients.paperfleet_locally(source, target, journal, "--adopt", "mtime")
    _measure_process(result, ADOPTING, ours)
    result.add(WHERE, ADOPTING, JOURNAL, "MB", journal.stat().st_size / 1e6)
    for _ in range(setting.scale.rounds):
        _measure_process(result, UNCHANGED, ours)
        if rclone_binary():
            _measure_process(result, RCLONE, clients.rclone_locally(source, target))
        _measure_pass(result, source, target, journal)
    _judge(result)
    shutil.rmtree(source)
    shutil.rmtree(target)
    return result


def _measure_process(result: Result, client: str, command: Command) -> None:
    ended = run(command)
    result.add(WHERE, client, SECONDS, "s", ended.seconds)
    result.add(WHERE, client, MEMORY, "MB", ended.peak_bytes / 1e6)


def _measure_pass(result: Result, source: Path, target: Path, journal: Path) -> None:
    ended = run(python("bench.scanning", str(source), str(target), str(journal)))
    found = json.loads(ended.output)
    result.add(WHERE, SURVEY, SECONDS, "s", found["seconds"])
    result.add(WHERE, SURVEY, MEMORY, "MB", ended.peak_bytes / 1e6)
    result.add(WHERE, SURVEY, RATE, "", found["files"] / found["seconds"])


def _judge(result: Result) -> None:
    rate = result.median(WHERE, SURVEY, RATE)
    result.verdicts.append(
        Verdict("30,000 files a second", WHERE, f"{rate:,.0f} a second", rate >= _LEAST_RATE)
    )
    peaks = [row.samples for row in result.rows if row.metric == MEMORY and row.client != RCLONE]
    most = max(max(samples) for samples in peaks)
    result.verdicts.append(
        Verdict("under 200 MB of memory", WHERE, f"{most:.0f} MB at most", most < _MOST_MEGABYTES)
    )
