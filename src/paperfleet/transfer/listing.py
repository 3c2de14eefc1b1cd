"""What a migration finds at its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.names import RESERVED, is_temporary

if TYPE_CHECKING:
    from paperfleet.storage.full import FullStorage


def listed(source: FullStorage) -> tuple[list[FileStat], list[Obstacle]]:
    """Return every file that can be read, and everything else that the source has; sorted."""
    files: list[FileStat] = []
    obstacles: list[Obstacle] = []
    for item in source.whole_survey():
        if isinstance(item, Obstacle):
            obstacles.append(item)
        elif is_temporary(item.name):
            obstacles.append(Obstacle(item.name, RESERVED))
        else:
            files.append(item)
    return sorted(files), sorted(obstacles)
