"""The Nextcloud double as a program, for benchmarks and for tests that kill processes."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.nextcloud_double import APP_PASSWORD, USER, NextcloudDouble

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; the first line of output is the URL."""
    options = _parser().parse_args(arguments)
    double = _double(options)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    double.start()
    print(double.url, flush=True)
    ended.wait()
    double.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nextcloud_double", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder; files are in DIR/files")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--user", default=USER)
    parser.add_argument("--password", default=APP_PASSWORD, help="an app password")
    parser.add_argument("--account-password", default="", help="the account's own password")
    parser.add_argument(
        "--latency",
        type=_latency,
        action="append",
        default=[],
        metavar="METHOD=MS",
        help="simulated latency of a method, * for all others; may be repeated",
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="simulated latencies that run at once; 0: all"
    )
    return parser


def _latency(text: str) -> tuple[str, float]:
    method, _, milliseconds = text.partition("=")
    return method.upper(), float(milliseconds) / 1000


def _double(options: argparse.Namespace) -> NextcloudDouble:
    double = NextcloudDouble(
        options.root,
        user=options.user,
        password=options.password,
        account_password=options.account_password or options.password + " (account)",
        port=options.port,
    )
    double.latency = dict(options.latency)
    double.workers = threading.Semaphore(options.workers) if options.workers else None
    return double


if __name__ == "__main__":
    main()
