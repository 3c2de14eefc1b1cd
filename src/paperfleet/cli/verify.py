"""``paperfleet verify``: check a storage against the receipt of a migration."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import click

from paperfleet.cli.options import threads_option
from paperfleet.errors import ConfigurationError
from paperfleet.running.exitcodes import FAILED, FINE, UNFINISHED, help_text
from paperfleet.running.printing import say, say_json
from paperfleet.running.words import files_text, size_text
from paperfleet.settings.options import STORAGE_OPTIONS
from paperfleet.storage.names import readable

EXAMPLES = """\b
Examples:
  paperfleet verify documents.receipt s3://my-docs/originals
  paperfleet verify --json documents.receipt /mnt/backup/documents

\b
Secret options stand in PAPERFLEET_STORAGE_OPTIONS, as JSON, or in a file named by
PAPERFLEET_STORAGE_OPTIONS_FILE.

"""


@click.command("verify", epilog=EXAMPLES + help_text("verify"))
@click.argument("receipt", type=click.Path(path_type=Path))
@click.argument("storage")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@threads_option
def command(receipt: Path, storage: str, *, as_json: bool, threads: int) -> int:
    """Read every file that RECEIPT names from STORAGE and compare its bytes."""
    from paperfleet.settings.storages import storage_of  # noqa: PLC0415
    from paperfleet.storage.full import full  # noqa: PLC0415
    from paperfleet.transfer.receipt import parse  # noqa: PLC0415  # slow to import
    from paperfleet.transfer.verify import FileState, check  # noqa: PLC0415

    try:
        with receipt.open(encoding="utf-8") as lines:
            expected = parse(lines)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"the receipt {receipt} cannot be read: {reason}") from None
    with full(storage_of(storage, STORAGE_OPTIONS, os.environ, is_there=True)) as opened:
        results = list(check(expected, opened, threads))
    counts = Counter(result.state for result in results)
    wrong = [result for result in results if result.state is not FileState.INTACT]
    if as_json:
        document = {
            "intact": counts[FileState.INTACT],
            "left_out": dict(expected.left_out),
            "wrong": [
                {"name": r.entry.name, "state": r.state.value, "reason": r.reason} for r in wrong
            ],
        }
        say_json(document)
    else:
        for result in wrong:
            say(f"{result.state.value}: {readable(result.entry.name)}: {result.reason}")
        total = f"{files_text(len(results))}, {size_text(expected.size)} in the receipt"
        words = ", ".join(
            f"{counts[state]:,} {state.value}" for state in FileState if counts[state]
        )
        say(f"{total} of {expected.created}: {words or 'nothing to check'}")
        for name, reason in expected.left_out.items():
            say(f"was never brought over: {readable(name)}: {reason}")
    if not results:
        say("The receipt names no file: nothing was proven.", err=True)
        return UNFINISHED
    return FAILED if wrong else FINE
