"""What a migration of documents has to do: the rows of the database beside both homes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paperfleet.errors import InvalidNameError
from paperfleet.model import Obstacle
from paperfleet.paperless.areas import AREAS
from paperfleet.paperless.documents import rows
from paperfleet.paperless.documents.rows import Expected
from paperfleet.paperless.homes import IGNORED
from paperfleet.storage.names import is_below

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from paperfleet.model import FileStat
    from paperfleet.paperless.homes import Home
    from paperfleet.storage.full import FullStorage


@dataclass
class Part:
    """What there is to do in one area.

    ``files`` are at the source and named by the database, or all where no row names any; ``there``
    is what the destination has under their names. ``only_there`` are at the destination alone,
    ``missing`` nowhere, and ``unlisted`` are names at the source that the database does not know.
    ``obstacles`` are what is at the source and cannot be read as a file, with the reason;
    ``blocked`` are names of the database that one of them is, or hides.
    """

    area: str
    expected: dict[str, Expected] = field(default_factory=dict)
    files: list[FileStat] = field(default_factory=list)
    there: dict[str, FileStat] = field(default_factory=dict)
    only_there: dict[str, FileStat] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    obstacles: dict[str, str] = field(default_factory=dict)
    blocked: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of all files at the source."""
        return sum(found.size for found in self.files)


def survey(source: Home, target: Home, areas: Collection[str]) -> list[Part]:
    """Compare the rows with both homes; raise ``StorageError``."""
    parts = {area: Part(area) for area in areas}
    for file in rows.expected(areas):
        parts[file.area].expected[file.name] = file
    for part in parts.values():
        if not AREAS[part.area].named:
            part.expected = _all_of(part.area, source)
    for part in parts.values():
        _look(part, source, target)
    return list(parts.values())


def _all_of(area: str, source: Home) -> dict[str, Expected]:
    """Return every file of an area of which no row knows the files: all of them are to come."""
    names = (found.name for found in source.stats(area))
    return {
        name: Expected(area, name, 0) for name in names if name.rpartition("/")[2] not in IGNORED
    }


def _look(part: Part, source: Home, target: Home) -> None:
    at_target = {target.key_of(found.name): found for found in target.stats(part.area)}
    wanted = {source.key_of(name): name for name in part.expected}
    seen = set()
    hiding: list[Obstacle] = []
    for found in _files(part, source, hiding):
        name = wanted.get(source.key_of(found.name))
        if name is None:
            if found.name.rpartition("/")[2] not in IGNORED:
                part.unlisted.append(found.name)
            continue
        seen.add(name)
        # By the database's name: the source may have another Unicode form or case of it.
        part.files.append(found._replace(name=name))
        if there := at_target.get(target.key_of(name)):
            part.there[name] = there
    for name in part.expected:
        if name in seen:
            continue
        if there := at_target.get(target.key_of(name)):
            part.only_there[name] = there
        elif reason := _blocked(part, hiding, name):
            part.blocked[name] = reason
        elif late := _asked(source.area(part.area), name):
            part.files.append(late)
        else:
            part.missing.append(name)
    part.files.sort()


def _files(part: Part, source: Home, hiding: list[Obstacle]) -> Iterator[FileStat]:
    """Yield the files of the source; note what is none, and the folders that hide others."""
    for item in source.survey(part.area):
        if not isinstance(item, Obstacle):
            yield item
            continue
        part.obstacles[item.name] = item.reason
        if item.below:
            hiding.append(item)


def _blocked(part: Part, hiding: list[Obstacle], name: str) -> str:
    """Return why a file of the database cannot be read, '' when nothing is in its way."""
    over = next((one for one in hiding if is_below(name, one.name)), None)
    return f"{over.name}: {over.reason}" if over else part.obstacles.get(name, "")


def _asked(storage: FullStorage, name: str) -> FileStat | None:
    """Ask for a file that was not listed: the listings of some stores lag behind."""
    try:
        return storage.find(name)
    except InvalidNameError:
        return None
