"""How a file comes to a Nextcloud: by one PUT, by chunks, or under a short name and a MOVE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    NotFoundError,
    PreconditionFailedError,
    TooLargeError,
    UnavailableError,
)
from paperfleet.model import ABSENT, BatchFile
from paperfleet.storage.dav.content import SMALL, Outgoing
from paperfleet.storage.dav.temporary import temporary_beside
from paperfleet.storage.nextcloud.server import LONGEST_UPLOADED

if TYPE_CHECKING:
    from paperfleet.model import FileStat, Precondition, Upload
    from paperfleet.storage.dav.folders import Folders
    from paperfleet.storage.dav.moving import DavMover
    from paperfleet.storage.dav.target import Target
    from paperfleet.storage.dav.tidying import Temporaries
    from paperfleet.storage.nextcloud.bulk import Bulk
    from paperfleet.storage.nextcloud.chunked_saves import ChunkedSaves
    from paperfleet.storage.nextcloud.puts import Puts


class CloudSaves:
    """Chooses the way of each file; ``NextcloudBackend`` says which and why.

    Names are in NFC and have been checked.
    """

    def __init__(
        self,
        target: Target,
        folders: Folders,
        puts: Puts,
        chunked: ChunkedSaves,
        *,
        chunk_threshold: int,
    ) -> None:
        self._target = target
        self._folders = folders
        self._puts = puts
        self._chunked = chunked
        self._chunk_threshold = chunk_threshold

    def save(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save a file of a name that an upload may have; see ``SupportsSaveWith``."""
        if expect.exists is False:
            return self._save_new(name, upload)
        if upload.size <= SMALL:
            return self._put(name, upload, expect)
        return self._save_large(name, upload, expect)

    def _save_new(self, name: str, upload: Upload) -> FileStat:
        if upload.size > self._chunk_threshold:
            return self._chunked.save(name, upload, ABSENT)
        try:
            return self._put(name, upload, ABSENT)
        except TooLargeError:
            if upload.size <= self._chunked.chunk_size:
                raise
        # Something between here and the server takes no body of this size, perhaps chunks.
        self._chunk_threshold = min(self._chunk_threshold, upload.size - 1)
        return self._chunked.save(name, upload, ABSENT)

    def _save_large(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        if self._target.check(name, expect) is None:
            try:
                return self._save_new(name, upload)
            except AlreadyExistsError:
                self._target.check(name, expect)  # somebody was faster: theirs is replaced whole
        return self._chunked.save(name, upload, expect)

    def _put(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        condition = _condition(expect)
        try:
            return self._folders.with_parents(name, lambda: self._puts.put(name, upload, condition))
        except PreconditionFailedError as error:
            if expect.exists is not False:
                raise
            raise self._target.taken(name) from error
        except NotFoundError as error:
            if not self._target.is_folder(name):
                raise
            raise self._target.taken(name) from error


class LongNameSaves:
    """Saves files whose name is too long for an upload, yet not for Nextcloud."""

    def __init__(
        self,
        saves: CloudSaves,
        target: Target,
        mover: DavMover,
        temporaries: Temporaries,
        bulk: Bulk,
    ) -> None:
        self._saves = saves
        self._target = target
        self._mover = mover
        self._temporaries = temporaries
        self._bulk = bulk

    @staticmethod
    def concerns(name: str) -> bool:
        """Say whether this is such a name."""
        return len(name.rpartition("/")[2].encode()) > LONGEST_UPLOADED

    def save(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save a file; see ``SupportsSaveWith``.

        One that is replaced keeps its id and versions only where it can go by the endpoint for
        batches.
        """
        replaced = self._target.check(name, expect) is not None
        stored = self._by_bulk(name, upload) if replaced else None
        return stored or self._by_move(name, upload, replaced=replaced)

    def _by_bulk(self, name: str, upload: Upload) -> FileStat | None:
        if upload.size > SMALL or not self._bulk.takes(name) or not self._bulk.ready():
            return None
        content = Outgoing(upload, name=name, storage=self._bulk.label).whole()
        outcomes = self._bulk.send([BatchFile(name, content, upload.modified_ns)])
        if outcomes is not None and outcomes[0].unknown:
            raise UnavailableError(
                f"the outcome is unknown: {outcomes[0].message}",
                operation="save",
                name=name,
                storage=self._bulk.label,
            )
        return outcomes[0].stat if outcomes is not None else None

    def _by_move(self, name: str, upload: Upload, *, replaced: bool) -> FileStat:
        temporary = temporary_beside(name)
        with self._temporaries.removing(temporary):
            stat = self._saves.save(temporary, upload, ABSENT)
            refusal = self._mover.move(temporary, name, overwrite=replaced)
            if refusal is not None:
                raise refusal
        return stat._replace(name=name)


def _condition(expect: Precondition) -> dict[str, str]:
    if expect.exists is False:
        return {"If-None-Match": "*"}
    if expect.etag is not None:
        return {"If-Match": expect.etag}
    return {"If-Match": "*"} if expect.exists else {}
