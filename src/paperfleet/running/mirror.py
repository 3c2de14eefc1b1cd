"""Run a mirror as its settings say, until it is done or a signal comes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from paperfleet.errors import CredentialsError
from paperfleet.mirror.events import Notice
from paperfleet.running.exitcodes import FAILED, FINE, REFUSED, UNFINISHED
from paperfleet.running.printing import say
from paperfleet.running.reporters import reporter_for
from paperfleet.running.stopping import Stopper, signals_to
from paperfleet.running.waiting import wait_for_password
from paperfleet.settings.config import read, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from paperfleet.mirror.events import Reporter
    from paperfleet.running.build import MirrorSource
    from paperfleet.running.leased import MirrorLease
    from paperfleet.settings.mirror import MirrorSettings

    SourceOf = Callable[[MirrorSettings, Reporter], MirrorSource]


def keep_mirroring(
    prepared: Callable[[], tuple[MirrorSettings, Reporter]], source_of: SourceOf | None = None
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
) -> tuple[MirrorSettings, Reporter]:
    """Read the settings and return them with the reporter that they ask for."""
    reading = read(arguments, environ)
    settings = settings_of(reading, environ)
    report = reporter_for(settings)
    for notice in reading.notices:
        report(Notice(notice, "info"))
    for warning in reading.warnings:
        report(Notice(warning, "warning"))
    return settings, report


def run(
    settings: MirrorSettings, report: Reporter, stopper: Stopper, source_of: SourceOf | None
) -> int:
    """Run a mirror as its settings say, under a lease if they name one; return the exit code."""
    from paperfleet.running.leased import run_leased  # noqa: PLC0415  # slow to import

    alone = partial(run_alone, source_of=source_of)
    if settings.lease is None or settings.dry_run:
        return alone(settings, report, stopper)
    return run_leased(settings, settings.lease, report, stopper, alone)


def run_alone(
    settings: MirrorSettings,
    report: Reporter,
    stopper: Stopper,
    lease: MirrorLease | None = None,
    *,
    source_of: SourceOf | None = None,
) -> int:
    """Run a mirror that writes only while ``lease`` is held; return the exit code."""
    from paperfleet.running.build import build_mirror  # noqa: PLC0415  # slow to import

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
