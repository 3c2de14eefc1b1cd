"""What the planner is shown: source, journal and target as they were seen. Plain data, no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paperfleet.model import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from paperfleet.model import FileStat, KnownFile


class Unseen(enum.Enum):
    """Nobody looked at the target for this name in this pass."""

    UNSEEN = "unseen"


UNSEEN = Unseen.UNSEEN


@dataclass(frozen=True, slots=True)
class View:
    """One pass's sight of the three states, for the names that may differ.

    ``source``: files by name, each with its ``sha256``. ``known``: journal rows by name, for every
    name in ``source`` that has one and for every name that has vanished from the source.
    ``target``: what was seen at the target, by target name; a ``sha256`` there is set when the
    bytes were compared (a file of another size than the source's needs no hash to be different).
    ``known_below`` counts the journal's rows in a folder, seen in this pass or not. ``owner`` gives
    the journal's name for a collision key where the target folds names. ``renamed`` holds folder
    renames that were watched as such. ``versioned``: the target names of which the target keeps
    what is replaced, among those that something was seen under. ``folded``: names that the target
    takes for another one of ours, by which the file there goes. ``lasting_ids``: at the source a
    ``file_id`` is that of one file for ever.
    """

    source: Mapping[str, FileStat]
    known: Mapping[str, KnownFile]
    target: Mapping[str, FileStat | None] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    known_below: Callable[[str], int] = lambda _folder: 0
    owner: Callable[[str], str | None] = lambda _key: None
    renamed: frozenset[tuple[str, str]] = frozenset()
    set_aside: bool = True
    versioned: Collection[str] = frozenset()
    folded: Mapping[str, str] = field(default_factory=dict)
    lasting_ids: bool = False

    def seen(self, target_name: str) -> FileStat | Unseen | None:
        """Return what was seen at the target under this name."""
        return self.target.get(target_name, UNSEEN)
