"""The folder that is mirrored: can it be read, and will its changes be noticed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paperfleet.diagnosis import Check, not_tried, of_error, ok, problem, unknown, warning
from paperfleet.errors import ConfigurationError
from paperfleet.filesystems import FolderDisk, filesystem_type, is_network
from paperfleet.mirror.watch.choose import POLL_SECONDS
from paperfleet.mirror.watch.limits import more_watches, watches
from paperfleet.model import Obstacle
from paperfleet.running.build import local_source
from paperfleet.running.words import files_text, size_text
from paperfleet.storage.apartness import local_root
from paperfleet.storage.full import full
from paperfleet.storage.names import is_unfinished, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from paperfleet.diagnosis import CheckResult
    from paperfleet.settings.mirror import MirrorSettings
    from paperfleet.storage.protocol import DocumentStorage

FOLDER, FILES, FILESYSTEM, MOUNTS, WATCHES = "folder", "files", "filesystem", "mounts", "watches"
_LISTING_SECONDS = 120.0
_SHOWN = 3
_FULL = 0.9
"""Share of the watches that are allowed from which on few are left."""


@dataclass
class SourceContent:
    """What is in the source, once that is known: ``complete`` then. ``size`` in bytes."""

    names: list[str] = field(default_factory=list)
    size: int = 0
    complete: bool = False


class SourceChecks:
    """The checks of one source; ``content`` is known after ``FILES``, ``storage`` before."""

    def __init__(self, settings: MirrorSettings) -> None:
        self._settings = settings
        self.content = SourceContent()
        self.storage: DocumentStorage | None = None
        self._root: Path | None = None

    def checks(self) -> list[Check]:
        """Return them, in this order."""
        return [
            Check(FOLDER, self.folder),
            Check(FILES, self.files, needs=(FOLDER,), seconds=_LISTING_SECONDS),
            Check(FILESYSTEM, self.filesystem, needs=(FOLDER,)),
            Check(MOUNTS, self.mounts, needs=(FOLDER,)),
            Check(WATCHES, self.watches, needs=(FOLDER,), seconds=_LISTING_SECONDS),
        ]

    def folder(self) -> Iterator[CheckResult]:
        """See whether there is such a folder."""
        try:
            self.storage = local_source(self._settings, lambda _: None).storage
        except ConfigurationError as error:
            yield of_error(error)
            return
        self._root = local_root(self.storage)
        yield ok("it is there, and this user may list it")

    def files(self) -> Iterator[CheckResult]:
        """List everything, and see whether each file may be read; reads none."""
        if self.storage is None:
            return
        obstacles: list[Obstacle] = []
        unreadable: list[str] = []
        content = self.content
        with self.storage:
            for item in full(self.storage).survey():
                if isinstance(item, Obstacle):
                    obstacles += [] if is_unfinished(item.name) else [item]
                else:
                    content.names.append(item.name)
                    content.size += item.size
                    unreadable += [] if self._may_read(item.name) else [item.name]
        content.complete = True
        yield from self._told(obstacles, unreadable)

    def _may_read(self, name: str) -> bool:
        return self._root is None or os.access(self._root / name, os.R_OK, effective_ids=True)

    def _told(self, obstacles: list[Obstacle], unreadable: list[str]) -> Iterator[CheckResult]:
        content = self.content
        if not content.names:
            yield warning(
                "there is no file in it",
                "Is the volume mounted, and is this the folder of the documents?",
            )
        elif not unreadable:
            count = files_text(len(content.names))
            yield ok(f"{count}, {size_text(content.size)}, and this user may read each")
        user = f"Let user {os.geteuid()} read"
        if unreadable:
            yield problem(
                f"{files_text(len(unreadable))} of {len(content.names):,} may not be read",
                f"{user} them",
                names=unreadable,
            )
        hidden = [one for one in obstacles if one.below and not one.left_out]
        if hidden:
            yield problem(
                f"{len(hidden):,} folders may not be listed: what is in them is not seen",
                f"{user} them",
                names=(one.name for one in hidden),
            )
        others = [one for one in obstacles if one.left_out or not one.below]
        for reason in sorted({one.reason for one in others}):
            names = [one.name for one in others if one.reason == reason]
            yield warning(f"{len(names):,} left out: {readable(reason)}", names=names)

    def filesystem(self) -> Iterator[CheckResult]:
        """See on what kind of filesystem it lies."""
        if self._root is None:
            return
        kind = filesystem_type(self._root)
        if not kind:
            yield not_tried("the kernel does not tell it (no /proc)")
        elif not is_network(kind):
            yield ok(kind)
        elif self._settings.poll_seconds is not None:
            yield ok(f"{kind}, looked at every {self._settings.poll_seconds:g} s, as was asked")
        else:
            yield warning(
                f"inotify does not see what other machines do on {kind}: it is looked at every"
                f" {POLL_SECONDS:g} s",
                "Run the mirror where the disk is; or choose how often by --poll",
            )

    def mounts(self) -> Iterator[CheckResult]:
        """See what is mounted below it."""
        if self._root is None:
            return
        found = FolderDisk(self._root).mounts()
        broken = [name for name, told in found.items() if told == "unreadable"]
        remote = [name for name in found if is_network(filesystem_type(self._root / name))]
        if broken:
            yield problem(
                f"{len(broken)} mounts below it do not answer: {_listed(broken)}",
                "Mount them again, or take them out of the source",
            )
        if remote:
            yield warning(
                f"inotify does not see what other machines do on {_listed(remote)}",
                "Choose by --poll how often to look, or run the mirror where the disk is",
            )
        if not (broken or remote):
            yield ok(f"{len(found)} below it: {_listed(found)}" if found else "none below it")

    def watches(self) -> Iterator[CheckResult]:
        """See whether the host allows as many watches as there are folders."""
        if self._root is None:
            return
        if self._settings.poll_seconds is not None or is_network(filesystem_type(self._root)):
            yield not_tried("none is needed, as the source is looked at now and then")
            return
        limit = watches()
        if limit is None:
            yield not_tried("this system has no inotify")
            return
        needed = sum(1 for _ in os.walk(self._root))
        text = (
            f"{needed:,} folders, and this user may watch {limit.allowed:,}, of which other"
            f" programs have {limit.taken:,}"
        )
        if needed + limit.taken > limit.allowed:
            yield warning(
                f"{text}: the source would be looked at every {POLL_SECONDS:g} s instead",
                f"On the host: {more_watches()}",
            )
        elif needed + limit.taken > _FULL * limit.allowed:
            yield warning(f"{text}: few are left", f"On the host: {more_watches()}")
        elif needed:
            yield ok(text)
        else:
            yield unknown("the folder went away meanwhile")


def _listed(names: Iterable[str]) -> str:
    shown = [readable(name) for name in names]
    return ", ".join(shown[:_SHOWN]) + ("…" if len(shown) > _SHOWN else "")
