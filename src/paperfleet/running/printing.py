"""How the commands print: a line is one line, whatever stands in it."""

from __future__ import annotations

import click

from paperfleet.printable import readable, readable_json


def say(*lines: str, err: bool = False) -> None:
    """Print lines to standard output, or standard error; see ``paperfleet.printable``."""
    for line in lines:
        click.echo(readable(line), err=err)


def say_json(value: object) -> None:
    """Print JSON for a program, with line breaks for a person."""
    click.echo(readable_json(value, indent=2))
