"""The plain data that passes between the layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.errors import StorageError


class FileStat(NamedTuple):
    """What a storage says of one file without reading it.

    ``modified_ns`` is in nanoseconds since the epoch, UTC. ``etag`` changes when the file does,
    yet equal etags prove nothing about the content (Nextcloud's depend on the second of the
    change). ``file_id`` survives a rename (an inode, a Nextcloud file id). ``sha256`` (lower-case
    hex) is set only when the storage vouches for the bytes that it holds, never for a note of a
    client.
    """

    name: str
    size: int
    modified_ns: int | None = None
    etag: str | None = None
    file_id: str | None = None
    sha256: str | None = None


class Obstacle(NamedTuple):
    """Something in a source that cannot be read as a file.

    ``below`` is True for a folder that cannot be listed: whatever is below it is unknown, which is
    not the same as gone. ``name`` may hold lone surrogates (bytes that are not UTF-8).
    ``left_out`` is True for what is no document and never meant to be one: a pipe, a link that is
    not followed. ``refusal`` is what a server answered for a folder, or for one resource in it,
    that it lists and tells nothing of (``below`` is True): who must have everything stops there.
    """

    name: str
    reason: str
    below: bool = False
    left_out: bool = False
    refusal: StorageError | None = None


class FolderStat(NamedTuple):
    """A folder in the listing of its parent; ``etag`` changes with anything below it."""

    name: str
    etag: str


class FolderListing(NamedTuple):
    """The direct children of one folder, and the folder's own etag as of the same moment.

    ``obstacles`` are those of which the server tells nothing.
    """

    etag: str
    files: tuple[FileStat, ...]
    folders: tuple[FolderStat, ...]
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True, slots=True)
class Precondition:
    """What must be true of a name for a write to happen.

    ``exists=False``: nothing of that name. ``etag``: exactly this state. Neither: anything goes.
    """

    exists: bool | None = None
    etag: str | None = None


ANYTHING = Precondition()
ABSENT = Precondition(exists=False)


class BatchFile(NamedTuple):
    """One small file of a batch: its whole content in memory."""

    name: str
    content: bytes
    modified_ns: int | None


class Upload(NamedTuple):
    """What is known of content that is about to be saved.

    ``size`` in bytes. When ``sha256`` is given and the bytes read from ``open()`` differ from it,
    nothing becomes visible where the storage can help it, and ``IntegrityError`` is raised.
    ``read_back`` asks a storage that gets no hash of its server to read what arrived before it
    takes its place, where it can; the stat that it then returns has the ``sha256``.
    """

    open: Callable[[], IO[bytes]]
    size: int
    modified_ns: int | None = None
    sha256: str | None = None
    read_back: bool = False


class BegunSave(NamedTuple):
    """What was sent and not looked at yet: under which name, how many bytes, with which time."""

    name: str
    size: int
    modified_ns: int | None = None


class BegunMove(NamedTuple):
    """A move that was begun, of a file as it is now; ``content`` is the storage's own."""

    file: FileStat
    new_name: str
    content: object


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a storage can do beyond the nine methods: data, so that callers need no ``isinstance``.

    The first group names optional protocols (``paperfleet.storage.protocol``). The second describes
    how the storage behaves: ``lasting_ids``, that a ``file_id`` is that of one file for ever;
    ``knows_hashes``, that ``stat`` tells a SHA-256 without reading, where there is one to tell;
    ``hashes_uploads``, that every save so far was compared by a hash that the server computed of
    what it received; ``reads_back``, that it heeds ``Upload.read_back``;
    ``ranged_read``, that ``open`` transfers little more than what is read; ``conditional_create``,
    that ``exists=False`` in ``save_with`` holds against all other hosts (None: not known before the
    first write with a condition); ``keeps_versions``, that what is overwritten can be restored
    (None: ask ``keeps_versions``).
    """

    stat: bool = False
    list_stats: bool = False
    survey: bool = False
    save_with: bool = False
    save_batch: bool = False
    save_in_two: bool = False
    conditional_delete: bool = False
    move_folder: bool = False
    folders: bool = False
    folder_etags: bool = False
    content_hash: bool = False
    sweep: bool = False
    free_space: bool = False
    copy: bool = False
    presign: bool = False
    copy_from: bool = False
    entry: bool = False
    move_in_two: bool = False
    end_requests: bool = False
    findings: bool = False
    checks: bool = False

    lasting_ids: bool = False
    knows_hashes: bool = False
    hashes_uploads: bool = False
    reads_back: bool = False
    ranged_read: bool = False
    conditional_create: bool | None = False
    keeps_modified: bool = False
    keeps_versions: bool | None = False
    unicode_form: Literal["NFC"] | None = None
    case_sensitive: bool = True


NINE_METHODS = Capabilities()


class KnownFile(NamedTuple):
    """What the journal knows of one mirrored file.

    ``name`` is the name at the source, ``target_name`` the one used at the target. ``size`` and
    ``sha256`` are of the content at the target. ``modified_ns``, ``file_id`` and ``version`` (the
    source's etag) are of the source file that it was copied from. ``sure`` is False after an
    operation whose outcome nobody saw: the target must be looked at before the row is believed.
    ``intended_sha256`` is then what that operation was writing; ``sha256`` is empty when the name
    was new.
    """

    name: str
    target_name: str
    size: int
    sha256: str
    modified_ns: int | None
    file_id: str | None
    version: str | None
    target_etag: str | None
    sure: bool = True
    intended_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Bring the content of a source file to the target.

    ``why`` is the word for the log: created, updated, restored. ``aside`` is the name under which
    somebody else's file of that name is kept first, None where there is none to keep.
    """

    source: FileStat
    target_name: str
    why: Literal["created", "updated", "restored"]
    expect: Precondition = ANYTHING
    aside: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The source names that this operation is about."""
        return (self.source.name,)


@dataclass(frozen=True, slots=True)
class Move:
    """Rename one file at the target.

    ``known`` is the row before; ``source`` the file under its new name (None for a step through a
    temporary name); ``new_name`` the journal's name for it afterwards; ``second_half``: it moves
    what a step before it brought, of which the etag at the target may be another one by then.
    """

    known: KnownFile
    new_name: str
    target_name: str
    source: FileStat | None
    second_half: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The source names that this operation is about."""
        return (self.known.name, self.new_name)


@dataclass(frozen=True, slots=True)
class MoveFolder:
    """Rename a folder at the target; ``members`` are the moves of all files in it."""

    old_name: str
    new_name: str
    old_target: str
    new_target: str
    members: tuple[Move, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The source names that this operation is about."""
        return tuple(name for move in self.members for name in move.names)


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a file that the mirror owns from the target."""

    known: KnownFile

    @property
    def names(self) -> tuple[str, ...]:
        """The source names that this operation is about."""
        return (self.known.name,)


Operation = Put | Move | MoveFolder | Delete

Loss = Literal["delete", "empty", "shrink", "change"]
"""What becomes of a file's content: gone, nothing left, less, other content of no smaller size."""


def overwrite_loss(before: KnownFile, size: int, sha256: str | None) -> Loss | None:
    """Return what is lost when other content takes the place of a known file's; None: nothing."""
    if not before.sha256 or before.sha256 == sha256:
        return None
    if size < before.size:
        return "shrink" if size else "empty"
    return "change"


def moved_row(known: KnownFile, source: FileStat | None, name: str, target_name: str) -> KnownFile:
    """Return the journal's row of a moved file: the same content under another name."""
    row = known._replace(name=name, target_name=target_name)
    if source is None:
        return row
    return row._replace(modified_ns=source.modified_ns, file_id=source.file_id, version=source.etag)


class Held(NamedTuple):
    """Why an operation on a name waits, and what it would take from the target."""

    loss: Loss
    reason: str
