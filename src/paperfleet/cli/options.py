"""The options of the commands, made from the table of settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paperfleet.settings.mirror import table
from paperfleet.settings.reference import default_text

if TYPE_CHECKING:
    from paperfleet.settings.table import Setting

Command = Callable[..., object]
MOST_THREADS = 256


def setting_options(*keys: str) -> Callable[[Command], Command]:
    """Add SOURCE, TARGET, ``--config`` and the options of these settings (none named: of all).

    The command gets what was given as text, by key, and None for what was not: the settings are
    read and checked in one place (``paperfleet.settings.config``).
    """
    rows = [table()[key] for key in keys] if keys else list(table().values())

    def decorate(command: Command) -> Command:
        for row in reversed(rows):
            command = _option(row)(command) if row.flag else command
        command = click.option(
            "--config", metavar="FILE", help="TOML file with settings in [mirror]."
        )(command)
        command = click.argument("target", required=False)(command)
        return click.argument("source", required=False)(command)

    return decorate


threads_option = click.option(
    "--threads",
    type=click.IntRange(1, MOST_THREADS),
    default=8,
    show_default=True,
    help="Files at one time.",
)


def _option(row: Setting) -> Callable[[Command], Command]:
    words = row.about.help.replace("`", "").rstrip(".")
    default = default_text(row).replace("`", "")
    if row.kind is bool:
        return click.option(row.flag, row.key, is_flag=True, default=None, help=f"{words}.")
    shown = f" [{default}]" if default else ""
    return click.option(row.flag, row.key, metavar=_metavar(row), help=f"{words}.{shown}")


def _metavar(row: Setting) -> str:
    if row.choices:
        return "|".join(row.choices)
    if row.kind is float:
        return "SECONDS" if row.key.endswith("seconds") else "NUMBER"
    names: dict[Any, str] = {int: "NUMBER", Path: "FILE", str: "TEXT"}
    return names[row.kind]
