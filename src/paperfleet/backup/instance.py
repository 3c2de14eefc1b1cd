"""What a backup asks of an installation; the side that has Django answers (``fleet.instance``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from paperfleet.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

STATE: Final = "state.json"
"""The file in which the command ``state`` answers."""
COLLECTED: Final = "collected.json"
"""The file in which the command ``collect`` answers."""


def require_version(of_backup: str, here: str) -> None:
    """Raise ``BackupError`` unless a backup and an installation are of one paperless-ngx."""
    if of_backup != here:
        raise BackupError(
            f"the backup is of paperless-ngx {of_backup}, and this is {here}",
            hint=f"Install paperless-ngx {of_backup}, restore, and update then",
        )


class InstanceState(NamedTuple):
    """The version of paperless-ngx, and how many documents it has, with trash and versions."""

    version: str
    documents: int


class Instance(Protocol):
    """An installation; every method raises ``BackupError``."""

    def state(self, folder: Path) -> InstanceState:
        """Return its version and what it holds; ``folder`` is for what the command writes."""

    def collect(self, folder: Path, *, thumbnails: bool) -> Mapping[str, object]:
        """Collect a backup in a folder (``place``); return what was new."""

    def restore(self, folder: Path) -> None:
        """Fill it with the backup that lies in a folder, and prove that all is there."""
