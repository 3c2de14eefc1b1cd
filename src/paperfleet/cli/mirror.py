"""``paperfleet mirror``: the main job."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import click

from paperfleet.cli.exitcodes import FAILED, FINE, REFUSED, UNFINISHED, help_text
from paperfleet.cli.options import setting_options
from paperfleet.cli.printing import say
from paperfleet.cli.reporters import reporter_for
from paperfleet.cli.stopping import Stopper, signals_to
from paperfleet.cli.waiting import wait_for_password
from paperfleet.errors import CredentialsError
from paperfleet.mirror.events import Notice
from paperfleet.service.config import read, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.cli.leased import HeldLease
    from paperfleet.mirror.events import Reporter
    from paperfleet.service.build import Source
    from paperfleet.service.settings import Settings

    SourceOf = Callable[[Settings, Reporter], Source]


EXAMPLES = """\b
Examples:
  export PAPERFLEET_PASSWORD_FILE=~/.nextcloud-app-password
  paperfleet mirror --dry-run /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet mirror /srv/documents nextclouds://alice@cloud.example/Archive
  paperfleet mirror --once /srv/documents /mnt/usb/documents
  paperfleet mirror --poll 30 /mnt/nfs/documents https://dav.example/documents

"""


@click.command("mirror", epilog=EXAMPLES + help_text("mirror"))
@setting_options()
def command(**arguments: object) -> int:
    """Bring every file of SOURCE to TARGET, and go on doing so the moment one changes.

    SOURCE is a folder and is only read. TARGET is a Nextcloud, a WebDAV server or a folder. Files
    at the target that the mirror did not put there are left alone. Every option can also be a
    variable PAPERFLEET_… or stand in a TOML file; the password is always one of these, never an
    option.
    """
    return keep_mirroring(lambda: prepare(arguments, os.environ))


def keep_mirroring(
    prepared: Callable[[], tuple[Settings, Reporter]], source_of: SourceOf | None = None
) -> int:
    """Mirror until there is nothing more to do or a signal comes; return the exit code.

    ``prepared`` is called for each new beginning, as the settings may have changed; ``source_of``
    makes the source (``build_mirror``).
    """
    stopper = Stopper()
    with signals_to(stopper):
        while True:
            settings, report = prepared()
            stopper.code = UNFINISHED if settings.once else FINE
            try:
                return run(settings, report, stopper, source_of)
            except CredentialsError as error:
                if settings.once or settings.dry_run:
                    raise
                if not wait_for_password(settings, report, stopper, error):
                    return stopper.code


def prepare(
    arguments: Mapping[str, object], environ: Mapping[str, str]
) -> tuple[Settings, Reporter]:
    """Read the settings and return them with the reporter that they ask for."""
    reading = read(arguments, environ)
    settings = settings_of(reading, environ)
    report = reporter_for(settings)
    for notice in reading.notices:
        report(Notice(notice, "info"))
    for warning in reading.warnings:
        report(Notice(warning, "warning"))
    return settings, report


def run(settings: Settings, report: Reporter, stopper: Stopper, source_of: SourceOf | None) -> int:
    """Run a mirror as its settings say, under a lease if they name one; return the exit code."""
    from paperfleet.cli.leased import run_leased  # noqa: PLC0415  # slow to import

    alone = partial(run_alone, source_of=source_of)
    if settings.lease is None or settings.dry_run:
        return alone(settings, report, stopper)
    return run_leased(settings, settings.lease, report, stopper, alone)


def run_alone(
    settings: Settings,
    report: Reporter,
    stopper: Stopper,
    lease: HeldLease | None = None,
    *,
    source_of: SourceOf | None = None,
) -> int:
    """Run a mirror that writes only while ``lease`` is held; return the exit code."""
    from paperfleet.service.build import build_mirror  # noqa: PLC0415  # slow to import

    may_write = lease.check if lease else None
    with build_mirror(settings, report=report, may_write=may_write, source_of=source_of) as mirror:
        stopper.on_signal(mirror.stop)
        if lease:
            lease.call_when_lost(mirror.stop)
        if settings.dry_run:
            say(*(mirror.plan() or ["nothing to do"]))
            return FINE
        outcome = mirror.run_once() if settings.once else mirror.run()
    if not settings.once:
        return FINE
    if not outcome.converged:
        return UNFINISHED
    return REFUSED if outcome.refused else FAILED if outcome.failed else FINE
