"""``paperfleet settings``: what is in force, and where it comes from."""

from __future__ import annotations

import os

import click

from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import exit_codes_page, help_text
from paperfleet.running.printing import say
from paperfleet.settings.config import origins, read
from paperfleet.settings.reference import settings_page
from paperfleet.storage.addresses import redacted
from paperfleet.storage.names import readable

EXAMPLES = """\b
Examples:
  paperfleet settings
  paperfleet settings --config /etc/paperfleet.toml
"""


@click.command("settings", epilog=EXAMPLES + help_text("settings"))
@click.option("--markdown", is_flag=True, help="Print docs/reference/settings.md instead.")
@click.option("--exit-codes", is_flag=True, help="Print docs/reference/exit-codes.md instead.")
@setting_options()
def command(*, markdown: bool, exit_codes: bool, **arguments: object) -> None:
    """Show every setting with its value and where it comes from; secrets stay hidden."""
    if markdown:
        click.echo(settings_page(), nl=False)
        return
    if exit_codes:
        click.echo(exit_codes_page(), nl=False)
        return
    reading = read(arguments, os.environ)
    for setting, value, origin in origins(reading):
        shown = "-" if value in (None, "") else readable(redacted(str(value)))
        say(f"{setting.key:<22} {shown:<24} {origin}")
    for notice in (*reading.notices, *reading.warnings):
        say(notice)
