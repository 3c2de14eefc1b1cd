"""Paths whose files are in a storage.

paperless-ngx reaches its documents through ``pathlib``. A ``StoragePath`` is a ``PosixPath`` that
looks, at each operation, where it leads: below a mount the operation goes to the storage, anywhere
else to the local disk as ever. So a path that is derived from a setting, or made from a text, does
what its location asks for. ``os.fspath``, with which C libraries and programs get a real path,
gives that of a local copy.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path, PosixPath
from typing import IO, TYPE_CHECKING, Any, Self

from paperfleet.errors import InvalidNameError
from paperfleet.paperless.documents import active, files, moving
from paperfleet.paperless.documents.globbing import below_with_folders, matches
from paperfleet.paperless.documents.streams import open_place

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from paperfleet.model import FileStat
    from paperfleet.paperless.documents.mounts import Place

_BLOCK = 4096


class StoragePath(PosixPath):
    """See the module; the methods are those of ``pathlib.Path`` (Python library reference)."""

    __slots__ = ("_listed",)

    _listed: bool

    def _place(self) -> Place | None:
        return active.mounts.find(str(self))

    def _refuse(self, what: str) -> OSError:
        return OSError(errno.EOPNOTSUPP, f"a document storage has no {what}", str(self))

    def __fspath__(self) -> str:
        """Return a real path: of a local copy, for a document."""
        place = self._place()
        if place is None or not place.name or files.find(place) is None:
            return str(self)
        return str(active.scratch.copies.path_of(place))

    def __rtruediv__(self, key: str | os.PathLike[str]) -> Self:
        """Take precedence over the operator of a plain path on the left."""
        return super().__rtruediv__(key)

    def __reduce__(self) -> tuple[type[Path], tuple[str]]:
        """Be a path of any process, which may have other mounts or none."""
        return Path, (str(self),)

    # What is there

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size and time; everything else is made up."""
        place = self._place()
        if place is None:
            return super().stat(follow_symlinks=follow_symlinks)
        found = files.find(place)
        if found is not None:
            return _stat_result(found)
        if files.is_folder(place):
            return _stat_result(None)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))

    def lstat(self) -> os.stat_result:
        """Return the same as ``stat``: a storage has no links."""
        return self.stat(follow_symlinks=False)

    def exists(self, **keywords: Any) -> bool:  # noqa: ANN401  # follow_symlinks, since Python 3.12
        """Say whether there is a file or folder; raises when the storage does not answer."""
        place = self._place()
        if place is None:
            return super().exists(**keywords)
        try:
            return bool(files.entry(place))
        except (NotADirectoryError, InvalidNameError):
            return False

    def is_file(self, **keywords: Any) -> bool:  # noqa: ANN401  # follow_symlinks, since Python 3.13
        """Say whether it is a document."""
        place = self._place()
        if place is None:
            return super().is_file(**keywords)
        try:
            return files.find(place) is not None
        except InvalidNameError:
            return False

    def is_dir(self, **keywords: Any) -> bool:  # noqa: ANN401  # follow_symlinks, since Python 3.13
        """Say whether it is a folder; asks nothing for what was just listed as a file."""
        place = self._place()
        if place is None:
            return super().is_dir(**keywords)
        if getattr(self, "_listed", False):
            return False
        try:
            return files.is_folder(place)
        except InvalidNameError:
            return False

    def is_symlink(self) -> bool:
        """Say no: a storage has no links."""
        return False if self._place() else super().is_symlink()

    def is_mount(self) -> bool:
        """Say no: what is mounted here the kernel does not know."""
        return False if self._place() else super().is_mount()

    def samefile(self, other_path: str | os.PathLike[str]) -> bool:
        """Say whether both lead to one place."""
        place, other = self._place(), active.place_of(other_path)
        if place is None and other is None:
            return super().samefile(other_path)
        return place is not None and other is not None and place.key == other.key

    def resolve(self, strict: bool = False) -> Self:  # pathlib's signature
        """Make it absolute and normal; in a mount there is nothing to follow."""
        place = self._place()
        if place is None:
            return super().resolve(strict)
        if strict:
            self.stat()
        return type(self)(place.path)

    def iterdir(self) -> Generator[Self]:
        """Yield what is in a folder, also folders in which something is mounted."""
        place = self._place()
        if place is not None:
            for segment, folder in files.children(place):
                yield self._child(segment, listed=not folder)
            return
        seen = set()
        for mount in active.mounts.below(str(self)):
            segment = mount.root[len(str(self).rstrip("/")) + 1 :].partition("/")[0]
            if segment not in seen:
                seen.add(segment)
                yield self._child(segment)
        for path in super().iterdir():
            if path.name not in seen:
                yield path

    def _child(self, relative: str, *, listed: bool = False) -> Self:
        path = self / relative
        if listed:
            path._listed = True  # noqa: SLF001  # of its own class
        return path

    def glob(self, pattern: str, **keywords: Any) -> Iterator[Self]:  # type: ignore[override]  # noqa: ANN401  # keywords differ between versions of Python
        """Yield what matches, also in what is mounted below."""
        if self._place() is None and not active.mounts.below(str(self)):
            yield from super().glob(pattern, **keywords)
            return
        if not pattern:
            raise ValueError(f"Unacceptable pattern: {pattern!r}")
        patterns = str(pattern).split("/")
        for relative, folder in self._descendants():
            if matches(relative.split("/"), patterns):
                yield self._child(relative, listed=not folder)

    def rglob(self, pattern: str, **keywords: Any) -> Iterator[Self]:  # type: ignore[override]  # noqa: ANN401  # as above
        """Yield what matches at any depth."""
        return self.glob(f"**/{pattern}", **keywords)

    def walk(  # Python 3.11 has none
        self,
        top_down: bool = True,
        on_error: Callable[[OSError], object] | None = None,
        follow_symlinks: bool = False,
    ) -> Iterator[tuple[Self, list[str], list[str]]]:
        """Yield each folder with the names of its folders and files, as ``os.walk`` does."""
        folders: list[str] = []
        names: list[str] = []
        try:
            for path in self.iterdir():
                inner = path.is_dir() and (follow_symlinks or not path.is_symlink())
                (folders if inner else names).append(path.name)
        except OSError as error:
            if on_error is not None:
                on_error(error)
            return
        if self._place() and not (folders or names):
            return
        if top_down:
            yield self, folders, names
        for folder in folders:
            yield from self._child(folder).walk(top_down, on_error, follow_symlinks)
        if not top_down:
            yield self, folders, names

    def _descendants(self) -> Iterator[tuple[str, bool]]:
        """Yield the relative path of all that is below, and whether it is a folder."""
        place = self._place()
        if place is not None:
            yield from below_with_folders(place)
            return
        start = str(self).rstrip("/") + "/"
        for folder, subfolders, names in os.walk(str(self)):
            subfolders[:] = [one for one in subfolders if not active.place_of(f"{folder}/{one}")]
            for relative, is_folder in [
                *((n, True) for n in subfolders),
                *((n, False) for n in names),
            ]:
                yield f"{folder}/{relative}"[len(start) :], is_folder
        for mount in active.mounts.below(str(self)):
            above = mount.root[len(start) :]
            yield above, True
            yield from (
                (f"{above}/{name}", folder) for name, folder in below_with_folders(mount.place(""))
            )

    # Reading and writing

    def open(  # type: ignore[override]  # typeshed's overloads by mode
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """Open for reading, which streams, or for writing, which saves when it is closed."""
        place = self._place()
        if place is None:
            return super().open(mode, buffering, encoding, errors, newline)
        drafts = active.scratch.drafts
        return open_place(place, mode, buffering, encoding, errors, newline, drafts=drafts)

    def read_bytes(self) -> bytes:
        """Return the content."""
        with self.open("rb") as stream:
            return bytes(stream.read())

    def read_text(
        self, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> str:
        """Return the content as text."""
        with self.open("r", encoding=encoding, errors=errors, newline=newline) as stream:
            return str(stream.read())

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:  # pathlib's signature
        """Make an empty file where there is none, else save it again, which makes it new."""
        place = self._place()
        if place is None:
            super().touch(mode, exist_ok)
        elif exist_ok and files.find(place):
            moving.renew(place)
        else:
            self.open("xb").close()

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder where the storage has folders of their own.

        The local ones above a mount are made, too: paperless-ngx 2 lists them when it migrates
        (``documents/migrations/0012``).
        """
        place = self._place()
        if place is None:
            super().mkdir(mode, parents, exist_ok)
            return
        if parents and not place.name:
            with suppress(OSError):  # nothing of ours needs them
                os.makedirs(os.path.dirname(place.path), exist_ok=True)  # noqa: PTH103, PTH120  # past the seams
        # paperless-ngx says exist_ok before each save, which would be one more request.
        if not exist_ok and (files.find(place) is not None or files.is_folder(place)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
        files.make_folder(place)

    def rmdir(self) -> None:
        """Remove an empty folder."""
        place = self._place()
        if place is None:
            super().rmdir()
        elif not files.remove_folder(place) or files.is_folder(place):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(self))

    def unlink(self, missing_ok: bool = False) -> None:  # pathlib's signature
        """Delete a document, in a transaction on its commit."""
        place = self._place()
        if place is None:
            super().unlink(missing_ok)
            return
        try:
            files.delete(place)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rename(self, target: str | os.PathLike[str]) -> Self:
        """Give it another name, replacing what is there (POSIX rename)."""
        return self._moved(target)

    def replace(self, target: str | os.PathLike[str]) -> Self:
        """Rename, replacing what is there."""
        return self._moved(target)

    def _moved(self, target: str | os.PathLike[str]) -> Self:
        here, there = self._place(), active.place_of(target)
        if here is None and there is None:
            super().replace(target)
        else:
            moving.move(here or Path(str(self)), there or Path(target), overwrite=True)
        return type(self)(target)

    def chmod(self, mode: int, *, follow_symlinks: bool = True) -> None:
        """Change nothing in a storage, which has no such rights."""
        if self._place() is None:
            super().chmod(mode, follow_symlinks=follow_symlinks)

    def symlink_to(self, target: Any, target_is_directory: bool = False) -> None:  # noqa: ANN401  # pathlib's signature
        """Raise ``OSError`` in a storage."""
        if self._place():
            raise self._refuse("symbolic links")
        super().symlink_to(target, target_is_directory)

    def hardlink_to(self, target: Any) -> None:  # noqa: ANN401  # pathlib's signature
        """Raise ``OSError`` in a storage."""
        if self._place() or active.place_of(target):
            raise self._refuse("hard links")
        super().hardlink_to(target)


def _stat_result(found: FileStat | None) -> os.stat_result:
    """Return what os.stat would, for a file or (None) a folder."""
    mode = stat.S_IFDIR | 0o755 if found is None else stat.S_IFREG | 0o644
    size = _BLOCK if found is None else found.size
    ns = (found.modified_ns if found else None) or 0
    seconds = ns / 1e9
    times = {f"st_{letter}time": seconds for letter in "amc"}
    exact = {f"st_{letter}time_ns": ns for letter in "amc"}
    whole = ns // 1_000_000_000
    fields = (mode, 0, 0, 1, os.getuid(), os.getgid(), size, whole, whole, whole)
    return os.stat_result(fields, {**times, **exact})
