"""The tree of contents on this host, proven: each file in it is what its name says.

restic reads a file again when its size, one of its times or its inode has changed. So does this,
before restic does: nothing gets into a backup under the SHA-256 of something else. A byte that the
disk changes behind everybody's back alters none of these; ``verify`` reads everything.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from paperfleet.backup.manifest import tree_name
from paperfleet.errors import BackupError
from paperfleet.private import make_folder, replace_text
from paperfleet.storage.hashing import sha256_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.backup.place import BackupPlace

THREADS: Final = 4


class ProvenTree(NamedTuple):
    """What was found in a tree: its files, how many of them were read, and the wrong ones.

    ``damaged`` are names in the tree; these files lie in ``BackupPlace.damaged`` now.
    """

    files: int
    read: int
    damaged: list[str]


class _State(NamedTuple):
    """What changes when a file does, and what restic looks at, too; times in nanoseconds."""

    size: int
    modified: int
    changed: int
    inode: int


def prove(
    place: BackupPlace,
    repository: str,
    *,
    planned: Callable[[int, int], object],
    listener: Callable[[int], object],
) -> ProvenTree:
    """Read every file of the tree that has changed since it was last read for a repository.

    For an empty ``repository``, and one that is new here, all are read. What is not what its name
    says is moved out of the tree, so that the next run brings it again. ``planned`` is told how
    many files and bytes are to be read, ``listener`` the bytes of each that was. Nobody else may
    change the tree meanwhile. Raises ``BackupError``.
    """
    known = _known(place, repository) if repository else {}
    try:
        found = dict(_files(place.tree))
        count = len(found)
        unread = [name for name, state in found.items() if known.get(name) != state]
        planned(len(unread), sum(found[name].size for name in unread))
        with ThreadPoolExecutor(THREADS, thread_name_prefix="prove") as pool:
            proofs = pool.map(lambda name: _is_right(place.tree, name, found[name]), unread)
            damaged = []
            for name, right in zip(unread, proofs, strict=True):
                listener(found[name].size)
                if not right:
                    damaged.append(name)
                    _set_aside(place, name)
        if repository:
            for name in damaged:
                del found[name]
            if found != known:
                replace_text(place.proven, json.dumps({"repository": repository, "files": found}))
    except OSError as error:
        raise BackupError(
            f"the tree of the backup, {place.tree}, cannot be read: {error}",
            hint="Look at that disk. The next run brings again what is missing",
        ) from None
    return ProvenTree(count, len(unread), damaged)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex, empty where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return sha256_in(stream)
    except OSError:
        return ""


def _known(place: BackupPlace, repository: str) -> dict[str, _State]:
    try:
        stored = json.loads(place.proven.read_text(encoding="utf-8"))
        if stored["repository"] != repository:
            return {}
        return {name: _State(*state) for name, state in stored["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}  # then everything is read


def _files(folder: Path, below: str = "") -> Iterator[tuple[str, _State]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(folder / entry.name, f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name}", _state(entry.stat(follow_symlinks=False))


def _state(stat: os.stat_result) -> _State:
    return _State(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _is_right(tree: Path, name: str, state: _State) -> bool:
    """Say whether a file is what its name says, and was the same one before and after that."""
    path = tree / name
    if path.is_symlink() or name != tree_name(path.name):
        return False
    return digest_of(path) == path.name and _state(path.lstat()) == state


def _set_aside(place: BackupPlace, name: str) -> None:
    """Move a file out of the tree; it is kept, as it may be the last that there is of it."""
    make_folder(place.damaged)
    (place.tree / name).replace(place.damaged / name.replace("/", "_"))
