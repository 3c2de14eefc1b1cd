"""Which name each file of a document has; equal ones are numbered as in paperless-ngx. Pure.

paperless-ngx counts up from the plain name until one is free, and a file keeps the name that it has
as long as it comes by on that way (``documents/file_handling.py``, ``generate_unique_filename``).
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from paperfleet.documents.records import Kind


class FileKey(NamedTuple):
    """One file of one document."""

    number: int
    kind: Kind | None
    """None for the one file of a document, whichever it is."""


class Wish(NamedTuple):
    """The name that a file is to have: 'stem' + '_01' where it is taken + 'ending'.

    ``closes_up``: it takes a lower number as soon as that is free, where few wish for one name.
    """

    stem: str
    ending: str
    closes_up: bool = False

    def name(self, counter: int) -> str:
        """Return the name with this number; 0 is the plain one."""
        return f"{self.stem}_{counter:02}{self.ending}" if counter else self.stem + self.ending


class Renamed(NamedTuple):
    """The name of a file before and after; None for none."""

    before: str | None
    after: str | None


class NameTable:
    """The names that are given, one to one."""

    def __init__(self, given: Iterable[tuple[FileKey, Wish, str]] = ()) -> None:
        self._wishes: dict[FileKey, Wish] = {}
        self._names: dict[FileKey, str] = {}
        self._keys: dict[str, FileKey] = {}
        self._numbered: set[FileKey] = set()
        for key, wish, name in given:
            self._give(key, wish, name)

    def name_of(self, key: FileKey) -> str | None:
        """Return the name of a file, None for one that has none."""
        return self._names.get(key)

    def key_of(self, name: str) -> FileKey | None:
        """Return the file of this name."""
        return self._keys.get(name)

    def wish_of(self, key: FileKey) -> Wish | None:
        """Return what the name was made of."""
        return self._wishes.get(key)

    def assign(self, wishes: Mapping[FileKey, Wish | None]) -> dict[FileKey, Renamed]:
        """Give names as they are wished, None for none; return the names that changed.

        Files that want other names leave theirs first, so that two can change places; then those
        with lower numbers choose before others.
        """
        changed = {key: wish for key, wish in wishes.items() if self._wishes.get(key) != wish}
        before = {key: self._names.get(key) for key in changed}
        for key in changed:
            self._take(key)
        for key, wish in sorted(changed.items(), key=lambda item: _order(item[0])):
            if wish is not None:
                self._give(key, wish, self._free(wish))
        for key in self._numbered_first():
            before.setdefault(key, self._names[key])
            wish = self._wishes[key]
            self._take(key)
            self._give(key, wish, self._free(wish))
        renamed = {key: Renamed(before[key], self._names.get(key)) for key in before}
        return {key: names for key, names in renamed.items() if names.before != names.after}

    def _numbered_first(self) -> list[FileKey]:
        """Return those with a number that are to close up, those with low numbers first."""
        numbered = (key for key in self._numbered if self._wishes[key].closes_up)
        return sorted(numbered, key=lambda key: (len(self._names[key]), self._names[key]))

    def _free(self, wish: Wish) -> str:
        return next(name for name in map(wish.name, count()) if name not in self._keys)

    def _give(self, key: FileKey, wish: Wish, name: str) -> None:
        self._wishes[key], self._names[key], self._keys[name] = wish, name, key
        if name != wish.name(0):
            self._numbered.add(key)

    def _take(self, key: FileKey) -> None:
        self._wishes.pop(key, None)
        self._numbered.discard(key)
        name = self._names.pop(key, None)
        if name is not None:
            del self._keys[name]


def _order(key: FileKey) -> tuple[int, str]:
    return key.number, key.kind or ""
