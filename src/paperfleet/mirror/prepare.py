"""Get ready what the planner needs to see: hashes of the source, observation of the target."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from paperfleet.errors import Scope, StorageError
from paperfleet.mirror.batch import Observation
from paperfleet.mirror.planning.classify import target_name_of
from paperfleet.mirror.scan import Pair, hashed, same_file, told
from paperfleet.mirror.twins import are_one
from paperfleet.mirror.unreadable import fault_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.batch import Batch
    from paperfleet.mirror.twins import Twins
    from paperfleet.model import FileStat, KnownFile
    from paperfleet.storage.full import FullStorage


def departed(
    source: FullStorage,
    journal: Journal,
    batch: Batch,
    observation: Observation,
    busy: Callable[[str], bool],
) -> dict[str, KnownFile]:
    """Return the rows of files that are in the batch under a new name and gone from their old one.

    Of a rename into a folder that was made a moment ago inotify tells the first half alone; the
    second is found by looking into the folder, perhaps sooner than the first has settled. Inode,
    size and content say that it is the same file.
    """
    had_row = {stat.name for stat, known in batch.changed if known is not None}
    new = {s.file_id: s for s in observation.source.values() if s.file_id and s.name not in had_row}
    rows = journal.known_with_content({stat.sha256 or "" for stat in new.values()})
    return {
        row.name: row
        for row in rows
        if row.file_id in new
        and new[row.file_id].sha256 == row.sha256
        and row.name not in batch.names
        and not busy(row.name)
        and _is_gone(source, row.name)
    }


def _is_gone(source: FullStorage, name: str) -> bool:
    try:
        return source.find(name) is None
    except StorageError:
        return False  # it cannot be known: then it is a new file


_SECOND = 1_000_000_000


class Observer:
    """Reads source and target for the planner; safe to use from many threads."""

    def __init__(
        self, source: FullStorage, target: FullStorage, adopt: Literal["checksum", "mtime"]
    ) -> None:
        self._source = source
        self._target = target
        self._label = target.label
        self._adopt = adopt

    def look(
        self,
        batch: Batch,
        listing: Mapping[str, FileStat] | None,
        twins: Twins,
        free: Collection[str] = (),
        hidden: Mapping[str, str] = MappingProxyType({}),
    ) -> Observation:
        """Hash what differs, and look at the target where the journal cannot be believed.

        ``listing`` is all that is at the target by target name, when that was listed; ``twins``
        knows the names that the target may take for one; ``free``: target names in doubt of which
        the listing shows that nothing is there; ``hidden``: what cannot be read at the target, with
        the reason: what vanished or is in doubt there has failed. An error of the target as a whole
        is raised; of one file it is noted.
        """
        observation = Observation()
        observation.free.update(free)
        observation.target.update(dict.fromkeys(free))
        twins.begin(batch)
        gone = {known.file_id: known for known in batch.vanished if known.file_id}
        for stat, known in batch.changed:
            look = partial(self._both, (stat, known), gone, listing, observation, twins, hidden)
            self._guarded(stat.name, observation, look)
        for known in batch.vanished:
            if fault := fault_of(known.target_name, hidden, self._label):
                observation.failed[known.name] = fault
            elif not known.sure and known.target_name not in free:
                self._guarded(
                    known.name, observation, partial(self._gone, known, observation, twins)
                )
        there = {name for name, seen in observation.target.items() if seen is not None}
        there |= {
            k.target_name for stat, k in batch.changed if k and _differs(k, stat.name, observation)
        }
        observation.versioned = {n for n in there if self._target.keeps_versions(n)}
        return observation

    def _guarded(self, name: str, observation: Observation, look: Callable[[], None]) -> None:
        try:
            look()
        except StorageError as error:
            if error.scope is Scope.STORAGE:
                raise
            observation.failed[name] = error
        except Exception as error:  # noqa: BLE001  # told as a fault, with its file; the rest goes on
            observation.failed[name] = error

    def _both(
        self,
        pair: Pair,
        gone: Mapping[str, KnownFile],
        listing: Mapping[str, FileStat] | None,
        observation: Observation,
        twins: Twins,
        hidden: Mapping[str, str],
    ) -> None:
        stat, known = pair
        read = self._with_hash(stat, known or gone.get(stat.file_id or ""))
        if read is None:
            observation.moving.add(stat.name)
            return
        target_name = self._target_name(stat.name, known)
        in_doubt = known is not None and not known.sure and target_name not in observation.free
        if in_doubt or stat.name in twins.suspected:
            if fault := fault_of(target_name, hidden, self._label):
                raise fault
            seen = self._seen(target_name, read, prove=True)
            if seen is not None and twins.has(stat.name):
                seen = self._unless_folded(stat.name, seen, read.sha256, observation, twins)
            observation.target[target_name] = seen
            if stat.name in observation.moving:
                return
        elif known is None and listing is not None:
            there = target_name in listing
            observation.target[target_name] = self._seen(target_name, read) if there else None
        observation.source[stat.name] = read

    def _unless_folded(
        self, name: str, seen: FileStat, ours: str | None, observation: Observation, twins: Twins
    ) -> FileStat | None:
        """Return what was seen, or None when it is the file of another name of ours."""
        target_name = seen.name
        twin = twins.of(name)
        if not are_one(self._target, target_name, twin.target_name):
            return seen
        if twin.known is None:
            observation.moving.add(name)
            return seen
        if not twins.owns(twin, name, seen.sha256, ours):
            return seen
        observation.folded[name] = twin.name
        return None

    def _gone(self, known: KnownFile, observation: Observation, twins: Twins) -> None:
        seen = self._target.find(known.target_name)
        if seen is None:
            self._target.require_readable_above(known.target_name)
        else:
            digest = self._target.content_sha256(known.target_name)
            seen = seen._replace(sha256=digest)
            if twins.has(known.name):
                ours = known.intended_sha256 or known.sha256
                seen = self._unless_folded(known.name, seen, ours, observation, twins)
        observation.target[known.target_name] = seen

    def _with_hash(self, stat: FileStat, known: KnownFile | None) -> FileStat | None:
        if known is not None and same_file(stat, known):
            return stat._replace(sha256=known.sha256)
        return told(self._source, stat) or hashed(self._source, stat)

    def _target_name(self, name: str, known: KnownFile | None) -> str:
        if known is not None:
            return known.target_name
        return target_name_of(name, self._target.capabilities)

    def _seen(self, target_name: str, source: FileStat, *, prove: bool = False) -> FileStat | None:
        """Return the file at the target; its bytes are compared where the size leaves it open.

        A row in doubt is always proven by its bytes: after a cut overwrite Nextcloud goes on
        showing the old size and etag.
        """
        seen = self._target.find(target_name)
        if seen is None or (seen.size != source.size and not prove):
            return seen
        if self._adopt == "mtime" and not prove and _same_second(seen, source):
            return seen._replace(sha256=source.sha256)
        return seen._replace(sha256=self._target.content_sha256(target_name))


def _differs(known: KnownFile, name: str, observation: Observation) -> bool:
    """Say whether other content than the known was read: it will overwrite what is there."""
    read = observation.source.get(name)
    return read is not None and read.sha256 != known.sha256


def _same_second(one: FileStat, other: FileStat) -> bool:
    if one.modified_ns is None or other.modified_ns is None:
        return False
    return one.modified_ns // _SECOND == other.modified_ns // _SECOND
