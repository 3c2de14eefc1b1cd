"""Looking at what a storage holds without going through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class Bypass(Protocol):
    """The same files by another way, so that a fault in writing cannot hide one in reading."""

    def read(self, name: str) -> bytes:
        """Return the content; raise ``FileNotFoundError``."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file, with its parents."""
        ...

    def names(self) -> set[str]:
        """Return the names of all files, also of those that the storage hides."""
        ...


class FolderBypass:
    """The files of a storage that keeps them as files in a folder, each under its own name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        """Return the content; raise ``FileNotFoundError``."""
        return (self._root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file, with its parents."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def names(self) -> set[str]:
        """Return the names of everything that is not a folder."""
        found = self._root.rglob("*")
        return {path.relative_to(self._root).as_posix() for path in found if not path.is_dir()}
