"""Everything that can be looked at, as the settings have it: area after area."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from paperfleet.diagnosis import Check, ok, warning
from paperfleet.doctor.examining import Examination, Examined
from paperfleet.doctor.masking import Mask, secrets_in, secrets_of
from paperfleet.doctor.source import SourceChecks
from paperfleet.doctor.target import TargetChecks
from paperfleet.journal.diagnosis import JournalChecks
from paperfleet.locks.registry import lease_checks
from paperfleet.running.build import open_target
from paperfleet.settings.config import Reading, read, settings_of
from paperfleet.storage.full import full

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.diagnosis import CheckResult
    from paperfleet.secret import Secret
    from paperfleet.settings.mirror import MirrorSettings
    from paperfleet.storage.protocol import DocumentStorage

SETTINGS, SOURCE, TARGET, JOURNAL = "settings", "source", "target", "journal"
LEASE = "lease"


class Doctor:
    """Looks at what the settings name. ``mask`` takes every secret of theirs out of a text."""

    def __init__(
        self, arguments: Mapping[str, object], environ: Mapping[str, str], *, writes: bool = False
    ) -> None:
        self._arguments, self._environ = arguments, environ
        self._writes = writes
        self._examination = Examination(writes=writes)
        self._reading = Reading({})
        self._settings: MirrorSettings | None = None
        self.mask = Mask(secrets_in(environ))

    @property
    def left(self) -> list[str]:
        """The checks that have not ended."""
        return self._examination.left

    def examine(self) -> Iterator[Examined]:
        """Make every check; yield its results as they come.

        Raises ``ConfigurationError`` when nothing is set that could be looked at.
        """
        with _quiet():
            yield from self._examination.run(SETTINGS, [Check(SETTINGS, self._read)])
            if self._settings is not None:
                yield from self._mirror(self._settings)

    def _read(self) -> Iterator[CheckResult]:
        """Read the settings of the mirror."""
        self._reading = read(self._arguments, self._environ)
        self._settings = settings_of(self._reading, self._environ)
        self.mask = Mask(
            [*secrets_in(self._environ), *_secrets_of(self._settings)],
            users=filter(None, [self._settings.username]),
        )
        for text in (*self._reading.warnings, *self._reading.notices):
            yield warning(text)
        yield ok("they can be read, and fit together")

    def _mirror(self, settings: MirrorSettings) -> Iterator[Examined]:
        source = SourceChecks(settings)
        yield from self._examination.run(SOURCE, source.checks())
        target: list[DocumentStorage] = []

        def opened() -> Iterator[CheckResult]:
            target.append(open_target(settings, create=False, read_only=not self._writes))
            yield ok("it can be used")

        yield from self._examination.run(TARGET, [Check("address", opened)])
        if target:
            yield from self._examination.run(TARGET, TargetChecks(target[0], source).checks())

        def pair() -> tuple[str, str] | None:
            if source.storage is None or not target:
                return None
            return full(source.storage).label, full(target[0]).label

        journal = JournalChecks(settings.journal, pair)
        yield from self._examination.run(JOURNAL, journal.checks())
        if settings.lease is not None:
            yield from self._lease(LEASE, settings.lease, settings.lease_seconds)

    def _lease(self, area: str, address: Secret, ttl: float) -> Iterator[Examined]:
        found: list[Check] = []

        def read() -> Iterator[CheckResult]:
            found.extend(lease_checks(address, ttl))
            yield ok("it can be used")

        yield from self._examination.run(area, [Check("address", read)])
        yield from self._examination.run(area, found)


def _secrets_of(settings: MirrorSettings) -> Iterator[str]:
    for secret in (settings.password, settings.lease):
        if secret:
            yield from secrets_of(secret.reveal())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let our own log be silent: what it would say is a result here."""
    log = logging.getLogger("paperfleet")
    before, log.disabled = log.disabled, True
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.disabled = before
        log.setLevel(level)
