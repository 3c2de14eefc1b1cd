"""What can be looked at of the backups of this host; nothing of it writes."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

from paperfleet.backup import published
from paperfleet.backup.restic import restic_of
from paperfleet.backup.snapshots import rows
from paperfleet.diagnosis import Check, ok, problem, warning
from paperfleet.filesystems import may_write_in, nearest
from paperfleet.running.words import duration_text
from paperfleet.settings.backup import folder_in, settings_in, table
from paperfleet.settings.storages import storage_of
from paperfleet.storage.full import full

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.diagnosis import CheckResult
    from paperfleet.settings.backup import BackupSettings

SETTINGS, FOLDER, BACKUPS, DRILL = "settings", "folder", "backups", "drill"
OLD_DAYS = 3
"""A backup that is older was not made by a job that runs each day."""
_SECONDS = 120.0


def is_set(environ: Mapping[str, str]) -> bool:
    """Say whether a repository of backups is named."""
    keys = ("repository", "repository_file", "plain")
    return any(environ.get(table()[key].variable) for key in keys)


class BackupChecks:
    """The checks of the backups that an environment names."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._settings: BackupSettings | None = None

    def checks(self) -> list[Check]:
        """Return them, in this order; those of a plain storage come from ``storage_checks``."""
        return [
            Check(SETTINGS, self.settings),
            Check(FOLDER, self.folder, (SETTINGS,)),
            Check(BACKUPS, self.backups, (SETTINGS,), _SECONDS),
            Check(DRILL, self.drill, (SETTINGS,)),
        ]

    @property
    def is_plain(self) -> bool:
        """Whether a plain storage keeps them; known after ``SETTINGS``."""
        return self._settings is not None and bool(self._settings.plain)

    def storage_checks(self) -> list[Check]:
        """Return those of the plain storage; none without one, nor before ``SETTINGS``."""
        if self._settings is None or not self._settings.plain:
            return []
        variable = table()["plain_options"].variable
        storage = storage_of(self._settings.plain, variable, self._environ, is_there=True)
        return [one for one in full(storage).checks() if not one.writes]

    def settings(self) -> Iterator[CheckResult]:
        """Read the variables."""
        self._settings = settings_in(self._environ)
        yield ok("they can be read, and fit together")

    def folder(self) -> Iterator[CheckResult]:
        """See whether the folder for what a backup needs is there, or can be made."""
        folder = folder_in(self._environ)
        there = nearest(folder)
        if there.is_dir() and may_write_in(there):
            yield ok(f"{folder} can be written" if there == folder else f"{folder} can be made")
        else:
            yield problem(
                f"user {os.geteuid()} may not write in {there}",
                f"Mount a folder there, or name another one in {table()['folder'].variable}",
            )

    def backups(self) -> Iterator[CheckResult]:
        """List them, without a lock and without a cache."""
        if self._settings is None or self._settings.plain:
            yield ok("a plain storage keeps them: see its own checks")
            return
        restic = restic_of(self._settings, self._environ, folder_in(self._environ) / "cache")
        found = [one for one in rows(restic.for_looking(), self._settings.name) if one.complete]
        if not found:
            yield warning(
                "the repository opens, and has no complete backup of this installation",
                "paperfleet backup run",
            )
            return
        last = max(dt.datetime.fromisoformat(one.as_of) for one in found)
        age = (dt.datetime.now(dt.UTC) - last.astimezone(dt.UTC)).total_seconds()
        text = f"{len(found):,} complete ones, the last {duration_text(max(0.0, age))} old"
        if age > OLD_DAYS * 86_400:
            yield warning(text, "Is the job that makes them still there? paperfleet backup run")
        elif age < -3600:
            yield warning(f"{text}: it is of a time to come", "Is the clock right?")
        else:
            yield ok(text)

    def drill(self) -> Iterator[CheckResult]:
        """See how the last drill ended."""
        found = published.read(folder_in(self._environ))
        text = published.text(found)
        if found.last is not None and found.last.is_green and not found.fault:
            yield ok(text)
        elif found.last is not None and found.last.outcome == published.RED:
            yield problem(text, "paperfleet backup drill")
        else:
            yield warning(text, "paperfleet backup drill")
