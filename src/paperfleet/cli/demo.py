"""``paperfleet demo``: see the mirror work, with nothing to set up."""

from __future__ import annotations

import click

from paperfleet.cli import mirror
from paperfleet.errors import ConfigurationError
from paperfleet.running.exitcodes import help_text

EXAMPLES = """\b
Examples:
  paperfleet demo
  paperfleet demo /srv/documents nextclouds://alice@cloud.example/Archive
"""


@click.command("demo", epilog=EXAMPLES + help_text("demo"))
@click.argument("source", required=False)
@click.argument("target", required=False)
@click.pass_context
def command(context: click.Context, source: str | None, target: str | None) -> int:
    """Show the mirror between a few PDFs and a WebDAV server, both made here and removed again.

    With SOURCE and TARGET it is `paperfleet mirror` on your own, until Ctrl-C.
    """
    if source and target:
        return int(context.invoke(mirror.command, source=source, target=target))
    if source:
        raise ConfigurationError(
            "SOURCE without TARGET", hint="Give both, or none for documents made here"
        )
    _story()
    return 0


def _story() -> None:
    try:
        from paperfleet.demo import story  # noqa: PLC0415  # an optional extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the demo needs {error.name}", hint="Run: pip install 'paperfleet[demo]'"
        ) from None
    story.run(click.echo)
