"""Every error that Paperfleet raises.

    PaperfleetError
    ├── ConfigurationError (ValueError)      a setting is wrong; the hint names it
    ├── JournalError                         the journal cannot be used
    ├── BackupError                          a backup could not be made, read or restored
    │   └── RepositoryError                  the repository of backups cannot be used
    │       ├── NoRepositoryError            there is none at this address
    │       ├── WrongKeyError                the password is not that of this repository
    │       ├── RepositoryLockedError        somebody works on it, or a dead process did
    │       ├── RepositoryFullError          there is no room for more
    │       └── RepositoryDamagedError       what it holds is not what was written
    ├── NotReadyError                        what a role of a fleet needs was not there in time
    ├── LeaseError (OSError)                 the lease store cannot be used now
    │   ├── LeaseLostError                   somebody else may hold the lease by now
    │   └── LeaseTimeoutError (TimeoutError) somebody else holds it still
    └── StorageError (OSError)               an operation on a storage failed
        ├── only this name suffers
        │   ├── NotFoundError (FileNotFoundError)
        │   ├── AlreadyExistsError (FileExistsError)
        │   ├── InvalidNameError (ValueError)
        │   ├── NameRefusedError             the target does not take such a name
        │   ├── PreconditionFailedError      it is not what the caller believed it to be
        │   ├── IntegrityError               the bytes are not the ones that were meant
        │   │   └── ArrivedDamagedError      they were when they were sent
        │   ├── LockedError (BlockingIOError)
        │   ├── BusyError (UnavailableError)         the storage cannot now, with this file alone
        │   ├── TooLargeError
        │   └── FileAccessError (PermissionError)
        └── the whole storage suffers
            ├── UnavailableError (ConnectionError)   no answer, or a 5xx
            ├── MaintenanceError                     the server says: later
            ├── ThrottledError                       the server says: slower
            ├── QuotaExceededError
            ├── CredentialsError (PermissionError)   stop asking: failed logins are counted
            └── NotAStorageError                     wrong address, wrong protocol

Storage and lease errors are ``OSError`` because the rollback of paperless-ngx catches only
``OSError`` and ``DatabaseError`` (``documents/signals/handlers.py``).
"""

from __future__ import annotations

import enum
import errno

from paperfleet.printable import readable


class Scope(enum.Enum):
    """How far an error reaches."""

    NAME = "name"
    STORAGE = "storage"


