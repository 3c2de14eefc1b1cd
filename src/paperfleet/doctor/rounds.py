"""Everything that can be looked at, as the settings have it: area after area."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from paperfleet.backup.diagnosis import BackupChecks, is_set
from paperfleet.diagnosis import Check, ok, warning
from paperfleet.doctor.documents import DocumentsChecks
from paperfleet.doctor.examining import Examination, Examined
from paperfleet.doctor.masking import Mask, secrets_in, secrets_of
from paperfleet.doctor.source import SourceChecks
from paperfleet.doctor.target import TargetChecks
from paperfleet.fleet.diagnosis import PaperlessChecks, is_here
from paperfleet.fleet.site import with_secrets
from paperfleet.journal.diagnosis import JournalChecks
from paperfleet.locks.registry import lease_checks
from paperfleet.running.build import open_target
from paperfleet.running.rolelease import lease_of
from paperfleet.settings import app
from paperfleet.settings.config import Reading, read, settings_of
from paperfleet.settings.environment import CONFIG_VARIABLE, values_of
from paperfleet.settings.mirror import table
from paperfleet.storage.full import full

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.diagnosis import CheckResult
    from paperfleet.running.rolelease import RoleLease
    from paperfleet.secret import Secret
    from paperfleet.settings.mirror import MirrorSettings
    from paperfleet.storage.protocol import DocumentStorage

SETTINGS, SOURCE, TARGET, JOURNAL = "settings", "source", "target", "journal"
LEASE, PAPERLESS, ROLES = "lease", "paperless-ngx", "lease of roles"
BACKUP, PLAIN = "backup", "storage of backups"


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
        self._secrets, self._users = list(secrets_in(environ)), list[str]()
        self.mask = Mask(self._secrets)

    @property
    def left(self) -> list[str]:
        """The checks that have not ended."""
        return self._examination.left

    def examine(self) -> Iterator[Examined]:
        """Make every check; yield its results as they come.

        Of the mirror when one is named, of paperless-ngx and of backups when their variables are
        set.
        """
        has_paperless, has_backup = is_here(self._environ), is_set(self._environ)
        with _quiet():
            if self._names_a_mirror() or not (has_paperless or has_backup):
                yield from self._examination.run(SETTINGS, [Check(SETTINGS, self._read)])
            if self._settings is not None:
                yield from self._mirror(self._settings)
            if has_paperless:
                yield from self._paperless()
            if has_backup:
                yield from self._backup()

    def _names_a_mirror(self) -> bool:
        """Say whether a mirror is meant at all: for a role of a fleet nothing of it is set."""
        named = any(self._arguments.get(key) for key in ("source", "target", "config"))
        rows = [table()[key] for key in ("source", "target")]
        names = [CONFIG_VARIABLE, *(row.variable for row in rows), rows[1].about.legacy]
        return named or any(self._environ.get(name) for name in names)

    def _paperless(self) -> Iterator[Examined]:
        lease: list[RoleLease] = []

        def read() -> Iterator[CheckResult]:
            environ = with_secrets(self._environ)
            self.mask = Mask([*self._secrets, *secrets_in(environ)], users=self._users)
            row = app.table()["fleet"]
            if values_of({row.key: row}, environ).get(row.key):
                lease.append(lease_of("scheduler", environ))
                yield ok("this is a host of a fleet")
            else:
                yield ok("this is no host of a fleet")

        yield from self._examination.run(PAPERLESS, [Check("fleet", read)])
        yield from self._examination.run(PAPERLESS, PaperlessChecks(self._environ).checks())
        if lease:
            yield from self._lease(ROLES, lease[0].address, lease[0].seconds)

    def _backup(self) -> Iterator[Examined]:
        backup = BackupChecks(self._environ)
        storage: list[Check] = []

        def read() -> Iterator[CheckResult]:
            storage.extend(backup.storage_checks())
            yield ok("it can be used")

        yield from self._examination.run(BACKUP, backup.checks())
        if backup.is_plain:
            yield from self._examination.run(PLAIN, [Check("address", read)])
            yield from self._examination.run(PLAIN, storage)

    def _read(self) -> Iterator[CheckResult]:
        """Read the settings of the mirror."""
        self._reading = read(self._arguments, self._environ)
        self._settings = settings_of(self._reading, self._environ)
        self._secrets += _secrets_of(self._settings)
        self._users = [self._settings.username] if self._settings.username else []
        self.mask = Mask(self._secrets, users=self._users)
        for text in (*self._reading.warnings, *self._reading.notices):
            yield warning(text)
        yield ok("they can be read, and fit together")

    def _mirror(self, settings: MirrorSettings) -> Iterator[Examined]:
        source = (DocumentsChecks if settings.paperless else SourceChecks)(settings)
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
    for secret in (settings.password, settings.lease, settings.paperless_token):
        if secret:
            yield from secrets_of(secret.reveal())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let our own log be silent: what it would say is a result here."""
    log = logging.getLogger("paperfleet")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
