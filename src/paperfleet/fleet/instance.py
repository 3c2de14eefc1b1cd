"""The installation that a backup is of, or is restored into: commands of its ``manage.py``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from paperfleet.backup.instance import COLLECTED, STATE, InstanceState
from paperfleet.errors import BackupError, NotReadyError
from paperfleet.fleet.launcher import APP, require_paperless
from paperfleet.fleet.programs import run_to_end
from paperfleet.fleet.site import make_folders, site_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from paperfleet.fleet.site import Site

_MANAGE = ("python3", "manage.py")


@dataclass(frozen=True)
class ManagedInstance:
    """An installation on this host; every method raises ``BackupError``."""

    site: Site

    def state(self, folder: Path) -> InstanceState:
        """Return its version and what it holds; ``folder`` is for what the command writes."""
        self._run("state", folder)
        found = answer_in(folder / STATE)
        return InstanceState(str(found.get("version", "")), int(str(found.get("documents", 0))))

    def collect(self, folder: Path, *, thumbnails: bool) -> Mapping[str, object]:
        """Collect a backup in a folder; return what was new."""
        self._run("collect", folder, *([] if thumbnails else ["--no-thumbnails"]))
        return answer_in(folder / COLLECTED)

    def restore(self, folder: Path) -> None:
        """Fill it with the backup that lies in a folder, and prove that all is there."""
        self._run("restore", folder)

    def _run(
        self, action: str, folder: Path, *words: str, command: str = "paperfleet_backup"
    ) -> None:
        running: list[subprocess.Popen[bytes]] = []
        try:
            # It shows by itself how far it is.
            whole = (*_MANAGE, command, action, str(folder), *words)
            run_to_end(self.site, whole, stop=running, say=lambda _: None, aside=True)
        except NotReadyError as error:
            raise BackupError(error.message, hint=error.hint) from None


def instance_of(environ: Mapping[str, str]) -> ManagedInstance:
    """Return the installation that an environment describes; raise ``ConfigurationError``.

    Its process loads our app, also where paperless-ngx runs without it: with no storage set, the
    app changes nothing.
    """
    site = site_of(environ)
    require_paperless(site)
    make_folders(site)
    apps = site.environ.get("PAPERLESS_APPS", "")
    if APP not in apps.split(","):
        apps = ",".join(filter(None, (apps, APP)))
    return ManagedInstance(replace(site, environ={**site.environ, "PAPERLESS_APPS": apps}))


def answer_in(path: Path) -> dict[str, object]:
    """Return what a command of ours has written; raise ``BackupError`` where it has not."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise BackupError(f"the command of manage.py has written no {path.name}")
    return value
