"""Where the program begins: find the command, run it, turn its end into an exit code."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, cast

import click

from paperfleet.errors import PaperfleetError
from paperfleet.running.exitcodes import FINE, WRONG
from paperfleet.running.printing import say

if TYPE_CHECKING:
    from collections.abc import Sequence

# Imported when asked for, so that `paperfleet health` costs no more than it needs.
COMMANDS = (
    "mirror",
    "status",
    "approve",
    "adopt",
    "prune",
    "health",
    "doctor",
    "migrate",
    "verify",
    "repair",
    "backup",
    "run",
    "manage",
    "settings",
    "demo",
)


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"paperfleet.cli.{cmd_name}")
        return cast("click.Command", module.command)


EXAMPLES = """\b
Examples:
  paperfleet mirror /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet status
  paperfleet COMMAND --help
"""


@click.group(
    cls=_Commands, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="paperfleet", message="paperfleet %(version)s")
def paperfleet() -> None:
    """Mirror the documents of paperless-ngx, the moment they are written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (``cli.exitcodes``)."""
    if arguments is None:
        _insist_on_utf8()
        _print_anything()
    try:
        result = paperfleet.main(arguments, prog_name="paperfleet", standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        return WRONG
    except click.Abort:
        say("Aborted", err=True)
        return WRONG
    except PaperfleetError as error:
        say(f"paperfleet: {error.message}", err=True)
        if error.hint:
            say(*(f"  {line}" for line in error.hint.split("\n")), err=True)
        return WRONG
    return result if isinstance(result, int) else FINE


def _show(error: click.ClickException) -> None:
    """Show what is wrong with the command line, which may hold names too."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        say(context.get_usage(), f"Try '{context.command_path} --help' for help.", "", err=True)
    say(f"Error: {error.format_message()}", err=True)


def _insist_on_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale would have names in anything else."""
    if sys.getfilesystemencoding() != "utf-8":
        command = [sys.executable, "-P", "-m", "paperfleet", *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | {"PYTHONUTF8": "1"})  # noqa: S606  # itself


def _print_anything() -> None:
    """Let a stream in a narrower encoding show escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
