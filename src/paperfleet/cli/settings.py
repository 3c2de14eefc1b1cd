"""``paperfleet settings``: what is in force, and where it comes from."""

from __future__ import annotations

import os

import click

from paperfleet.cli.options import setting_options
from paperfleet.running.exitcodes import exit_codes_page, help_text
from paperfleet.running.printing import say
from paperfleet.settings.config import origins, read
from paperfleet.settings.reference import app_page, backup_page, fleet_page, settings_page
from paperfleet.storage.addresses import redacted
from paperfleet.storage.names import readable

PAGES = {
    "settings": settings_page,
    "paperless-settings": app_page,
    "fleet-settings": fleet_page,
    "backup-settings": backup_page,
    "exit-codes": exit_codes_page,
}
"""The files of docs/reference that are made from tables."""

EXAMPLES = """\b
Examples:
  paperfleet settings
  paperfleet settings --config /etc/paperfleet.toml
"""


@click.command("settings", epilog=EXAMPLES + help_text("settings"))
@click.option("--page", type=click.Choice(list(PAGES)), help="Print this page of the docs instead.")
@setting_options()
def command(*, page: str | None, **arguments: object) -> None:
    """Show every setting with its value and where it comes from; secrets stay hidden."""
    if page:
        click.echo(PAGES[page](), nl=False)
        return
    reading = read(arguments, os.environ)
    for setting, value, origin in origins(reading):
        shown = "-" if value in (None, "") else readable(redacted(str(value)))
        say(f"{setting.key:<22} {shown:<24} {origin}")
    for notice in (*reading.notices, *reading.warnings):
        say(notice)