class PaperfleetError(Exception):
    """The root of all errors of this package; ``hint`` says what to do next.

    Both are fit to be shown, whatever a name or a server put into them; a hint may have lines.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = readable(message)
        self.hint = "\n".join(map(readable, hint.split("\n")))
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class ConfigurationError(PaperfleetError, ValueError):
    """A setting is missing, wrong or contradicts another one."""


class JournalError(PaperfleetError):
    """The journal is corrupt, too new, in use, or cannot be written."""


class BackupError(PaperfleetError):
    """A backup could not be made, read or restored; what was backed up before stays as it is."""


class RepositoryError(BackupError):
    """The repository of backups cannot be used; what is in it was not changed."""


class NoRepositoryError(RepositoryError):
    """There is no repository at this address, or it cannot be reached."""


class WrongKeyError(RepositoryError):
    """No key of the repository opens with this password."""


class RepositoryLockedError(RepositoryError):
    """Another process works on the repository, or one that died has left its lock."""


class RepositoryFullError(RepositoryError):
    """The place of the repository has no room for more."""


class RepositoryDamagedError(RepositoryError):
    """Something in the repository is missing, or other bytes than were written."""


class NotReadyError(PaperfleetError):
    """What a role of a fleet needs at its start was not there in time, or failed."""


class LeaseError(PaperfleetError, OSError):
    """The lease store does not answer, or refuses; the lease may or may not have been taken."""

    code: int = errno.ENOLCK

    def __init__(self, message: str, *, hint: str = "") -> None:
        PaperfleetError.__init__(self, message, hint=hint)
        self.errno = self.code
        self.strerror = self.message

    __str__ = PaperfleetError.__str__


class LeaseLostError(LeaseError):
    """The lease ran out or was taken over: write nothing more under it."""

    code = errno.ESTALE


class LeaseTimeoutError(LeaseError, TimeoutError):
    """Somebody else held the lease for as long as the caller would wait."""

    code = errno.ETIMEDOUT


class StorageError(PaperfleetError, OSError):
    """An operation on a storage failed.

    ``operation`` is the verb, ``name`` the file (empty for the storage as a whole), ``storage`` a
    label of the storage without secrets, ``reason`` what was found. ``transient`` says that the
    same call may succeed later without anybody's doing, ``retry_after`` in how many seconds at the
    earliest when the storage said so.
    """

    scope = Scope.NAME
    transient = False
    code: int = errno.EIO

    def __init__(
        self,
        reason: str,
        *,
        operation: str = "",
        name: str = "",
        storage: str = "",
        hint: str = "",
        retry_after: float | None = None,
    ) -> None:
        doing = f"{operation} {name!r}" if operation and name else operation or repr(name)
        where = f" on {storage}" if storage else ""
        what = f"{doing}{where}: {reason}" if (operation or name) else f"{reason}{where}"
        PaperfleetError.__init__(self, what, hint=hint)
        self.errno = self.code
        self.strerror = self.reason = readable(reason)
        self.operation = operation
        self.name = name
        self.storage = storage
        self.retry_after = retry_after

    __str__ = PaperfleetError.__str__


class NotFoundError(StorageError, FileNotFoundError):
    """There is no file of this name."""

    code = errno.ENOENT


class AlreadyExistsError(StorageError, FileExistsError):
    """There is something of this name already."""

    code = errno.EEXIST


class InvalidNameError(StorageError, ValueError):
    """This is not a name: absolute, with ``..``, a NUL, an empty segment, or outside the root."""

    code = errno.EINVAL


class NameRefusedError(StorageError):
    """The storage does not take such a name; it would have to be renamed at the source."""

    code = errno.EINVAL


class PreconditionFailedError(StorageError):
    """The file is not in the state that the caller knew."""

    code = errno.ESTALE


class IntegrityError(StorageError):
    """What was read, sent or stored is not what was meant."""

    transient = True


class ArrivedDamagedError(IntegrityError):
    """What arrived at the storage is not what was sent."""


class LockedError(StorageError, BlockingIOError):
    """Somebody holds a lock on the file; it goes away by itself."""

    transient = True
    code = errno.EAGAIN


class TooLargeError(StorageError):
    """The server does not take a body of this size."""

    code = errno.EFBIG


class FileAccessError(StorageError, PermissionError):
    """Reading or writing this one file is not allowed."""

    code = errno.EACCES


class UnavailableError(StorageError, ConnectionError):
    """The storage did not answer, or answered that it cannot now. The effect may have happened."""

    scope = Scope.STORAGE
    transient = True
    code = errno.ECONNABORTED


class MaintenanceError(UnavailableError):
    """The server is in maintenance mode."""


class ThrottledError(UnavailableError):
    """The server asks for fewer requests."""


class BusyError(UnavailableError):
    """The storage cannot do it now with this one file, and answers well otherwise.

    It works on the file still, or limits it. Wait for the file; an effect may have happened.
    ``at_work`` is False where it only failed, so that waiting a little promises nothing.
    """

    scope = Scope.NAME
    at_work = True
    code = errno.EBUSY


class QuotaExceededError(StorageError):
    """The storage is full."""

    scope = Scope.STORAGE
    transient = True
    code = errno.ENOSPC


class CredentialsError(StorageError, PermissionError):
    """The storage does not know this user or password. Ask again only when they have changed."""

    scope = Scope.STORAGE
    code = errno.EACCES


class NotAStorageError(StorageError):
    """At this address is no storage of this kind."""

    scope = Scope.STORAGE
    code = errno.ENODEV


def is_at_work(error: StorageError) -> bool:
    """Say whether the storage is at work still on what was asked for: it comes by itself."""
    return isinstance(error, BusyError) and error.at_work


def is_refusal(error: StorageError) -> bool:
    """Say whether an answer about one folder refuses that folder, and will do so again.

    It may not be listed, or the storage fails at it while it answers for others. Not what passes by
    itself, nor what concerns the whole storage.
    """
    if isinstance(error, BusyError):
        return not error.at_work
    return isinstance(error, FileAccessError | NameRefusedError | LockedError)
