"""Call an optional ability where the storage has it, and the nine methods where it has not."""

from __future__ import annotations

import contextlib
import hashlib
from typing import IO, TYPE_CHECKING, cast

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    is_refusal,
)
from paperfleet.model import NINE_METHODS, FileStat, Obstacle
from paperfleet.storage.hashing import CHUNK, HashingReader
from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from paperfleet.model import Capabilities, Precondition, Upload
    from paperfleet.storage import protocol
    from paperfleet.storage.protocol import DocumentStorage


def capabilities_of(storage: DocumentStorage) -> Capabilities:
    """Return what the storage says of itself; nothing said means the nine methods alone."""
    return cast("Capabilities", getattr(storage, "capabilities", NINE_METHODS))


def label_of(storage: DocumentStorage) -> str:
    """Return the storage's name for people."""
    return str(getattr(storage, "label", type(storage).__name__))


def stat(storage: DocumentStorage, name: str) -> FileStat:
    """Return what is known of one file; raise ``NotFoundError``."""
    if capabilities_of(storage).stat:
        return cast("protocol.SupportsStat", storage).stat(name)
    return FileStat(name, storage.size(name))


def find(storage: DocumentStorage, name: str) -> FileStat | None:
    """Return what is known of one file, None when there is none."""
    try:
        return stat(storage, name)
    except NotFoundError:
        return None


def entry(storage: DocumentStorage, name: str) -> FileStat | bool:
    """Return the file of this name; else whether there are files below it."""
    if capabilities_of(storage).entry:
        return cast("protocol.SupportsEntry", storage).entry(name)
    return find(storage, name) or next(iter(storage.list_files(name)), None) is not None


def moves_in_two(storage: DocumentStorage) -> protocol.SupportsMoveInTwo | None:
    """Return the storage if a look at a file can begin its move (``SupportsMoveInTwo``)."""
    able = capabilities_of(storage).move_in_two
    return cast("protocol.SupportsMoveInTwo", storage) if able else None


def require_readable_above(storage: DocumentStorage, name: str) -> None:
    """Raise ``FileAccessError`` when what was said to be absent lies where nothing may be listed.

    A Nextcloud answers 404 to every name below a folder that it cannot read (seen with 34.0.1). So
    the nearest folder that is there is listed; elsewhere such an answer is believed.
    """
    if not capabilities_of(storage).folder_etags:
        return
    for folder in reversed(parents(name)):
        try:
            cast("protocol.SupportsFolderEtags", storage).list_folder(folder)
        except NotFoundError:
            continue
        except StorageError as error:
            if not is_refusal(error):
                raise
            raise unreadable(label_of(storage), name, folder, error.reason) from error
        return


def unreadable(label: str, name: str, folder: str, reason: str) -> FileAccessError:
    """Return what is wrong with a name at or below something of which nothing can be told."""
    what = "what is under this name" if name == folder else f"the folder {folder!r}"
    return FileAccessError(
        f"{what} cannot be read at the target: {reason}",
        operation="look",
        name=name,
        storage=label,
        hint="Let the account of the mirror read and write it there; then it goes on by itself",
    )


def list_stats(storage: DocumentStorage, prefix: str = "") -> Iterator[FileStat]:
    """Yield every file below a folder, in any order; one that goes away meanwhile is left out."""
    if capabilities_of(storage).list_stats:
        yield from cast("protocol.SupportsListStats", storage).list_stats(prefix)
        return
    for name in storage.list_files(prefix):
        try:
            size = storage.size(name)
        except NotFoundError:
            continue  # it went away since it was listed
        yield FileStat(name, size)


def survey(
    storage: DocumentStorage, prefix: str = "", *, past_refusals: bool = False
) -> Iterator[FileStat | Obstacle]:
    """Yield every file below a folder, and what hides others where the storage can tell it.

    Raises what a server answered where it refuses to list one folder; ``past_refusals`` yields it
    as an obstacle instead.
    """
    if not capabilities_of(storage).survey:
        yield from list_stats(storage, prefix)
        return
    for item in cast("protocol.SupportsSurvey", storage).survey(prefix):
        if isinstance(item, Obstacle) and item.refusal is not None and not past_refusals:
            raise item.refusal
        yield item


def save(storage: DocumentStorage, name: str, upload: Upload, expect: Precondition) -> FileStat:
    """Save under a condition and return what the storage then has (see ``SupportsSaveWith``).

    With the nine methods alone the condition is looked up before, so a writer in between is not
    noticed, and the hash of what was sent is compared afterwards.
    """
    if capabilities_of(storage).save_with:
        return cast("protocol.SupportsSaveWith", storage).save_with(name, upload, expect)
    if expect.exists is False and storage.exists(name):
        raise AlreadyExistsError(
            "the name is taken", operation="save", name=name, storage=label_of(storage)
        )
    with upload.open() as content:
        reader = HashingReader(content)
        used = storage.save(name, cast("IO[bytes]", reader))
    if upload.sha256 is not None and reader.sha256 != upload.sha256:
        raise IntegrityError(
            "the content changed while it was read",
            operation="save",
            name=name,
            storage=label_of(storage),
        )
    return stat(storage, used)


