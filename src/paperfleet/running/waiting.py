"""After a wrong password: ask no more until there is reason to (docs/adr/0004)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from paperfleet.mirror.events import Notice

if TYPE_CHECKING:
    from pathlib import Path

    from paperfleet.errors import CredentialsError
    from paperfleet.mirror.events import Reporter
    from paperfleet.running.stopping import Stopper
    from paperfleet.settings.mirror import MirrorSettings

WAIT_SECONDS = 1800.0
LOOK_SECONDS = 0.5


def wait_for_password(
    settings: MirrorSettings,
    report: Reporter,
    stopper: Stopper,
    error: CredentialsError,
    *,
    wait_seconds: float = WAIT_SECONDS,
) -> bool:
    """Wait until another attempt makes sense; return False when told to stop.

    That is when the password file has changed, or after half an hour, when Nextcloud has forgotten.
    """
    # Not an Event: a signal in the middle of its wait() would never come out of its set().
    stopped: list[bool] = []
    stopper.on_signal(lambda: stopped.append(True))
    file = settings.password_file
    when = (
        f"{file} changes, or in {wait_seconds / 60:.0f} minutes"
        if file
        else (f"{wait_seconds / 60:.0f} minutes have passed; with a password file, once it changes")
    )
    report(Notice(f"{error.message}. {error.hint}. No request is made until {when}", "error"))
    before, deadline = _signature(file), time.monotonic() + wait_seconds
    while time.monotonic() < deadline:
        time.sleep(min(LOOK_SECONDS, wait_seconds))
        if stopped:
            return False
        if _signature(file) not in (before, None):
            report(Notice(f"{file} has changed: trying again", "info"))
            return True
    return True


def _signature(file: Path | None) -> tuple[int, int, int] | None:
    """Return what changes with the file; None for no file, or an empty one being written."""
    try:
        stat = file.stat() if file else None
    except OSError:  # it is being replaced
        return None
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat and stat.st_size else None
