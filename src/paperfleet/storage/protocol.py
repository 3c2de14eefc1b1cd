"""The storage protocol, and the optional protocols of storages that can do more.

``DocumentStorage`` is, method for method, the protocol that the maintainers of paperless-ngx have
approved as the design of their pluggable document storage, so that a backend written for either
works in both.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from paperfleet.diagnosis import Check
    from paperfleet.errors import StorageError
    from paperfleet.model import (
        BatchFile,
        BegunMove,
        BegunSave,
        Capabilities,
        FileStat,
        FolderListing,
        FolderStat,
        Obstacle,
        Precondition,
        Upload,
    )


@runtime_checkable
class DocumentStorage(Protocol):
    """Holds files under relative POSIX names.

    Every operation happens inside ``with storage:``. Blocks nest, and may be open in many threads
    at once. Every method raises ``InvalidNameError`` for a name that is absolute, has ``..``, a NUL
    or an empty segment, or would leave the root, before anything is touched; and another
    ``StorageError`` for what goes wrong in the storage.
    """

    def __enter__(self) -> Self:
        """Open what the operations need."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave the block; the outermost one releases what was opened."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """Return a readable, seekable binary stream; raise ``NotFoundError``."""
        ...

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name used.

        Readers see the old file or the new one, never a part, also after a kill or power loss.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the file; raise ``NotFoundError``."""
        ...

    def exists(self, name: str) -> bool:
        """Say whether there is a file (not a folder) of this name."""
        ...

    def move(self, old_name: str, new_name: str) -> None:
        """Rename; raise ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new."""
        ...

    def list_files(self, prefix: str = "") -> Iterable[str]:
        """Yield the names of all files, lazily and sorted by code point.

        A prefix means a folder, with or without its closing slash: ``a`` and ``a/`` give ``a/x``
        and ``a/b/x``, never ``ab/x``. A missing folder gives nothing.
        """
        ...

    def size(self, name: str) -> int:
        """Return the size in bytes; raise ``NotFoundError``."""
        ...


class SupportsCapabilities(Protocol):
    """A storage that says what it can; without this attribute it has the nine methods alone."""

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do; may ask the server on first use."""
        ...

    @property
    def label(self) -> str:
        """Name the storage for people: a URL without secrets."""
        ...


class SupportsStat(Protocol):
    """``capabilities.stat``."""

    def stat(self, name: str) -> FileStat:
        """Return size, time, etag of one file with one request; raise ``NotFoundError``."""
        ...


class SupportsListStats(Protocol):
    """``capabilities.list_stats``."""

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """Yield every file below a folder, in any order, with as few requests as possible."""
        ...


class SupportsSurvey(Protocol):
    """``capabilities.survey``: a listing that also tells what it could not list."""

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield every file at or below ``prefix``, and every obstacle, in any order.

        Obstacles are also the names that no listing shows: those that are kept for unfinished files
        (``TEMPORARY_PREFIX``) and those that are no names here, and what a server refuses to tell
        of (``Obstacle.refusal``), other than ``prefix`` itself. Unlike ``list_stats``, ``prefix``
        may also name a single file. What is absent from a survey
        and not below an obstacle is not there. Raises ``NotAStorageError`` when the root is gone.
        """
        ...


class SupportsSaveWith(Protocol):
    """``capabilities.save_with``."""

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save with time, proof of arrival and a condition; return what the storage now has.

        Parents are made when missing. Raises ``PreconditionFailedError`` (``AlreadyExistsError``
        for ``exists=False``) when the condition does not hold, ``IntegrityError`` when the bytes
        are not those of ``upload.sha256``, ``UnavailableError`` when it is unknown whether they
        arrived.
        """
        ...


