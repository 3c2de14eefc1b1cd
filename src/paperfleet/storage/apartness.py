"""Whether two storages are apart, or one place under two addresses, or one inside of the other.

Addresses prove nothing: a bind mount, a WebDAV server over the same folder, a second host name of
one bucket all look like another place. So a probe, a small file of random content, is written at
the one storage and looked for at the other. The other storage is only ever read.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import (
    ConfigurationError,
    FileAccessError,
    IntegrityError,
    InvalidNameError,
    NotFoundError,
    StorageError,
)
from paperfleet.model import ABSENT, FileStat, Upload
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.names import readable
from paperfleet.storage.wrappers.base import Wrapper
from paperfleet.storage.wrappers.prefixed import Prefixed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from paperfleet.storage.protocol import DocumentStorage

PROBE_PREFIX = "paperfleet-probe-"
"""Not hidden as our temporary files are: a listing has to show it, wherever it appears."""
_PROBE = re.compile(re.escape(PROBE_PREFIX) + r"[0-9a-f]{32}\.txt")
_LEFT_BEHIND = 3600.0
"""Seconds after which a probe is one that a kill left behind."""
_WITNESSES = 20


class Overlap(NamedTuple):
    """A probe was seen at the other storage: ``written`` at the one is ``seen`` at the other."""

    written: str
    seen: str


def find_overlap(
    written: DocumentStorage, looked: DocumentStorage, *, folder: str = ""
) -> Overlap | None:
    """Write a probe at one storage and look for it at the other; return where it was seen.

    ``written`` gets one small file in ``folder`` for a moment; ``looked`` is read only. Obstacles
    of both are passed over. Both are entered by the caller. Finds that both are one place and that
    ``written`` lies inside of ``looked``: by the listing of ``looked``, and by name where files of
    both suggest it, as some listings lag behind. None: the probe is not there.

    Raises the ``StorageError`` for which no probe could be made, such as ``FileAccessError`` for a
    storage that takes no files, and ``IntegrityError`` when what was written is not there: nothing
    is known then.
    """
    with _probe(written, folder) as (name, content):
        last = name.rpartition("/")[2]
        here = [name for name, _ in zip(_names(written, folder), range(_WITNESSES), strict=False)]
        listed = list(_names(looked))
        likely = [name, last, *(found for found in listed if found.rpartition("/")[2] == last)]
        likely += [f"{place}/{name}" for place in sorted(_places(here, listed))]
        for found in likely:
            if _shows(looked, found, content):
                return Overlap(name, found)
    return None


def find_inside(
    outer: DocumentStorage, inner: DocumentStorage, listed: Iterable[str] | None = None
) -> Overlap | None:
    """Return where a probe at ``outer`` is seen at ``inner``, if that lies inside of it.

    Only ``outer`` is written to: in folders of it that hold files of the same names as ``inner``,
    which are few. ``listed`` are its files where the caller knows them. None also when ``inner``
    has no files. Raises as ``find_overlap``.
    """
    witnesses = [name for name, _ in zip(_names(inner), range(_WITNESSES), strict=False)]
    for place in sorted(_places(witnesses, _names(outer) if listed is None else listed)):
        with _probe(outer, place) as (name, content):
            found = name.removeprefix(f"{place}/")
            if _shows(inner, found, content):
                return Overlap(name, found)
    return None


def require_apart(source: DocumentStorage, target: DocumentStorage) -> None:
    """Raise ``ConfigurationError`` when source and target are one place, or one lies in the other.

    Writes probes at the target alone. Local folders are compared by device and inode before. Raises
    the ``StorageError`` for which nothing is known. Removes probes that a kill left at the target.
    """
    require_local_apart(source, target)
    there = _swept(target)
    overlap = find_overlap(target, source) or find_inside(target, source, there)
    if overlap is not None:
        raise not_apart(source, target, overlap)


def require_local_apart(source: DocumentStorage, target: DocumentStorage) -> None:
    """Raise ``ConfigurationError`` when two folders of this machine overlap.

    Storages that are not folders of this machine pass. Folders are compared by device and inode,
    as a bind mount has another path; no folder may be in both.
    """
    one, two = local_root(source), local_root(target)
    if one is None or two is None:
        return
    here, there = one.resolve(), two.resolve()
    if here == there or here.is_relative_to(there) or there.is_relative_to(here):
        reason = "lie in one another"
    elif shared := set(_folders(one)) & set(_folders(two)):
        reason = f"share {len(shared):,} folders, such as by a bind mount"
    else:
        return
    raise ConfigurationError(
        f"source {full(source).label} and target {full(target).label} {reason}",
        hint="Choose a target outside the source",
    )


def not_apart(
    source: DocumentStorage, target: DocumentStorage, overlap: Overlap
) -> ConfigurationError:
    """Return the error that says how it was found out."""
    return ConfigurationError(
        f"source {full(source).label} and target {full(target).label} are one place"
        f" or lie in one another: a file that was written at the target as"
        f" {readable(overlap.written)!r} is at the source as {readable(overlap.seen)!r}",
        hint="Choose a target outside the source; nothing was deleted",
    )


def local_root(storage: DocumentStorage) -> Path | None:
    """Return the folder of this machine that a storage is, also a wrapped one; None for others."""
    if isinstance(storage, LocalBackend):
        return storage.root
    if isinstance(storage, Prefixed):
        above = local_root(storage.inner)
        return above / storage.folder if above else None
    return local_root(storage.inner) if isinstance(storage, Wrapper) else None


def _folders(root: Path) -> Iterator[tuple[int, int]]:
    """Yield device and inode of a folder and of all below; what cannot be read is passed over."""
    waiting = [os.fspath(root)]
    while waiting:
        path = waiting.pop()
        with suppress(OSError):
            # Not the entry of the folder above: at a mount that is of what lies below the mount.
            found = os.stat(path)  # noqa: PTH116 (thousands of them)
            yield found.st_dev, found.st_ino
            with os.scandir(path) as entries:
                waiting += [e.path for e in entries if e.is_dir(follow_symlinks=False)]


@contextmanager
def _probe(storage: DocumentStorage, folder: str) -> Iterator[tuple[str, bytes]]:
    """Write a probe and yield its name and content; it is removed afterwards."""
    before = f"{folder}/" if folder else ""
    name = f"{before}{PROBE_PREFIX}{secrets.token_hex(16)}.txt"
    content = (
        f"Paperfleet looks with this file whether two storages are one: {secrets.token_hex(32)}\n"
        "It may be deleted.\n"
    ).encode()
    try:
        upload = Upload(lambda: io.BytesIO(content), len(content))
        full(storage).save_with(name, upload, ABSENT)
        _require_shown(storage, name, content)
        yield name, content
    finally:
        # One that stays is swept by the next migration; its failure would hide what was found.
        with suppress(StorageError):
            storage.delete(name)


def _require_shown(storage: DocumentStorage, name: str, content: bytes) -> None:
    if not _shows(storage, name, content):
        raise IntegrityError(
            "what was written is not there, so that nothing can be proven by it",
            operation="probe",
            name=name,
            storage=full(storage).label,
        )


def _shows(storage: DocumentStorage, name: str, content: bytes) -> bool:
    """Say whether a storage has a probe of this content, by reading it."""
    try:
        with storage.open(name) as stream:
            return stream.read(len(content) + 1) == content
    except (NotFoundError, InvalidNameError, FileAccessError):
        return False


def _names(storage: DocumentStorage, folder: str = "") -> Iterator[str]:
    """Yield the names of all files below a folder that can be listed."""
    for item in full(storage).survey(folder):
        if isinstance(item, FileStat):
            yield item.name


def _places(inner: Iterable[str], outer: Iterable[str]) -> set[str]:
    """Return the folders in which names of the outer storage look like those of the inner one."""
    endings = {f"/{name}" for name in inner}
    lasts = {ending.rpartition("/")[2] for ending in endings}
    found = set()
    for name in outer:
        if name.rpartition("/")[2] in lasts:
            found |= {name[: -len(ending)] for ending in endings if name.endswith(ending)}
    return found


def _swept(storage: DocumentStorage) -> list[str]:
    """Remove probes that a kill left behind; return the names of all other files."""
    names = []
    for stat in list(full(storage).list_stats()):
        if is_probe(stat.name) and _is_old(stat):
            with suppress(StorageError):
                storage.delete(stat.name)
        else:
            names.append(stat.name)
    return names


def _is_old(stat: FileStat) -> bool:
    age = time.time() - (stat.modified_ns or 0) / 1e9
    return stat.modified_ns is not None and age > _LEFT_BEHIND


def is_probe(name: str) -> bool:
    """Say whether a file is a probe: for a moment, or for good when a kill left it behind."""
    return _PROBE.fullmatch(name.rpartition("/")[2]) is not None
