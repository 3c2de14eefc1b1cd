"""Looking at several files that were sent by one PUT each: by one listing of their folder."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from paperfleet.errors import Scope, StorageError
from paperfleet.model import BegunSave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paperfleet.model import FileStat
    from paperfleet.storage.dav.direct import DirectSaves
    from paperfleet.storage.dav.found import FoundFile
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.target import Target

_FEWEST = 3
"""Files of a folder for which it is listed; for fewer, a look at each costs less."""

_MOST_BESIDE = 6
"""Other entries of a folder for each file, up to which its listing costs less than the looks."""

_MOST_REMEMBERED = 10_000


class SavesSeen:
    """Proves what arrived; safe in many threads.

    A listing costs both ends more the more is in the folder, so it is asked for only where the last
    one, if there was any, was short for the number of files. What it does not show as it should be
    is looked at alone, as after any save.
    """

    def __init__(self, listing: DavListing, direct: DirectSaves, target: Target) -> None:
        self._listing = listing
        self._direct = direct
        self._target = target
        self._entries: dict[str, int] = {}

    def end(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        """Return what the server has of each, or the error that ``DirectSaves.ended`` raises."""
        in_folder = defaultdict[str, list[BegunSave]](list)
        for one in begun:
            in_folder[one.name.rpartition("/")[0]].append(one)
        seen: dict[str, FileStat | StorageError] = {}
        for folder, some in in_folder.items():
            listed = self._listed(folder, some)
            seen.update((one.name, self._seen(one, listed)) for one in some)
        return [seen[one.name] for one in begun]

    def _listed(
        self, folder: str, begun: Sequence[BegunSave]
    ) -> Mapping[str, FoundFile] | StorageError:
        """Return what is in the folder, nothing where that is not asked for.

        An error is one of the server as a whole: no other look would do better.
        """
        entries = self._entries.get(folder, 0)
        if len(begun) < _FEWEST or entries > len(begun) * _MOST_BESIDE:
            return {}
        try:
            found = self._listing.children(folder, operation="save")[1]
        except StorageError as error:
            return error if error.scope is Scope.STORAGE else {}
        if len(self._entries) >= _MOST_REMEMBERED:
            self._entries.clear()
        self._entries[folder] = len(found)
        return {one.name: one for one in found}

    def _seen(
        self, begun: BegunSave, listed: Mapping[str, FoundFile] | StorageError
    ) -> FileStat | StorageError:
        try:
            if isinstance(listed, StorageError):
                with self._target.after_effect(begun.name):
                    raise listed
            found = listed.get(begun.name)
            if found is None or found.refusal is not None or found.entry.is_folder:
                return self._direct.ended(begun)
            return found.stat if found.entry.size == begun.size else self._direct.ended(begun)
        except StorageError as error:
            return error
