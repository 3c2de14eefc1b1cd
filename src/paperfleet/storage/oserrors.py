"""The one seam at which errors of the operating system become ours."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    InvalidNameError,
    LockedError,
    NameRefusedError,
    NotAStorageError,
    NotFoundError,
    QuotaExceededError,
    StorageError,
    TooLargeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from types import TracebackType


class _Meaning(NamedTuple):
    kind: type[StorageError]
    hint: str = ""


_RIGHTS = "Check the owner and the rights of the file and of its folder"
_CONNECTION = "Check the mount and the network"
_FILES = "Raise the limit of open files (ulimit -n)"

MEANINGS: dict[int, _Meaning] = {
    errno.ENOENT: _Meaning(NotFoundError),
    errno.ENOTDIR: _Meaning(NotFoundError),
    errno.EISDIR: _Meaning(AlreadyExistsError),
    errno.EEXIST: _Meaning(AlreadyExistsError),
    errno.ENOTEMPTY: _Meaning(AlreadyExistsError),
    errno.EACCES: _Meaning(FileAccessError, _RIGHTS),
    errno.EPERM: _Meaning(FileAccessError, _RIGHTS),
    errno.EROFS: _Meaning(FileAccessError, "The filesystem is mounted read-only"),
    errno.ENOSPC: _Meaning(QuotaExceededError, "Make room on the disk"),
    errno.EDQUOT: _Meaning(QuotaExceededError, "Make room, or raise the quota of this user"),
    errno.EFBIG: _Meaning(TooLargeError, "The filesystem does not hold files of this size"),
    errno.ENAMETOOLONG: _Meaning(NameRefusedError, "Shorten the name"),
    errno.EILSEQ: _Meaning(NameRefusedError, "Rename the file"),
    errno.EINVAL: _Meaning(NameRefusedError, "The filesystem may not take these characters"),
    errno.ELOOP: _Meaning(InvalidNameError, "Symbolic links are not followed out of the storage"),
    errno.EBUSY: _Meaning(LockedError),
    errno.ETXTBSY: _Meaning(LockedError),
    errno.EAGAIN: _Meaning(LockedError),
    # One bad block must not stop the work on all other files: this one stays with its name.
    errno.EIO: _Meaning(StorageError, "Check the disk and the log of the kernel"),
    errno.EMFILE: _Meaning(UnavailableError, _FILES),
    errno.ENFILE: _Meaning(UnavailableError, _FILES),
    errno.ENOMEM: _Meaning(UnavailableError),
    **dict.fromkeys(
        (
            errno.ESTALE,
            errno.ENODEV,
            errno.ENXIO,
            errno.ENOTCONN,
            errno.ECONNABORTED,
            errno.ECONNREFUSED,
            errno.ECONNRESET,
            errno.EHOSTDOWN,
            errno.EHOSTUNREACH,
            errno.ENETDOWN,
            errno.ENETUNREACH,
            errno.ETIMEDOUT,
        ),
        _Meaning(UnavailableError, _CONNECTION),
    ),
}
"""What each number of errno(3) means for a storage on a filesystem."""

_UNKNOWN = _Meaning(StorageError)


def reason_of(error: OSError) -> str:
    """Return the system's words for an error, without the path in them."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]


def translate(error: OSError, operation: str, name: str, storage: str) -> StorageError:
    """Return our error for one of the operating system (``MEANINGS``)."""
    meaning = MEANINGS.get(error.errno or 0, _UNKNOWN)
    return meaning.kind(
        reason_of(error), operation=operation, name=name, storage=storage, hint=meaning.hint
    )


def translate_root(error: OSError, storage: str) -> StorageError:
    """Return our error for a root that cannot be opened: no file in it can be reached."""
    if (
        MEANINGS.get(error.errno or 0, _UNKNOWN).kind is UnavailableError
        or error.errno == errno.EIO
    ):
        return UnavailableError(reason_of(error), storage=storage, hint=_CONNECTION)
    return NotAStorageError(
        f"the root cannot be opened: {reason_of(error)}",
        storage=storage,
        hint="Check that the folder exists, is mounted, and may be read by this user",
    )


class translated:  # noqa: N801  # a block, like contextlib.suppress
    """Turn an ``OSError`` of the block into one of ours; ours pass through as they are."""

    def __init__(self, operation: str, name: str, storage: str) -> None:
        self._about = operation, name, storage

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        operation, name, storage = self._about
        if isinstance(exc_val, UnicodeEncodeError):
            raise NameRefusedError(
                "the name is not text that UTF-8 can write",
                operation=operation,
                name=name,
                storage=storage,
                hint="Rename the file",
            ) from exc_val
        if isinstance(exc_val, OSError) and not isinstance(exc_val, StorageError):
            raise translate(exc_val, operation, name, storage) from exc_val