class SupportsSaveInTwo(Protocol):
    """``capabilities.save_in_two``: what arrived of several files is seen at once."""

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | BegunSave:
        """Save as ``save_with`` does, and raise what it does.

        A ``BegunSave`` says that the storage took the file and that nobody has looked yet: nothing
        is proven before ``end_saves``, which is to follow soon.
        """
        ...

    def end_saves(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        """Look at what arrived. One answer for each: what the storage now has, or an error.

        The errors are those of ``save_with`` after the file was sent.
        """
        ...


class SupportsSaveBatch(Protocol):
    """``capabilities.save_batch``."""

    def save_batch(self, files: Sequence[BatchFile]) -> list[FileStat | StorageError]:
        """Save many small files with one request; parents must exist. One result for each file."""
        ...


class SupportsConditionalDelete(Protocol):
    """``capabilities.conditional_delete``."""

    def delete_if(self, name: str, etag: str) -> None:
        """Delete only the state with this etag; raise ``PreconditionFailedError`` otherwise."""
        ...


class SupportsMoveFolder(Protocol):
    """``capabilities.move_folder``."""

    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """Rename a folder with all below it, with one request; parents are made when missing.

        ``etag`` (with ``capabilities.folder_etags``) is the state of the folder that may be moved:
        ``PreconditionFailedError`` otherwise. Raises ``NotFoundError``, ``AlreadyExistsError``.
        """
        ...


class SupportsFolders(Protocol):
    """``capabilities.folders``: folders exist on their own there, also empty."""

    def make_folder(self, name: str) -> None:
        """Make a folder and its missing parents; an existing one is fine."""
        ...

    def remove_folder(self, name: str) -> bool:
        """Remove a folder if nothing at all is in it; say whether it is gone. Missing: True."""
        ...


class SupportsFolderEtags(Protocol):
    """``capabilities.folder_etags``: the etag of a folder changes with anything below it."""

    def folder_etag(self, name: str = "") -> str:
        """Return the etag of one folder with one request; raise ``NotFoundError``."""
        ...

    def list_folder(self, name: str = "") -> FolderListing:
        """Return the direct children of one folder with one request; raise ``NotFoundError``."""
        ...

    def list_tree(self, name: str = "") -> Iterator[FileStat | FolderStat | Obstacle]:
        """Yield a folder itself and all below it, in any order, with as few requests as possible.

        A folder below that the server refuses to list may come twice: as a folder, and as an
        obstacle. Raises ``NotFoundError``.
        """
        ...


class SupportsVersions(Protocol):
    """``capabilities.keeps_versions`` is None: it has to be asked for."""

    def keeps_versions(self, name: str) -> bool:
        """Say whether what a save of this name replaces can be restored; may send a request.

        The answer may be some minutes old.
        """
        ...


class SupportsContentHash(Protocol):
    """``capabilities.content_hash``."""

    def content_sha256(self, name: str) -> str:
        """Return the SHA-256 (hex) of the stored bytes as the storage itself reads them."""
        ...


class SupportsCopy(Protocol):
    """``capabilities.copy``."""

    def copy(self, old_name: str, new_name: str) -> None:
        """Copy a file inside of the storage, without its bytes passing through this machine.

        Raises ``NotFoundError`` for the old name, ``AlreadyExistsError`` for the new one.
        """
        ...


class SupportsCopyFrom(Protocol):
    """``capabilities.copy_from``: copies between two storages of one service."""

    def can_copy_from(self, source: DocumentStorage) -> bool:
        """Say whether the service holds both, and may be asked; sends nothing."""
        ...

    def copy_from(self, source: DocumentStorage, old_name: str, new_name: str) -> FileStat:
        """Replace ``new_name`` here by ``old_name`` there; return what the storage now has.

        The bytes do not pass through this machine. Raises ``NotFoundError``, ``FileAccessError``
        where the key may not read there, ``TooLargeError``, ``IntegrityError`` when the copy has
        another size or checksum.
        """
        ...


class SupportsPresign(Protocol):
    """``capabilities.presign``."""

    def presigned_url(self, name: str, expires_in: float = 3600) -> str:
        """Return an address from which anybody can read the file for so many seconds.

        It is made without a request, also for a file that is not there. It is a secret: whoever
        knows it needs no password.
        """
        ...


class SupportsEntry(Protocol):
    """``capabilities.entry``: one request tells a file, a folder and nothing apart."""

    def entry(self, name: str) -> FileStat | bool:
        """Return the file of this name; else whether there are files below it."""
        ...


class SupportsMoveInTwo(Protocol):
    """``capabilities.move_in_two``: the look at a file that is about to be moved begins its move.

    Until it is ended or left, other moves of the file raise ``LockedError``, on all hosts where the
    storage can ensure it. It is to be ended or left within seconds.
    """

    def begin_move(self, old_name: str, new_name: str) -> BegunMove:
        """Claim the file and read it; raise ``NotFoundError``, and then nothing is begun."""
        ...

    def end_move(self, begun: BegunMove) -> None:
        """Rename as ``move`` does, with the same promises and errors; once."""
        ...

    def leave_move(self, begun: BegunMove) -> None:
        """Rename nothing; a move that was ended or left already stays as it is."""
        ...


class SupportsFreeSpace(Protocol):
    """``capabilities.free_space``."""

    def free_bytes(self) -> int | None:
        """Return how many bytes may still be stored; None where the storage tells nothing of it."""
        ...


class SupportsSweep(Protocol):
    """``capabilities.sweep``."""

    def sweep(self, older_than: float) -> int:
        """Remove what cut-off saves left behind, older than so many seconds; return how many."""
        ...


class SupportsEndRequests(Protocol):
    """``capabilities.end_requests``: what is under way can be ended, as the program is to end."""

    def end_requests(self, within: float) -> None:
        """End requests that are under way within so many seconds, later ones at once.

        They raise ``UnavailableError``. Takes no lock and asks nothing: safe in a signal handler.
        Closing the storage ends this too.
        """
        ...


class SupportsFindings(Protocol):
    """``capabilities.findings``: what was found out by trying can be kept for a later process."""

    def findings(self) -> Mapping[str, object] | None:
        """Return what was found out, as JSON; None when nothing was. Asks nothing."""
        ...

    def adopt_findings(self, kept: object) -> None:
        """Take over what ``findings`` returned in an earlier process, so that none has to try.

        The storage sees for itself whether it still holds; what it does not understand counts as
        nothing. Asks nothing yet.
        """
        ...


class SupportsChecks(Protocol):
    """``capabilities.checks``: a storage that can be looked at before something goes wrong."""

    def checks(self) -> list[Check]:
        """Return what can be looked at, in this order; makes none of them."""
        ...

    def name_fault(self, name: str) -> str:
        """Return why a file of this name would be refused, '' for nothing known. Asks nothing."""
        ...
