"""Whole operations of the app on a bucket far away: seconds, at so many milliseconds a request.

``python -m bench.paperless.latency [MILLISECONDS [ROUNDS]]`` prints a table: the small project of
the tests, moto, and a proxy on loopback that delays each request.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.paperless.children import SMALL, migrated
from tests.servers.moto_server import moto_server


def measured(delay: int) -> dict[str, dict[str, Any]]:
    """Run all operations once; return requests and seconds by their names."""
    with tempfile.TemporaryDirectory() as folder, moto_server() as server:
        migrated(SMALL, Path(folder))
        arguments = [
            "-m",
            "tests.paperless.counting",
            server.endpoint_url,
            server.bucket,
            str(delay),
        ]
        done = SMALL.run(arguments, SMALL.environment(Path(folder)))
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def main(delay: int = 300, rounds: int = 3) -> None:
    """Print the median of some rounds, and their range."""
    runs = [measured(delay) for _ in range(rounds)]
    lines = [f"| operation | requests | seconds at {delay} ms a request |", "|---|---|---|"]
    for name, requests in runs[0]["requests"].items():
        seconds = sorted(run["seconds"][name] for run in runs)
        middle = statistics.median(seconds)
        span = f"{middle:.2f} ({seconds[0]:.2f} to {seconds[-1]:.2f})"
        lines.append(f"| {name} | {len(requests)} | {span} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
