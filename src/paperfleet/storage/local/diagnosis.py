"""What can be looked at in a folder that is to hold documents."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from paperfleet.diagnosis import Check, not_tried, of_error, ok, problem, warning
from paperfleet.errors import StorageError
from paperfleet.filesystems import filesystem_type, is_network, may_write_in, nearest
from paperfleet.model import ABSENT, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from paperfleet.diagnosis import CheckResult
    from paperfleet.storage.local.backend import LocalBackend

FOLDER, FILESYSTEM, ROUND_TRIP = "folder", "filesystem", "a file there and back"
_CONTENT = b"paperfleet doctor\n" * 100
_MODIFIED = 1_500_000_000 * 10**9
_FEWER_NAMES = frozenset({"exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "vfat"})
"""Filesystems that take none of these signs in a name: : * ? " < > |"""
_LONGEST = 255
"""Bytes of one segment of a name (path_resolution(7), NAME_MAX of nearly every filesystem)."""


class LocalChecks:
    """The checks of one folder as a target."""

    def __init__(self, storage: LocalBackend) -> None:
        self._storage, self._root = storage, storage.root

    def checks(self) -> list[Check]:
        """Return them, in this order."""
        return [
            Check(FOLDER, self.folder),
            Check(FILESYSTEM, self.filesystem, needs=(FOLDER,)),
            Check(ROUND_TRIP, self.round_trip, needs=(FOLDER,), writes=True),
        ]

    def folder(self) -> Iterator[CheckResult]:
        """See whether it is there and can be written, or can be made."""
        user = f"user {os.geteuid()}"
        if self._root.is_dir():
            if reason := _refusal(self._root):
                yield problem(reason, f"Let {user} write there, and mount it for writing")
            else:
                yield ok(f"it is there, and {user} may write there")
            return
        if os.path.lexists(self._root):
            yield problem("it is no folder", "Name the folder that is to hold the files")
            return
        above = nearest(self._root)
        if reason := _refusal(above):
            yield problem(f"it is not there, and cannot be made: {reason}", "Mount it, or make it")
        else:
            yield warning(
                f"it is not there: the first start makes it, in {above}",
                "Is a disk missing that should be mounted there?",
            )

    def filesystem(self) -> Iterator[CheckResult]:
        """See on what kind of filesystem it lies."""
        kind = filesystem_type(self._root)
        if not kind:
            yield not_tried("the kernel does not tell it (no /proc)")
        elif kind in _FEWER_NAMES:
            yield warning(
                f'{kind} takes no : * ? " < > | in names, and does not tell case apart',
                "Such documents stay in quarantine: rename them, or choose another filesystem",
            )
        else:
            yield ok(f"{kind}, over a network" if is_network(kind) else kind)

    def round_trip(self) -> Iterator[CheckResult]:
        """Save a file with its time, read it, move it, and delete it."""
        if not self._root.is_dir():
            yield not_tried("the folder is not there yet")
            return
        stamp = secrets.token_hex(8)
        old, new = f"paperfleet-try-{stamp} a.pdf", f"paperfleet-try-{stamp} b.pdf"
        try:
            with self._storage:
                result = self._stored(old, new)
        except StorageError as error:
            result = of_error(error)
        finally:
            for name in (old, new):
                with suppress(FileNotFoundError):
                    (self._root / name).unlink()
        yield result

    def _stored(self, old: str, new: str) -> CheckResult:
        sha256 = hashlib.sha256(_CONTENT).hexdigest()
        upload = Upload(lambda: io.BytesIO(_CONTENT), len(_CONTENT), _MODIFIED, sha256)
        saved = self._storage.save_with(old, upload, ABSENT)
        self._storage.move(old, new)
        with self._storage.open(new) as stream:
            read = stream.read()
        self._storage.delete(new)
        if read != _CONTENT:
            return problem("other bytes than were written come back", "Check the disk")
        seconds = 10**9
        if (saved.modified_ns or 0) // seconds != _MODIFIED // seconds:
            return warning("the time of a file is not kept")
        return ok("saved, moved, read and deleted")


def name_fault(name: str) -> str:
    """Return why no folder takes a file of this name, '' for no reason."""
    longest = max(len(os.fsencode(segment)) for segment in name.split("/"))
    return f"a name has more than {_LONGEST} bytes" if longest > _LONGEST else ""


def _refusal(folder: Path) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} is mounted for reading only"
    if not may_write_in(folder):
        return f"user {os.geteuid()} may not write in {folder}"
    return ""
