"""Look at the source again: stat, hash, stat again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import NotFoundError
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.hashing import CHUNK
from paperfleet.storage.names import is_below, is_temporary, is_unfinished, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paperfleet.journal.journal import Journal
    from paperfleet.model import KnownFile
    from paperfleet.storage.full import FullStorage

Pair = tuple[FileStat, "KnownFile | None"]


class Scan(NamedTuple):
    """What differs from the journal under the scanned names; obstacles are neither."""

    changed: list[Pair]
    vanished: list[KnownFile]
    obstacles: list[Obstacle]
    found: int

    def questions(self, left_out: Callable[[str], bool]) -> Callable[[str], bool]:
        """Return what says whether a scanned name still needs something, or was not seen."""
        names = {stat.name for stat, _ in self.changed} | {known.name for known in self.vanished}
        names |= {text for o in self.obstacles for text in (o.name, readable(o.name))}
        below = [obstacle.name for obstacle in self.obstacles if obstacle.below]
        return lambda name: (
            name in names or left_out(name) or any(is_below(name, folder) for folder in below)
        )


def scan(
    source: FullStorage,
    journal: Journal,
    names: Iterable[str],
    left_out: Callable[[str], bool],
) -> Scan:
    """Compare the source with the journal under ``names`` (each with all below; '' is all).

    ``left_out`` names (not settled, or being sent) are neither changed nor vanished.
    """
    scope = sorted(set(names))
    obstacles: list[Obstacle] = []
    differences = journal.differences(_survey(source, scope, obstacles), scope)
    hidden = {obstacle.name for obstacle in obstacles}
    below = [obstacle.name for obstacle in obstacles if obstacle.below]

    def unknown(name: str) -> bool:
        return name in hidden or any(is_below(name, folder) for folder in below) or left_out(name)

    return Scan(
        [(stat, known) for stat, known in differences.changed if not left_out(stat.name)],
        [known for known in differences.vanished if not unknown(known.name)],
        obstacles,
        differences.found,
    )


def _survey(source: FullStorage, scope: list[str], obstacles: list[Obstacle]) -> Iterator[FileStat]:
    for name in scope:
        for item in source.survey(name):
            if isinstance(item, Obstacle):
                # Somebody's document with such a name is told, a save that is under way is not.
                if not is_unfinished(item.name):
                    obstacles.append(item)
            elif not is_temporary(item.name):
                yield item


def hashed(source: FullStorage, stat: FileStat) -> FileStat | None:
    """Return the file with its SHA-256; None when it changed or vanished while it was read."""
    digest = hashlib.sha256()
    try:
        with source.open(stat.name) as stream:
            while chunk := stream.read(min(CHUNK, stat.size + 1)):
                digest.update(chunk)
        after = source.stat(stat.name)
    except NotFoundError:
        return None
    # A bucket vouches for a hash when it is asked for one file, and not when it lists them.
    unchanged = after._replace(sha256=None) == stat._replace(sha256=None)
    return stat._replace(sha256=digest.hexdigest()) if unchanged else None


def told(source: FullStorage, stat: FileStat) -> FileStat | None:
    """Return the file with the SHA-256 that the source tells without reading; None for none."""
    if not source.capabilities.knows_hashes:
        return None
    now = source.find(stat.name)
    if now is None or now.sha256 is None or now._replace(sha256=None) != stat._replace(sha256=None):
        return None
    return now


def same_file(stat: FileStat, known: KnownFile) -> bool:
    """Say whether the source file is, byte for byte, the one that the row was copied from."""
    return (
        bool(known.sha256)
        and stat.size == known.size
        and stat.modified_ns == known.modified_ns
        and stat.file_id == known.file_id
        and stat.etag == known.version
    )
