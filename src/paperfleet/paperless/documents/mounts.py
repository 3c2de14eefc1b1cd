"""Which storage holds what lies below a path. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperfleet.storage.full import full
from paperfleet.storage.wrappers.prefixed import Prefixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.storage.full import FullStorage
    from paperfleet.storage.protocol import DocumentStorage


@dataclass(frozen=True, eq=False)
class Mount:
    """A local folder whose content is in a storage.

    ``root`` is an absolute, normalized path. ``key`` is the folder's name in the storage, such as
    ``originals``. ``opened`` returns the storage of this process that has all keys, entered.
    ``cached`` is for what is read whole, again and again: it is read from a local copy.
    """

    root: str
    key: str
    opened: Callable[[], DocumentStorage]
    cached: bool = False

    @property
    def base(self) -> FullStorage:
        """The storage that this mount is a folder of, ready for use."""
        return full(self.opened())

    @property
    def storage(self) -> FullStorage:
        """What lies below the root, ready for use."""
        return full(Prefixed(self.opened(), self.key))

    def place(self, name: str) -> Place:
        """Return the place of a name in this mount."""
        return Place(self, name)

    def path_of(self, name: str) -> str:
        """Return the local path that stands for a name."""
        return f"{self.root}/{name}" if name else self.root


class Place:
    """A location in a mount: a file's or folder's name there, empty for the root of the mount."""

    __slots__ = ("mount", "name")

    def __init__(self, mount: Mount, name: str) -> None:
        self.mount, self.name = mount, name

    @property
    def path(self) -> str:
        """The local path that stands for it."""
        return self.mount.path_of(self.name)

    @property
    def key(self) -> tuple[str, str]:
        """What is equal for equal places."""
        return self.mount.root, self.name


class MountTable:
    """All mounts of this process, found by path."""

    def __init__(self) -> None:
        self._mounts: dict[str, Mount] = {}
        self._starts: tuple[str, ...] = ()

    def add(self, mount: Mount) -> None:
        """Add a mount, in the place of one at the same root."""
        self._mounts[mount.root] = mount
        self._starts = tuple(self._mounts)

    def add_first(self, mount: Mount) -> None:
        """Add a mount that lies in another one, which it hides there."""
        self._mounts = {mount.root: mount, **self._mounts}
        self._starts = tuple(self._mounts)

    def remove(self, root: str) -> None:
        """Remove a mount, if there is one."""
        self._mounts.pop(root, None)
        self._starts = tuple(self._mounts)

    def __iter__(self) -> Iterator[Mount]:
        return iter(list(self._mounts.values()))

    def find(self, path: str) -> Place | None:
        """Return where a path leads, None for one outside of all mounts.

        ``path`` need not be normal: ``..`` and doubled slashes are taken lexically, which is right
        because a storage has no links.
        """
        # Called for every path that is made: the first tests have to be quick.
        if "/.." in path:
            path = _normal(path)
        if not path.startswith(self._starts):
            return None
        if _odd(path):
            path = _normal(path)
        for root, mount in self._mounts.items():
            if path == root:
                return Place(mount, "")
            if path.startswith(root) and path[len(root)] == "/":
                return Place(mount, path[len(root) + 1 :])
        return None

    def below(self, path: str) -> list[Mount]:
        """Return the mounts that lie below a path which itself is in none."""
        start = path.rstrip("/") + "/"
        return [mount for root, mount in self._mounts.items() if root.startswith(start)]


def _odd(path: str) -> bool:
    return "//" in path or "/." in path or path.endswith("/")


def _normal(path: str) -> str:
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    return "/" + "/".join(segments)
