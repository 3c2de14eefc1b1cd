"""Writes happen under a lease, or not at all."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, TypeVar, cast

from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.model import BegunSave, FileStat, Precondition, Upload
    from paperfleet.storage.protocol import DocumentStorage

_T = TypeVar("_T")
_READS = frozenset(
    {
        "enter",
        "exit",
        "open",
        "exists",
        "list_files",
        "size",
        "stat",
        "list_stats",
        "survey",
        "folder_etag",
        "list_folder",
        "list_tree",
        "keeps_versions",
        "content_sha256",
        "free_bytes",
        "presigned_url",
        "entry",
        "can_copy_from",
        "end_requests",
        "end_saves",
        "findings",
        "adopt_findings",
        "checks",
        "name_fault",
    }
)


class Fenced(Wrapper):
    """Calls ``check`` before every operation that may write, which raises when it may not be.

    ``check`` is the method ``check`` of a lease, which costs nothing, or its ``confirm``, which
    asks the lease store each time and also notices a pause that the clock has not counted. Content
    is checked while it is read too, up to its end, so that a long save is cut off before it takes
    effect. An operation that has been handed to the storage goes on: what a lease cannot promise
    stands in ``paperfleet.locks.protocol``. Around it, not inside it, goes what tries again.
    """

    def __init__(self, inner: DocumentStorage, check: Callable[[], None]) -> None:
        super().__init__(inner)
        self._check = check

    def _around(self, operation: str, names: tuple[str, ...], work: Callable[[], _T]) -> _T:
        if operation not in _READS:
            self._check()
        return super()._around(operation, names, work)

    def save(self, name: str, content: IO[bytes]) -> str:
        """See ``DocumentStorage``."""
        return super().save(name, cast("IO[bytes]", _Checked(content, self._check)))

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveWith``."""
        return super().save_with(name, self._checked(upload), expect)

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | BegunSave:
        """See ``SupportsSaveInTwo``."""
        return super().begin_save(name, self._checked(upload), expect)

    def _checked(self, upload: Upload) -> Upload:
        def opened() -> IO[bytes]:
            return cast("IO[bytes]", _OwningChecked(upload.open(), self._check))

        return upload._replace(open=opened)


class _Checked(io.BufferedIOBase):
    """Content that cannot be read to its end when the check fails."""

    def __init__(
        self, source: IO[bytes], check: Callable[[], None], *, owned: bool = False
    ) -> None:
        super().__init__()
        self._source, self._check, self._owned = source, check, owned

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say whether the source can be rewound."""
        return self._source.seekable()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Rewind the source."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the source."""
        return self._source.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        """Read from the source, then check: who has lost the lease never reaches the end."""
        data = self._source.read(-1 if size is None else size)
        self._check()
        return data


class _OwningChecked(_Checked):
    """Closes its source."""

    def close(self) -> None:
        """Close the source, too."""
        self._source.close()
        super().close()
