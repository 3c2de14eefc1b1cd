"""Files of our own that lie in a source are no documents: journals, progress, leases.

Mirrored, each write of them would be a change to write down: a mirror of a home folder had no end.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from paperfleet.errors import NotFoundError
from paperfleet.settings.places import state_folder
from paperfleet.storage.apartness import local_root
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from paperfleet.mirror.watch.changes import Hint
    from paperfleet.mirror.watch.choose import Watcher
    from paperfleet.model import FileStat, Obstacle
    from paperfleet.secret import Secret
    from paperfleet.storage.protocol import DocumentStorage

_BESIDE = r"(-wal|-shm|-journal|\.lock)?"
"""What SQLite and we put beside a journal."""
_STATE = re.compile(r"[0-9a-f]{12}\.sqlite" + _BESIDE + r"|migration-[0-9a-f]{12}\.jsonl(\..*)?")
_LEASES = re.compile(r"[0-9a-f]{32}\.(lock|lease|new)")


def own_files(
    root: Path,
    environ: Mapping[str, str],
    *,
    journal: Path | None = None,
    lease: Secret | None = None,
) -> Callable[[str], bool]:
    """Return what says of a name below ``root`` whether it is a file of ours.

    ``journal`` is the journal in use, ``lease`` the address of the leases. In the folder of
    journals (``service.places``) and in one of leases it is only what we would name so.
    """
    places = [(state_folder(environ), _STATE)]
    if journal is not None:
        places.append((journal.parent, re.compile(re.escape(journal.name) + _BESIDE)))
    address = urlsplit(lease.reveal()) if lease else None
    if address is not None and address.scheme == "file":
        places.append((Path(unquote(address.path)), _LEASES))
    real = Path(os.path.realpath(root))
    inside = [
        (folder.relative_to(real).as_posix(), ours)
        for folder, ours in ((Path(os.path.realpath(place)), ours) for place, ours in places)
        if folder.is_relative_to(real)
    ]

    def is_ours(name: str) -> bool:
        folder, _, last = name.rpartition("/")
        return any((folder or ".") == place and ours.fullmatch(last) for place, ours in inside)

    return is_ours


def without_own(storage: DocumentStorage, environ: Mapping[str, str]) -> DocumentStorage:
    """Return a storage without files of ours, where it is a folder of this machine."""
    root = local_root(storage)
    return storage if root is None else WithoutOwn(storage, own_files(root, environ))


class WithoutOwn(Wrapper):
    """A source that does not show files of ours."""

    def __init__(self, inner: DocumentStorage, is_ours: Callable[[str], bool]) -> None:
        super().__init__(inner)
        self._is_ours = is_ours

    def list_files(self, prefix: str = "") -> Iterable[str]:
        """See ``DocumentStorage``."""
        return (name for name in super().list_files(prefix) if not self._is_ours(name))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``."""
        return (stat for stat in super().list_stats(prefix) if not self._is_ours(stat.name))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``."""
        return (item for item in super().survey(prefix) if not self._is_ours(item.name))

    def stat(self, name: str) -> FileStat:
        """See ``SupportsStat``."""
        if self._is_ours(name):
            raise NotFoundError("it is a file of Paperfleet", operation="stat", name=name)
        return super().stat(name)


class DeafToOwn:
    """A watcher that gives no hints at files of ours."""

    def __init__(self, inner: Watcher, is_ours: Callable[[str], bool]) -> None:
        self._inner, self._is_ours = inner, is_ours

    def __enter__(self) -> Self:
        """Begin to watch."""
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._inner.__exit__(exc_type, exc_val, exc_tb)

    @property
    def description(self) -> str:
        """How changes are noticed."""
        return self._inner.description

    @property
    def sees_writers(self) -> bool:
        """Whether a file that somebody still writes is known to be such."""
        return self._inner.sees_writers

    def wait(self, timeout: float) -> list[Hint]:
        """Return hints as soon as there are any; [] also when all were at files of ours."""
        return [hint for hint in self._inner.wait(timeout) if not self._is_ours(hint.name)]

    def wake(self) -> None:
        """Make ``wait`` return at once."""
        self._inner.wake()
