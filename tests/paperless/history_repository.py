"""A repository in a folder, which stands in for restic where restic is not what is tested.

Making a snapshot and letting go of one are whole or not at all, as restic has it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from typing import TYPE_CHECKING

from paperfleet.backup.restic import ResticSummary, Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class FolderRepository:
    """What ``Restic`` has, in a folder; all snapshots are of one day."""

    label = "a folder"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has_repository(self) -> bool:
        return self.folder.exists()

    def init(self) -> None:
        self.folder.mkdir()

    def backup(
        self,
        folder: Path,
        paths: Sequence[str],
        *,
        host: str,
        tags: Sequence[str],
        listener: object,  # noqa: ARG002  # nobody looks
    ) -> ResticSummary:
        number = f"{time.time_ns():020}{secrets.token_hex(4)}"
        draft = self.folder / f".{number}"
        for path in paths:
            shutil.copytree(folder / path, draft / path, copy_function=os.link)
        about = {"host": host, "tags": list(tags), "paths": list(paths)}
        (draft / "about.json").write_text(json.dumps(about))
        draft.rename(self.folder / number)
        return ResticSummary(number, 0, 0, 0, 0, 0)

    def snapshots(self, *, host: str = "", tags: Sequence[str] = ()) -> list[Snapshot]:
        found = []
        for one in sorted(self.folder.glob("[!.]*")):
            about = json.loads((one / "about.json").read_text())
            if set(tags) <= set(about["tags"]) and host in {"", about["host"]}:
                told = tuple(about["tags"])
                found.append(Snapshot(one.name, one.name, about["host"], told, ()))
        return found

    def forget(self, *, host: str, tags: Sequence[str], keep: Mapping[str, int]) -> None:
        assert any(keep.values())
        for one in self.snapshots(host=host, tags=tags)[:-1]:
            gone = self.folder / f".{one.number}"
            (self.folder / one.number).rename(gone)
            shutil.rmtree(gone)

    def restore(self, snapshot: str, target: Path) -> None:
        shutil.copytree(self.folder / snapshot, target, dirs_exist_ok=True)
