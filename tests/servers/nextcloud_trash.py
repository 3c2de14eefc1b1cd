"""The trash of the Nextcloud double: deleted nodes with their ids and versions."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.nextcloud_errors import not_found

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.nextcloud_nodes import Node


@dataclass
class Deleted:
    """A deleted file or folder; `origin` is the path it had."""

    node: Node
    origin: str
    time: int
    disk: Path


class Trash:
    """What was deleted, by the name that Nextcloud gives it: `name.d<seconds>`."""

    def __init__(self, base: Path) -> None:
        base.mkdir(parents=True, exist_ok=True)
        self._base = base
        self.entries: dict[str, Deleted] = {}

    def take(self, node: Node, origin: str, disk: Path, now: int) -> None:
        """Move a node's bytes here."""
        name = self._free_name(node.name, now)
        kept = self._base / str(node.id)
        disk.rename(kept)
        self.entries[name] = Deleted(node, origin, now, kept)

    def get(self, name: str) -> Deleted:
        """Return an entry; 404 when there is none."""
        if name not in self.entries:
            raise not_found(name)
        return self.entries[name]

    def give_back(self, name: str, disk: Path) -> None:
        """Move an entry's bytes to `disk` and forget the entry."""
        self.get(name).disk.rename(disk)
        del self.entries[name]

    def purge(self, name: str) -> None:
        """Delete an entry for good."""
        disk = self.get(name).disk
        if disk.is_dir():
            shutil.rmtree(disk)
        else:
            disk.unlink()
        del self.entries[name]

    def _free_name(self, name: str, now: int) -> str:
        while f"{name}.d{now}" in self.entries:
            now += 1
        return f"{name}.d{now}"
