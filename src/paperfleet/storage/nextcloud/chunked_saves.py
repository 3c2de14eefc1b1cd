"""Saving a large file to a Nextcloud: chunks, one MOVE, and a look at what was put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import (
    IntegrityError,
    LockedError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from paperfleet.storage.nextcloud.puts import describing, stat_of

if TYPE_CHECKING:
    from paperfleet.model import FileStat, Precondition, Upload
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.folders import Folders
    from paperfleet.storage.dav.target import Target
    from paperfleet.storage.nextcloud.chunks import Chunks, ChunkSession
    from paperfleet.storage.nextcloud.stored_hash import StoredHash


class ChunkedSaves:
    """Saves files by chunks; a file that is replaced is the old or the new one at any time."""

    def __init__(
        self,
        client: DavClient,
        chunks: Chunks,
        target: Target,
        folders: Folders,
        stored_hash: StoredHash,
    ) -> None:
        self._client = client
        self._chunks = chunks
        self._target = target
        self._folders = folders
        self._stored_hash = stored_hash

    @property
    def chunk_size(self) -> int:
        """The size of a chunk in bytes; those of a very large file are larger."""
        return self._chunks.chunk_size

    def save(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save a file and return what is there; see ``SupportsSaveWith``.

        An attempt that ended in ``UnavailableError`` or ``LockedError`` leaves its chunks to a
        later one with the same content, when that has a hash. Missing parents are made before the
        first chunk: the server refuses one whose file would have no parent.
        """
        if self._target.check(name, expect) is None:
            self._folders.make_missing_parents(name)
        session = self._chunks.session(name, upload)
        try:
            self._folders.with_parents(name, lambda: self._chunks.send(session, upload))
            stat = self._placed(session, upload, expect)
        except (UnavailableError, LockedError):
            if not session.resumable:
                self._chunks.discard(session)
            raise
        except BaseException:
            self._chunks.discard(session)
            raise
        return self.proven(stat, upload)

    def _placed(self, session: ChunkSession, upload: Upload, expect: Precondition) -> FileStat:
        name = session.name
        found = self._target.check(name, expect)
        headers = describing(name, upload.modified_ns, upload.sha256)
        headers["Overwrite"] = "F" if found is None else "T"
        try:
            answer = self._folders.with_parents(name, lambda: self._chunks.place(session, headers))
        except PreconditionFailedError as error:
            raise self._target.taken(name) from error
        except NotFoundError as error:
            reason = "the chunks vanished before they were put together"
            raise self._client.failure(IntegrityError, reason, "save", name) from error
        return self._target.written(name) if answer is None else stat_of(name, upload, answer)

    def proven(self, stat: FileStat, upload: Upload) -> FileStat:
        """Compare what the server stored with what was sent; raise ``IntegrityError``."""
        if stat.size != upload.size:
            reason = f"{stat.size} of {upload.size} bytes are at the server"
            raise self._client.failure(IntegrityError, reason, "save", stat.name)
        if upload.sha256 is None:
            return stat
        with self._target.after_effect(stat.name):
            sha256 = self._stored_hash.sha256(stat.name)
        if sha256 != upload.sha256:
            reason = "the server stored other bytes than were sent"
            raise self._client.failure(IntegrityError, reason, "save", stat.name)
        return stat._replace(sha256=sha256)
