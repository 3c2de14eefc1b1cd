"""Names of ours that a target may take for one: of other case, Unicode form, dots at the end."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import NotFoundError
from paperfleet.storage.names import loose_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.batch import Batch
    from paperfleet.model import KnownFile
    from paperfleet.storage.full import FullStorage


TWINS = "twins"
"""The fact: names that wait until another one is free."""


def remembered_twins(journal: Journal) -> dict[str, str]:
    """Return the names that wait, with those that they wait for."""
    fact = journal.get_fact(TWINS)
    return {name: str(other) for name, other in fact.items()} if isinstance(fact, dict) else {}


class Twin(NamedTuple):
    """Another name of ours that may be the same to the target.

    ``known`` is its row; None while it is on its way there for the first time.
    """

    name: str
    known: KnownFile | None

    @property
    def target_name(self) -> str:
        """What the target was asked for."""
        return self.known.target_name if self.known else self.name


class Twins:
    """The names of one batch that have twins; looked for when the first is asked for.

    ``suspected``: names that were twins before, and are looked at instead of tried.
    """

    def __init__(self, journal: Journal, suspected: Collection[str]) -> None:
        self._journal = journal
        self.suspected = suspected
        self._found: dict[str, Twin] | None = None
        self._names: set[str] = set()
        self._vanished: set[str] = set()

    def begin(self, batch: Batch) -> None:
        """Take the batch that is looked at."""
        self._names = batch.names
        self._vanished = {known.name for known in batch.vanished}

    def has(self, name: str) -> bool:
        """Say whether there is a twin of a name."""
        if self._found is None:
            self._found = find_twins(self._journal, self._names)
        return name in self._found

    def of(self, name: str) -> Twin:
        """Return the twin of a name that has one."""
        return (self._found or {})[name]

    def owns(self, twin: Twin, name: str, seen: str | None, ours: str | None) -> bool:
        """Say whether a file that has two names is the twin's.

        ``seen`` is the digest of its bytes, ``ours`` that of what was meant for ``name``. One that
        is sure owns it; of two in doubt the one that left the source, as the other may be what it
        was renamed to, else the one with these bytes, else the first by name.
        """
        known = twin.known
        if known is None or known.sure:
            return known is not None
        if (twin.name in self._vanished) != (name in self._vanished):
            return twin.name in self._vanished
        if seen in {known.sha256, known.intended_sha256}:
            return seen != ours or twin.name < name
        return False


def find_twins(journal: Journal, names: Iterable[str]) -> dict[str, Twin]:
    """Return for names those of ours that differ from them in nothing but what servers fold."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for name in names:
        wanted[loose_key(name)].append(name)
    found: dict[str, Twin] = {}
    for operation in journal.pending():
        for name in wanted.get(loose_key(operation.name), ()):
            if name != operation.name:
                found[name] = Twin(operation.name, None)
    for row in journal.known():
        for name in wanted.get(loose_key(row.target_name), ()):
            # One that is sure is the owner; it counts more than one in doubt.
            if row.name != name and not _is_sure(found.get(name)):
                found[name] = Twin(row.name, row)
    return found


def _is_sure(twin: Twin | None) -> bool:
    return twin is not None and twin.known is not None and twin.known.sure


def are_one(target: FullStorage, name: str, other: str) -> bool:
    """Say whether the target takes two names for one.

    ``name`` was found there a moment ago. Both are found when asked for, yet the listing has not
    both.
    """
    if target.find(other) is None:
        return False
    folders = {one.rpartition("/")[0] for one in (name, other)}
    return not {name, other} <= {stat for folder in folders for stat in _listed(target, folder)}


def _listed(target: FullStorage, folder: str) -> set[str]:
    """Return the names of the files in a folder, as the target spells them."""
    if target.capabilities.folder_etags:
        try:
            listing = target.list_folder(folder)
        except NotFoundError:
            return set()
        return {stat.name for stat in listing.files}
    return {stat.name for stat in target.list_stats(folder)}
