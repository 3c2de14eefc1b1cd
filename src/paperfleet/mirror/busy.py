"""Names that something is queued or under way for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from paperfleet.storage.names import loose_key, parents

if TYPE_CHECKING:
    from collections.abc import Iterable


class BusyNames:
    """Names, how often each is touched, and how many lie below each folder.

    There may be thousands. Names that some target takes for one count as one.
    """

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()
        self._below: Counter[str] = Counter()

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self._names)

    def __contains__(self, name: str) -> bool:
        """Say whether the name itself is among them."""
        return loose_key(name) in self._names

    def touches(self, name: str) -> bool:
        """Say whether the name, a folder above it or anything below it is among them.

        '' is the folder above all.
        """
        key = loose_key(name)
        return (
            (not key and bool(self._names))
            or key in self._names
            or key in self._below
            or any(up in self._names for up in parents(key))
        )

    def add(self, names: Iterable[str]) -> None:
        """Add names, each once more."""
        for name in map(loose_key, names):
            if not self._names[name]:
                self._below.update(parents(name))
            self._names[name] += 1

    def remove(self, names: Iterable[str]) -> None:
        """Take names away that were added, each once."""
        for name in map(loose_key, names):
            self._names[name] -= 1
            if self._names[name]:
                continue
            del self._names[name]
            for folder in parents(name):
                self._below[folder] -= 1
                if not self._below[folder]:
                    del self._below[folder]


class TouchedNames(BusyNames):
    """All names that were busy at any moment since; ``proven``: those that were seen to arrive.

    Of what a look at the target saw meanwhile under these names, nobody knows whether it was before
    or after.
    """

    def __init__(self) -> None:
        super().__init__()
        self.proven: set[str] = set()
