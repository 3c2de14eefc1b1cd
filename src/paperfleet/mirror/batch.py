"""Names that are planned together, and what was seen of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from paperfleet.mirror.scan import Pair
from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from paperfleet.model import FileStat, KnownFile


@dataclass(frozen=True, slots=True)
class Batch:
    """Names that are planned together: what differs, and what has vanished."""

    changed: Sequence[Pair]
    vanished: Sequence[KnownFile] = ()
    renamed: frozenset[tuple[str, str]] = frozenset()

    @property
    def names(self) -> set[str]:
        """Every source name in the batch."""
        return {stat.name for stat, _ in self.changed} | {known.name for known in self.vanished}

    @property
    def touched(self) -> set[str]:
        """Every name in the batch, at the source and at the target."""
        rows = [*(known for _, known in self.changed if known), *self.vanished]
        return self.names | {row.target_name for row in rows}


@dataclass(slots=True)
class Observation:
    """What ``look`` found for a batch.

    ``source``: hashed files; ``target``: what is under the target names that were looked at;
    ``moving``: names that changed or vanished while they were read; ``failed``: files that could
    not be read, at the source or the target, with the reason; ``versioned``: the target names of
    which the target keeps what is replaced, among those that something is under; ``folded``: names
    that the target takes for another one of ours, which has the file there; ``free``: target names
    that a listing showed to be free.
    """

    source: dict[str, FileStat] = field(default_factory=dict)
    target: dict[str, FileStat | None] = field(default_factory=dict)
    moving: set[str] = field(default_factory=set)
    failed: dict[str, Exception] = field(default_factory=dict)
    versioned: set[str] = field(default_factory=set)
    folded: dict[str, str] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)


def batches(
    changed: Sequence[Pair], vanished: Sequence[KnownFile], renamed: frozenset[tuple[str, str]]
) -> tuple[Batch, list[Pair]]:
    """Part what must be planned together from what may come piece by piece.

    A move is found only among files of one size or one id; so what has vanished goes together with
    the changed files of the sizes and ids that vanished or were overwritten, and with a file that
    stands where a folder was, or the other way round. Where an overwrite in doubt has vanished,
    nobody knows which size it was to have, and every new file goes with it. With 100,000 new files
    and nothing gone, nothing has to wait for all to be hashed.
    """
    names = {known.name for known in vanished}
    above = {folder for name in names for folder in parents(name)}
    sizes = {known.size for known in vanished if known.sha256 or known.intended_sha256}
    sizes |= {known.size for stat, known in changed if known and known.sha256}
    ids = {known.file_id for known in vanished if known.file_id}
    if not vanished:
        fresh = {stat.size for stat, known in changed if known is None or stat.size != known.size}
        sizes &= fresh
    overwritten = any(known.sha256 and known.intended_sha256 for known in vanished)
    together, rest = list[Pair](), list[Pair]()
    for stat, known in changed:
        size = stat.size if known is None else known.size
        paired = stat.size in sizes or size in sizes or (overwritten and known is None)
        paired = paired or stat.file_id in ids
        in_place = stat.name in above or any(folder in names for folder in parents(stat.name))
        (together if paired or in_place else rest).append((stat, known))
    return Batch(together, vanished, renamed), rest


def with_known(batch: Batch, rest: Sequence[Pair]) -> tuple[Batch, list[Pair]]:
    """Return the batch with every known file of the rest, and the new files that are left."""
    known = [pair for pair in rest if pair[1] is not None]
    new = [pair for pair in rest if pair[1] is None]
    return replace(batch, changed=[*batch.changed, *known]), new


def portion(pairs: Iterable[Pair], most_files: int, most_bytes: int) -> list[Pair]:
    """Return the first of the pairs, within both bounds, but one at least."""
    taken, size = list[Pair](), 0
    for pair in pairs:
        if taken and (len(taken) >= most_files or size + pair[0].size > most_bytes):
            break
        taken.append(pair)
        size += pair[0].size
    return taken


def without(batch: Batch, observation: Observation, names: set[str]) -> tuple[Batch, Observation]:
    """Return a batch and what was seen of it without some of the files that differ."""
    changed = [pair for pair in batch.changed if pair[0].name not in names]
    source = {name: stat for name, stat in observation.source.items() if name not in names}
    failed = {name: error for name, error in observation.failed.items() if name not in names}
    return replace(batch, changed=changed), replace(observation, source=source, failed=failed)