def delete_unchanged(
    storage: DocumentStorage, name: str, etag: str | None, is_same: Callable[[FileStat], bool]
) -> None:
    """Delete a file that is still the one of before; raise ``PreconditionFailedError`` if not.

    By its etag where the storage can do so. Elsewhere ``is_same`` is asked right before, so a
    writer in between is not noticed. Raises ``NotFoundError`` when nothing is there.
    """
    if capabilities_of(storage).conditional_delete and etag is not None:
        cast("protocol.SupportsConditionalDelete", storage).delete_if(name, etag)
        return
    if not is_same(stat(storage, name)):
        raise PreconditionFailedError(
            "somebody changed it since", operation="delete", name=name, storage=label_of(storage)
        )
    storage.delete(name)


def move_unchanged(
    storage: DocumentStorage, old_name: str, new_name: str, is_same: Callable[[FileStat], bool]
) -> None:
    """Rename a file that is still the one of before; raise ``PreconditionFailedError`` if not.

    Where a look can begin a move, what was looked at is what is moved. Elsewhere ``is_same`` is
    asked right before, so a writer in between is not noticed. Raises what ``move`` raises.
    """
    changed = PreconditionFailedError(
        "somebody changed it since", operation="move", name=old_name, storage=label_of(storage)
    )
    in_two = moves_in_two(storage)
    if in_two is None:
        if not is_same(stat(storage, old_name)):
            raise changed
        storage.move(old_name, new_name)
        return
    begun = in_two.begin_move(old_name, new_name)
    try:
        if not is_same(begun.file):
            raise changed
        in_two.end_move(begun)
    except StorageError:
        with contextlib.suppress(StorageError):
            in_two.leave_move(begun)
        raise


def free_bytes(storage: DocumentStorage) -> int | None:
    """Return how many bytes may still be stored, None where nobody knows."""
    if not capabilities_of(storage).free_space:
        return None
    return cast("protocol.SupportsFreeSpace", storage).free_bytes()


def content_sha256(storage: DocumentStorage, name: str) -> str:
    """Return the SHA-256 (hex) of what is stored, by the storage's own reading or by ours."""
    if capabilities_of(storage).content_hash:
        return cast("protocol.SupportsContentHash", storage).content_sha256(name)
    digest = hashlib.sha256()
    with storage.open(name) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def keeps_versions(storage: DocumentStorage, name: str) -> bool:
    """Say whether what a save of this name replaces can be restored (``SupportsVersions``)."""
    told = capabilities_of(storage).keeps_versions
    return cast("protocol.SupportsVersions", storage).keeps_versions(name) if told is None else told


def can_copy_from(target: DocumentStorage, source: DocumentStorage) -> bool:
    """Say whether the target can copy from the source by itself (``SupportsCopyFrom``)."""
    if not capabilities_of(target).copy_from:
        return False
    return cast("protocol.SupportsCopyFrom", target).can_copy_from(source)


def copy_from(target: DocumentStorage, source: DocumentStorage, name: str) -> FileStat:
    """Let the target copy a file from the source, under the same name (``SupportsCopyFrom``)."""
    return cast("protocol.SupportsCopyFrom", target).copy_from(source, name, name)


def make_folder(storage: DocumentStorage, name: str) -> None:
    """Make a folder where folders exist on their own; elsewhere there is nothing to do."""
    if capabilities_of(storage).folders:
        cast("protocol.SupportsFolders", storage).make_folder(name)


def remove_folder(storage: DocumentStorage, name: str) -> bool:
    """Remove a folder if it is empty; say whether it is gone."""
    if not capabilities_of(storage).folders:
        return True
    return cast("protocol.SupportsFolders", storage).remove_folder(name)


def sweep(storage: DocumentStorage, older_than: float) -> int:
    """Remove what saves that were cut off left behind, older than so many seconds; count them."""
    if not capabilities_of(storage).sweep:
        return 0
    return cast("protocol.SupportsSweep", storage).sweep(older_than)


def end_requests(storage: DocumentStorage, within: float) -> None:
    """End what is under way within so many seconds, where the storage can; signal handlers may."""
    if capabilities_of(storage).end_requests:
        cast("protocol.SupportsEndRequests", storage).end_requests(within)


def findings(storage: DocumentStorage) -> Mapping[str, object] | None:
    """Return what the storage found out by trying, as JSON, where it can tell; None for nothing."""
    if not capabilities_of(storage).findings:
        return None
    return cast("protocol.SupportsFindings", storage).findings()


def adopt_findings(storage: DocumentStorage, kept: object) -> None:
    """Let the storage rely upon what it found out in an earlier process."""
    if capabilities_of(storage).findings:
        cast("protocol.SupportsFindings", storage).adopt_findings(kept)
