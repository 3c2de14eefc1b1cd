"""Files at the target that are neither at the source nor in the journal: others' files, or ours.

A journal that was lost, or restored from a backup, no longer knows what the mirror put there. What
was deleted at the source meanwhile then stays at the target, and nobody can tell it from a file of
somebody else. It is counted, and never touched until a person names it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

from paperfleet.errors import NotFoundError, PreconditionFailedError
from paperfleet.journal.tables import STRANGERS
from paperfleet.mirror.planning.classify import target_name_of
from paperfleet.model import FileStat, KnownFile, Obstacle
from paperfleet.storage.names import is_below, loose_key, parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from paperfleet.journal.journal import Journal
    from paperfleet.mirror.finding import TargetFinding
    from paperfleet.storage.full import FullStorage


class Tally:
    """Counts strangers by folder, from the listings that the mirror reads anyway."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._seen: dict[str, frozenset[str]] = {}
        self._listed: set[str] = set()
        self._gone: set[str] = set()
        self._whole = False

    def accept(self, finding: TargetFinding) -> None:
        """Take over what a check saw that no row of the journal knew."""
        if finding.whole:
            self._seen.clear()
        self._whole = self._whole or finding.whole
        self._listed |= finding.etags.keys()
        self._gone |= finding.gone
        self._seen.update(finding.strange)

    def settle(self) -> None:
        """Count once all is done: what was seen may have been adopted meanwhile."""
        if not (self._whole or self._listed):
            return
        # Another process may have pruned, so the fact is read anew.
        fact = self._journal.get_fact(STRANGERS)
        before = fact if isinstance(fact, dict) and not self._whole else {}
        counts = {f: n for f, n in before.items() if not self._covers(f)}
        for folder, names in self._seen.items():
            if count := sum(self._journal.owner_of(name) is None for name in names):
                counts[folder] = count
        self._journal.set_fact(STRANGERS, counts)
        self._seen.clear()
        self._listed.clear()
        self._gone.clear()
        self._whole = False

    def _covers(self, folder: str) -> bool:
        return folder in self._listed or any(up in self._gone for up in (*parents(folder), folder))


def by_folder(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return names by the folder that they lie in."""
    folders: dict[str, set[str]] = defaultdict(set)
    for name in names:
        folders[name.rpartition("/")[0]].add(name)
    return {folder: frozenset(inside) for folder, inside in folders.items()}


class Stranger(NamedTuple):
    """One such file. ``copy_of`` is a document of the source with the same bytes, '' for none."""

    seen: FileStat
    copy_of: str = ""


class SourceState(NamedTuple):
    """``names`` at the source as the target calls them, folded; ``hidden``: nobody knows below."""

    names: frozenset[str]
    hidden: tuple[str, ...]


def source_state(source: FullStorage, target: FullStorage) -> SourceState:
    """Read all names of the source; raise ``NotAStorageError`` when it is gone."""
    can, names, hidden = target.capabilities, set[str](), list[str]()
    for item in source.survey():
        if isinstance(item, Obstacle):
            hidden.append(item.name)
        else:
            names.add(loose_key(target_name_of(item.name, can)))
    return SourceState(frozenset(names), tuple(hidden))


def find_strangers(
    target: FullStorage, here: SourceState, known: Iterable[KnownFile]
) -> Iterator[FileStat]:
    """Yield every file at the target that no row knows and that has no counterpart at the source.

    What lies where the source cannot be read is none; where the target cannot be read, nobody
    knows.
    """
    ours = {loose_key(row.target_name) for row in known}
    for seen in target.survey():
        if isinstance(seen, Obstacle):
            continue
        key = loose_key(seen.name)
        hidden = any(seen.name == name or is_below(seen.name, name) for name in here.hidden)
        if key not in ours and key not in here.names and not hidden:
            yield seen


def judged(
    target: FullStorage, strangers: Iterable[FileStat], known: Iterable[KnownFile]
) -> list[Stranger]:
    """Read the strangers that may be copies, and say of what; the others need not be read."""
    proven: dict[int, dict[str, str]] = defaultdict(dict)
    for row in known:
        if row.sure and row.sha256:
            proven[row.size].setdefault(row.sha256, row.name)
    found = []
    for seen in strangers:
        if seen.size in proven:
            digest = target.content_sha256(seen.name)
            read = seen._replace(sha256=digest)
            found.append(Stranger(read, proven[seen.size].get(digest, "")))
        else:
            found.append(Stranger(seen))
    return found


def row_for(target: FullStorage, stranger: Stranger) -> KnownFile:
    """Return the journal's row that makes a stranger the mirror's own; its bytes are read."""
    seen = stranger.seen
    digest = seen.sha256 or target.content_sha256(seen.name)
    return KnownFile(seen.name, seen.name, seen.size, digest, None, None, None, seen.etag)


def remove(
    target: FullStorage, seen: FileStat, is_taken: Callable[[str], bool]
) -> Literal["deleted", "gone", "changed", "taken"]:
    """Delete one file if it still is what was seen, and nobody has come to need the name.

    Conditional where the target can do so; elsewhere it is looked at right before.
    """
    if is_taken(seen.name):
        return "taken"

    def is_same(now: FileStat) -> bool:
        return now._replace(sha256=None) == seen._replace(sha256=None)

    try:
        target.delete_unchanged(seen.name, seen.etag, is_same)
    except PreconditionFailedError:
        return "changed"
    except NotFoundError:
        return "gone"
    return "deleted"
