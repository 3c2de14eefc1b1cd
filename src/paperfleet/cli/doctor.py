"""``paperfleet doctor``: looks at all that usually goes wrong."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import FINE, UNFINISHED, WRONG, help_text
from paperfleet.running.printing import say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.doctor.examining import Examined
    from paperfleet.doctor.masking import Mask

EXAMPLES = """\b
Examples:
  paperfleet doctor /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet doctor --write-probe /srv/documents https://dav.example/documents
  paperfleet doctor --paperless https://paperless.example nextclouds://alice@cloud.example/Archive
  paperfleet doctor --json /srv/documents /mnt/usb/documents | jq '.results[]'

"""
_SETTINGS = (
    "paperless",
    "paperless_token_file",
    "username",
    "password_file",
    "poll_seconds",
    "follow_links",
    "journal",
    "lease_file",
    "allow_plain_http",
    "ca_file",
    "client_certificate",
    "timeout_seconds",
)
MOST_NAMES = 50


@click.command("doctor", epilog=EXAMPLES + help_text("doctor"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.option(
    "--write-probe",
    "writes",
    is_flag=True,
    help="Try what only a write can show, by small files in a folder that is removed again.",
)
@click.option(
    "--names", "with_names", is_flag=True, help="Name the documents that something is said about."
)
@setting_options(*_SETTINGS)
def command(*, as_json: bool, writes: bool, with_names: bool, **arguments: object) -> int:
    """Look at all that usually goes wrong, and say what to do about it. Nothing is changed.

    The settings are those of `paperfleet mirror`, from the command line, variables or a TOML file.
    A password is tried once. No password, key or token is printed; hosts, users and folders are.
    """
    from paperfleet.doctor.rounds import Doctor  # noqa: PLC0415  # slow to import

    doctor = Doctor(arguments, os.environ, writes=writes)
    found = list(doctor.examine())
    if as_json:
        say_json(document(found, doctor.mask, with_names=with_names))
    else:
        show(found, doctor.mask, with_names=with_names)
    code = exit_code(found)
    if doctor.left:
        sys.stdout.flush()
        os._exit(code)  # what did not end would be waited for
    return code


def exit_code(found: Sequence[Examined]) -> int:
    """Return what the results mean: a problem, something that stays unknown, or neither."""
    verdicts = {one.result.verdict.value for one in found}
    if "problem" in verdicts:
        return WRONG
    return UNFINISHED if "unknown" in verdicts else FINE


def document(
    found: Sequence[Examined], mask: Mask, *, with_names: bool = False
) -> dict[str, object]:
    """Return the results as JSON: ``results`` in their order, and how many there are of each."""
    results = []
    for area, check, result in found:
        row: dict[str, object] = {
            "area": area,
            "check": check,
            "verdict": result.verdict.value,
            "text": mask(result.text),
            "remedy": mask(result.remedy),
        }
        if with_names and result.names:
            row["names"] = [mask(name) for name in result.names]
        results.append(row)
    return {"results": results, "counts": dict(_counts(found))}


def _counts(found: Sequence[Examined]) -> Counter[str]:
    return Counter(one.result.verdict.value for one in found)


def show(found: Sequence[Examined], mask: Mask, *, with_names: bool = False) -> None:
    """Print the results as a table, and what is to be done below it."""
    from rich.console import Console  # noqa: PLC0415  # slow to import

    from paperfleet.cli.doctortable import table_of  # noqa: PLC0415  # as above

    console = Console(highlight=False, soft_wrap=True)
    console.print(table_of(found, mask))
    for area, check, result in found if with_names else ():
        if result.names:
            say("", f"{area}, {check}: {mask(result.text)}")
            say(*(f"  {mask(name)}" for name in result.names[:MOST_NAMES]))
            if len(result.names) > MOST_NAMES:
                say(f"  and {len(result.names) - MOST_NAMES:,} more: --json has all")
    hidden = sum(bool(one.result.names) for one in found)
    if hidden and not with_names:
        say("", "--names shows the documents that are meant")
    told = ", ".join(f"{count} {verdict}" for verdict, count in _counts(found).items())
    say("", told)
