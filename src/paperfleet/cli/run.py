"""``paperfleet run``: one process of a fleet."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from paperfleet.fleet.roles import ROLES
from paperfleet.running.exitcodes import FINE, WRONG, help_text
from paperfleet.running.printing import say

if TYPE_CHECKING:
    from paperfleet.fleet.probes import Question

EXAMPLES = """\b
Examples:
  paperfleet run migrate
  paperfleet run worker
  paperfleet run web --print
  paperfleet run web --check ready
  PAPERLESS_SRC=/srv/paperless-ngx paperfleet run scheduler

"""
_ROWS = "\n".join(f"  {role.name:<10} {role.does}" for role in ROLES.values())


@click.command("run", epilog=f"\b\nRoles:\n{_ROWS}\n\n{EXAMPLES}{help_text('run')}")
@click.argument("role", type=click.Choice(list(ROLES)), metavar="ROLE")
@click.option("--print", "shows", is_flag=True, help="Show what would be run, and run nothing.")
@click.option(
    "--check",
    "question",
    type=click.Choice(["alive", "ready"]),
    help="Say whether the role that runs in this container is alive, or ready for its work.",
)
def command(role: str, *, shows: bool, question: Question | None) -> int:
    """Run ROLE of a paperless-ngx: one process, which a container or systemd watches.

    The variables are those of paperless-ngx. What the role needs is waited for, then this process
    becomes the role's program.
    """
    # Not for --help of all commands, which is there at once.
    from paperfleet.fleet import launcher, probes  # noqa: PLC0415

    if shows:
        say(*launcher.shown(role, os.environ))
        return FINE
    if question:
        reason = probes.fault(role, question, os.environ)
        say(f"not {question}: {reason}" if reason else question)
        return WRONG if reason else FINE
    return launcher.run(role, os.environ, lambda text: say(f"paperfleet: {text}", err=True))
