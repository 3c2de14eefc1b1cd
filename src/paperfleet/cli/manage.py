"""``paperfleet manage``: a command of paperless-ngx's ``manage.py`` beside a role."""

from __future__ import annotations

import os

import click

from paperfleet.running.exitcodes import help_text

EXAMPLES = """\b
Examples:
  paperfleet manage paperfleet_check
  paperfleet manage document_exporter ../export
  docker compose exec web paperfleet manage paperfleet_fleet

"""


@click.command(
    "manage",
    epilog=f"{EXAMPLES}{help_text('manage')}",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, required=True, metavar="COMMAND…", type=click.UNPROCESSED)
def command(words: tuple[str, ...]) -> None:
    """Run a COMMAND of manage.py, as the container's role would: secrets in files are read."""
    # Not for --help of all commands, which is there at once.
    from paperfleet.fleet import launcher  # noqa: PLC0415

    launcher.manage(words, os.environ)
