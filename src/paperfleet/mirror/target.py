"""Find what somebody else changed at the target."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from paperfleet.errors import NotFoundError, StorageError, is_refusal
from paperfleet.mirror.finding import TargetFinding
from paperfleet.mirror.planning.classify import matches
from paperfleet.mirror.strangers import by_folder
from paperfleet.mirror.unreadable import is_hidden
from paperfleet.model import FileStat, FolderListing, FolderStat, Obstacle
from paperfleet.storage.names import loose_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from paperfleet.journal.journal import Journal
    from paperfleet.model import KnownFile
    from paperfleet.storage.full import FullStorage

_MANY_FOLDERS = 8
"""Of more changed folders than this, the whole tree is listed at once."""


class TargetCheck:
    """Compares the target with the journal.

    Where folders have etags that change with anything below, an unchanged tree costs one request
    and a change the folders above it. Elsewhere everything is listed.
    """

    def __init__(self, target: FullStorage, journal: Journal) -> None:
        self._target = target
        self._journal = journal
        self.by_etags = target.capabilities.folder_etags

    def check(self) -> TargetFinding:
        """Compare; nothing may be under way at the target meanwhile."""
        trusted = self._journal.folder_etags() if self.by_etags else {}
        if not self.by_etags or (not trusted and self._journal.count_known() == 0):
            return self._listed()
        in_doubt = self._journal.in_doubt()
        if not in_doubt and self._root_etag() == trusted.get(""):
            return TargetFinding([])
        return self._walk(trusted, in_doubt)

    def _listed(self) -> TargetFinding:
        """List everything; what lies in a folder that cannot be read is neither there nor gone."""
        listing: dict[str, FileStat] = {}
        hidden: dict[str, str] = {}
        for item in self._target.survey():
            if isinstance(item, FileStat):
                listing[item.name] = item
            elif item.below:
                hidden[item.name] = item.reason
        unknown, doubtful = set(listing), []
        for row in self._journal.known():
            unknown.discard(row.target_name)
            seen = listing.get(row.target_name)
            if not _agrees(seen, row) and not (seen is None and is_hidden(row.target_name, hidden)):
                doubtful.append(row)
        absent = {r.name for r in doubtful if not r.sure and r.target_name not in listing}
        doubtful = _not_spelled_otherwise(doubtful, listing, unknown)
        return TargetFinding(
            doubtful,
            listing,
            strange=by_folder(unknown),
            whole=True,
            absent=frozenset(absent),
            unreadable=hidden,
        )

    def _walk(self, trusted: Mapping[str, str], in_doubt: Sequence[KnownFile]) -> TargetFinding:
        """List every folder whose etag is not the trusted one, from the root down.

        And those with names in doubt: one listing tells of all of them.
        """
        aliased = self._journal.known_under_other_names()
        doubtful: dict[str, KnownFile] = {}
        etags: dict[str, str] = {}
        gone: set[str] = set()
        hidden: dict[str, str] = {}
        strange: dict[str, frozenset[str]] = {}
        doubted = {row.target_name.rpartition("/")[0] for row in in_doubt} - {""}
        folders = ["", *doubted]
        there: set[str] = set()
        tree = None if trusted else self._tree()
        trusted_in = by_folder(name for name in trusted if name)
        while folders:
            if tree is None and len(folders) > _MANY_FOLDERS:
                tree = self._tree()
            folder = folders.pop()
            if folder in etags or folder in gone or folder in hidden:
                continue
            listing = self._list(folder) if tree is None else tree.get(folder)
            if isinstance(listing, Obstacle):
                hidden[folder] = listing.reason
                continue
            if listing is None:
                gone.add(folder)
                doubtful |= self._journal.known_at([folder])
                if folder in doubted:  # a server may say so of what is below a hidden folder
                    doubted.add(folder.rpartition("/")[0])
                    folders.append(folder.rpartition("/")[0])
                continue
            etags[folder] = listing.etag
            hidden.update((one.name, one.reason) for one in listing.obstacles)
            gone |= trusted_in.get(folder, frozenset()) - {sub.name for sub in listing.folders}
            folders += [sub.name for sub in listing.folders if trusted.get(sub.name) != sub.etag]
            rows = self._rows_in(folder, aliased)
            unknown = {stat.name for stat in listing.files} - {row.target_name for row in rows}
            files = {stat.name: stat for stat in listing.files}
            there.update(files)
            found = list(self._contradicted(folder, listing, rows, aliased))
            found = _not_spelled_otherwise(found, files, unknown)
            doubtful |= {row.name: row for row in found}
            if unknown:
                strange[folder] = frozenset(unknown)
        listed = etags.keys() | gone
        absent = frozenset(
            row.name
            for row in in_doubt
            if row.target_name.rpartition("/")[0] in listed
            and row.target_name not in there
            and not is_hidden(row.target_name, hidden)
        )
        everything = None
        if not trusted and tree is not None:
            listings = (one for one in tree.values() if isinstance(one, FolderListing))
            everything = {stat.name: stat for one in listings for stat in one.files}
        return TargetFinding(
            [row for row in doubtful.values() if not is_hidden(row.target_name, hidden)],
            everything,
            etags,
            frozenset(folder for folder in gone if not is_hidden(folder, hidden)),
            strange,
            whole=not trusted,
            absent=absent,
            unreadable=hidden,
        )

    def _rows_in(self, folder: str, aliased: list[KnownFile]) -> list[KnownFile]:
        inside = [row for row in aliased if row.target_name.rpartition("/")[0] == folder]
        rows = [row for row in self._journal.known_in(folder) if row.name == row.target_name]
        return rows + inside

    def _contradicted(
        self,
        folder: str,
        listing: FolderListing,
        rows: list[KnownFile],
        aliased: list[KnownFile],
    ) -> Iterator[KnownFile]:
        files = {stat.name: stat for stat in listing.files}
        yield from (row for row in rows if not _agrees(files.get(row.target_name), row))
        there = {sub.name for sub in listing.folders}
        missing = self._journal.folders_in(folder) - there
        below = self._journal.known_at(missing).values() if missing else ()
        yield from (row for row in below if row.name == row.target_name)
        for row in aliased:
            inner = _folder_in(folder, row.target_name)
            if inner and inner not in there:
                yield row

    def _root_etag(self) -> str | None:
        try:
            return self._target.folder_etag("")
        except NotFoundError:
            return None

    def _tree(self) -> dict[str, FolderListing | Obstacle]:
        """List every folder, with one request."""
        files = defaultdict[str, list[FileStat]](list)
        folders = defaultdict[str, list[FolderStat]](list)
        found: dict[str, str] = {}
        hidden: dict[str, FolderListing | Obstacle] = {}
        with suppress(NotFoundError):
            for one in self._target.list_tree(""):
                above = one.name.rpartition("/")[0]
                if isinstance(one, FileStat):
                    files[above].append(one)
                elif isinstance(one, Obstacle):
                    hidden[one.name] = one
                else:
                    found[one.name] = one.etag
                    if one.name:
                        folders[above].append(one)
        obstacles = by_folder(hidden)
        listed: dict[str, FolderListing | Obstacle] = {
            name: FolderListing(
                etag,
                tuple(files[name]),
                tuple(folders[name]),
                tuple(cast("Obstacle", hidden[one]) for one in obstacles.get(name, ())),
            )
            for name, etag in found.items()
        }
        return listed | hidden

    def _list(self, folder: str) -> FolderListing | Obstacle | None:
        try:
            return self._target.list_folder(folder)
        except NotFoundError:
            return None
        except StorageError as error:
            if not folder or not is_refusal(error):
                raise  # the root that is refused is a fault of the target
            return Obstacle(folder, error.reason, below=True)


def _agrees(seen: FileStat | None, known: KnownFile) -> bool:
    """Say whether the listing shows what the journal knows; a row in doubt is looked at anyway."""
    return not known.sure or (seen is not None and matches(seen, known))


def _not_spelled_otherwise(
    doubtful: list[KnownFile], listing: Mapping[str, FileStat], unknown: set[str]
) -> list[KnownFile]:
    """Return the rows without those whose file is listed in another spelling, as some servers do.

    That spelling is taken out of ``unknown``. A name that is another row's is none.
    """
    missing = [row for row in doubtful if row.sure and row.target_name not in listing]
    if not (missing and unknown):
        return doubtful
    spelled = {loose_key(name): name for name in unknown}
    found = set[str]()
    for row in missing:
        name = spelled.get(loose_key(row.target_name))
        if name in unknown and matches(listing[str(name)], row):
            unknown.discard(str(name))
            found.add(row.name)
    return [row for row in doubtful if row.name not in found]


def _folder_in(folder: str, name: str) -> str:
    """Return the folder directly in ``folder`` that the name lies in, '' for none."""
    start = f"{folder}/" if folder else ""
    inner, slash, _ = name.removeprefix(start).partition("/")
    return start + inner if slash and name.startswith(start) else ""
