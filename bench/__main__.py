"""``python -m bench``: measure, write the results and the tables."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench import report
from bench.cases import (
    autoscale,
    backup,
    cloud_bulk,
    first_sync,
    fleet,
    folder_rename,
    latency,
    many_files,
    migration,
    object_end,
    object_memory,
    objects,
    unchanged,
)
from bench.machine import machine
from bench.scale import FULL, QUICK
from bench.servers import SERVERS
from bench.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.results import Result

HERE = Path(__file__).parent
CASES: dict[str, Callable[[Setting], Result]] = {
    "first_sync": first_sync.measure,
    "cloud_bulk": cloud_bulk.measure,
    "unchanged": unchanged.measure,
    "folder_rename": folder_rename.measure,
    "latency": latency.measure,
    "many_files": many_files.measure,
    "objects": objects.measure,
    "object_end": object_end.measure,
    "object_memory": object_memory.measure,
    "migration": migration.measure,
    "fleet": fleet.measure,
    "autoscale": autoscale.measure,
    "backup": backup.measure,
}


def main() -> None:
    """Run the benchmarks that the command line asks for."""
    options = _parser().parse_args()
    chosen = options.only or list(CASES)
    output = options.output or (None if options.quick else HERE / "results")
    scale = QUICK if options.quick else FULL
    if options.documents:
        scale = replace(scale, documents=options.documents)
    about = machine()
    results = []
    with TemporaryDirectory(prefix="bench-") as scratch:
        setting = Setting(scale, Path(scratch), options.server)
        for name in chosen:
            begun = time.monotonic()
            setting.say(name)
            results.append(CASES[name](setting))
            setting.say(f"  {time.monotonic() - begun:.0f} s")
            if output:
                report.write_json(output, results[-1], about)
    tables = report.markdown(results, about)
    print(tables)
    if not (options.quick or options.server or options.only):
        report.update_readme(HERE / "README.md", tables)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=list(CASES), help="this one; may be repeated"
    )
    parser.add_argument(
        "--server", action="append", choices=list(SERVERS), help="this one; may be repeated"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny trees, to see that the benchmarks work"
    )
    parser.add_argument(
        "--documents", type=int, metavar="N", help="so many are backed up, instead of 10,000"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where the results go; default: bench/results, with --quick nowhere",
    )
    return parser


if __name__ == "__main__":
    main()
