"""``python -m bench.paperless``: measure, write the results and the page.

``PAPERLESS_SRC`` and ``PAPERLESS_PYTHON`` are those of ``make test-paperless``.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.paperless import checkout
from tests.paperless.installation import Bucket, Servers, installed
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.redis_server import redis_missing, redis_server

from bench import report
from bench.machine import machine
from bench.paperless import measuring
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from tests.paperless.installation import Installation
    from tests.paperless.rest import Rest

HERE = Path(__file__).parent
STOCK, IDLE, S3 = "paperless-ngx by itself", "with the app, nothing set", "with the app, S3"
CONSUME, CLOCK, DOWNLOAD = "consume, in the tasks", "consume, by the clock", "download"
LIST, START, SANITY = "list of 1,000", "start-up", "sanity check"
RENAME, MOVED = "rename", "rename, until the files are moved"
# What is to be reached: the metric, the client, and the most it may take of stock's time.
SHARES = ((CONSUME, IDLE, 1.03), (CONSUME, S3, 1.15), (RENAME, S3, 2.0))
MOST_START_UP = 0.1


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    consumed: int = 17
    documents: int = 2000
    moved: int = 500
    downloads: int = 100
    rounds: int = 3
    starts: int = 15


QUICK = Scale(consumed=2, documents=20, moved=5, downloads=5, rounds=1, starts=3)


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.paperless", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little, to see that it works")
    parser.add_argument("--only", choices=[START], help="print this alone, and store nothing")
    options = parser.parse_args()
    missing = checkout.missing() or postgres_missing() or redis_missing()
    if missing:
        sys.stderr.write(f"python -m bench.paperless: {missing}\n")
        return 2
    scale = QUICK if options.quick else Scale()
    about = machine() | {"paperless-ngx": checkout.checkout().label}
    with TemporaryDirectory(prefix="bench-") as scratch:
        result = measure(scale, Path(scratch), starts_only=options.only == START)
    tables = report.markdown([result], about)
    print(tables)
    if not (options.quick or options.only):
        report.write_json(HERE.parent / "results", result, about)
        report.update_readme(HERE / "README.md", tables)
    return 0


def measure(scale: Scale, scratch: Path, *, starts_only: bool = False) -> Result:
    """Measure each client in turn with the others, so that all meet the same machine."""
    result = Result(
        "paperless",
        "paperless-ngx",
        f"Consume of {scale.consumed * scale.rounds} small text PDFs by one worker, in "
        f"{scale.rounds} rounds, by what the worker says its tasks took and by the clock; "
        f"download of {scale.downloads} originals; a storage path that {scale.moved} documents "
        f"have gets another template; a sanity check of {scale.documents} documents; the processor "
        "time of `django.setup()`. The S3 server is "
        "`rclone serve s3` on loopback.",
    )
    with ExitStack() as stack:
        servers = Servers(
            stack.enter_context(postgres_server()), stack.enter_context(redis_server())
        )
        made = {
            name: stack.enter_context(installation)
            for name, installation in _installations(stack, servers, scratch)
        }
        for installation in made.values():
            measuring.run_until_set_up(installation)
        for _ in range(scale.starts):
            for name, installation in made.items():
                result.add("", name, START, "s", measuring.start_up(installation))
        if not starts_only:
            _measure(result, made, scale)
    _judge(result)
    return result


def _installations(
    stack: ExitStack, servers: Servers, scratch: Path
) -> Iterator[tuple[str, AbstractContextManager[Installation]]]:
    server = stack.enter_context(rclone_s3_server())
    # Upstream's default: a PDF that has text gets no archive.
    settings = {"PAPERLESS_ARCHIVE_FILE_GENERATION": "auto"}
    app = {"PAPERLESS_APPS": "paperfleet.paperless"}
    paperless = checkout.checkout()
    yield STOCK, installed(paperless, servers, scratch / "stock", None, settings)
    yield IDLE, installed(paperless, servers, scratch / "idle", None, settings | app)
    yield S3, installed(paperless, servers, scratch / "s3", Bucket(server, "bench"), settings)


def _measure(result: Result, made: Mapping[str, Installation], scale: Scale) -> None:
    paths = {
        name: measuring.seed(installation, scale.documents, scale.moved)
        for name, installation in made.items()
    }
    for installation in made.values():
        installation.start("web", "worker")
    with ExitStack() as stack:
        clients = {name: stack.enter_context(measuring.client(one)) for name, one in made.items()}
        for name, rest in clients.items():
            measuring.consume(made[name], rest, 1)  # what the first one alone pays
        for number in range(scale.rounds):
            for name, installation in made.items():
                sys.stderr.write(f"round {number + 1}: {name}\n")
                _measure_one(result, name, installation, clients[name], scale)
                over, moved = measuring.rename(
                    installation, clients[name], paths[name], scale.moved, f"after{number}"
                )
                result.add("", name, RENAME, "s", over)
                result.add("", name, MOVED, "s", moved)


def _measure_one(
    result: Result, name: str, installation: Installation, rest: Rest, scale: Scale
) -> None:
    result.add("", name, SANITY, "s", measuring.sanity(installation))
    in_tasks, by_clock = measuring.consume(installation, rest, scale.consumed)
    result.add("", name, CONSUME, "s", in_tasks)
    result.add("", name, CLOCK, "s", by_clock)
    result.add("", name, LIST, "s", measuring.listing(rest))
    for seconds in measuring.download(rest, scale.downloads // scale.rounds):
        result.add("", name, DOWNLOAD, "ms", seconds * 1000)


def _judge(result: Result) -> None:
    for metric, client, share in SHARES:
        if result.find("", client, metric) is None:
            continue
        stock, ours = (result.median("", name, metric) for name in (STOCK, client))
        measured = f"{ours / stock:.2f} times the time of paperless-ngx by itself"
        target = f"{metric}, {client}: at most {share:g} times"
        result.verdicts.append(Verdict(target, "", measured, ours <= stock * share))
    stock = result.median("", STOCK, START)
    for client in (IDLE, S3):
        more = result.median("", client, START) - stock
        target = f"{START}, {client}: at most {MOST_START_UP * 1000:.0f} ms more"
        result.verdicts.append(Verdict(target, "", f"{more * 1000:.0f} ms", more <= MOST_START_UP))


if __name__ == "__main__":
    sys.exit(main())
