"""How the commands print: a line is one line, whatever stands in it."""

from __future__ import annotations

from typing import Protocol

import click

from paperfleet.printable import readable, readable_json


class Output(Protocol):
    """Django's wrapper of a stream: each write is a line."""

    def write(self, msg: str) -> object:
        """Write a line."""
        ...


def say(*lines: str, err: bool = False) -> None:
    """Print lines to standard output, or standard error; see ``paperfleet.printable``."""
    for line in lines:
        click.echo(readable(line), err=err)


def say_json(value: object) -> None:
    """Print JSON for a program, with line breaks for a person."""
    click.echo(readable_json(value, indent=2))


def tell(output: Output, *lines: str) -> None:
    """Write lines to a stream of Django, as ``say`` does."""
    for text in lines:
        output.write(readable(text))


def tell_json(output: Output, value: object) -> None:
    """Write JSON to a stream of Django, as ``say_json`` does."""
    output.write(readable_json(value, indent=2))
