"""Nextcloud's chunked upload, version 2 (developer manual, "Chunked file upload")."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paperfleet.errors import (
    IntegrityError,
    LockedError,
    MaintenanceError,
    NotFoundError,
    StorageError,
    ThrottledError,
    UnavailableError,
)
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.content import ProvingReader
from paperfleet.storage.dav.multistatus import PROPERTIES, read_entries
from paperfleet.storage.dav.urls import DavRoot
from paperfleet.storage.dav.values import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.model import Upload
    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.nextcloud.server import CloudAddress

logger = logging.getLogger(__name__)
MOST_CHUNKS = 9_999
MERGE_TIMEOUT = 600.0
PATIENCE = 120.0
"""Seconds for which a MOVE without a clear answer is watched: a proxy may give up (504) while the
server goes on merging."""

LOCK_PATIENCE = 10.0
"""Seconds for which a MOVE is watched that found a lock, perhaps of an earlier one."""

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between two looks at a merge; the last one is repeated."""


@dataclass(frozen=True, slots=True)
class ChunkSession:
    """One unfinished upload. ``path`` is its folder on the server, ``destination`` the target's.

    A ``resumable`` one has an id made of all that is known of the content, so that a later attempt
    at the same content finds its chunks.
    """

    name: str
    path: str
    destination: str
    size: int
    chunk_size: int
    resumable: bool

    @property
    def headers(self) -> dict[str, str]:
        """What version 2 wants with every request."""
        return {"Destination": self.destination, "OC-Total-Length": str(self.size)}

    def chunk_path(self, number: int) -> str:
        """Return the address of a chunk; they are counted from 1."""
        return f"{self.path}{number:05d}"

    @property
    def sizes(self) -> list[int]:
        """The sizes of all chunks; a file without content is one empty chunk."""
        whole, rest = divmod(self.size, self.chunk_size)
        return [self.chunk_size] * whole + ([rest] if rest or not whole else [])


class Chunks:
    """Sends files chunk by chunk, and puts them in place with one MOVE."""

    def __init__(self, client: DavClient, address: CloudAddress, *, chunk_size: int) -> None:
        self._client = client
        self._address = address
        self.chunk_size = chunk_size

    def session(self, name: str, upload: Upload) -> ChunkSession:
        """Return the upload of this content to this name; nothing is asked yet."""
        size = max(self.chunk_size, -(-upload.size // MOST_CHUNKS))
        resumable = upload.sha256 is not None
        known = f"{name}\0{upload.size}\0{upload.sha256}\0{upload.modified_ns}\0{size}"
        token = hashlib.sha256(known.encode()).hexdigest() if resumable else secrets.token_hex(32)
        return ChunkSession(
            name,
            f"{self._address.uploads}paperfleet-{token[:40]}/",
            self._address.root.path_of(name),
            upload.size,
            size,
            resumable,
        )

    def send(self, session: ChunkSession, upload: Upload) -> None:
        """Bring all chunks to the server that are not there; raise ``IntegrityError``.

        The content is read whole, also where chunks are there already, and proven before the last
        chunk is sent.
        """
        present = self._begin(session)
        with ProvingReader(upload, name=session.name, storage=self._storage) as reader:
            sizes = session.sizes
            for number, size in enumerate(sizes, start=1):
                data = reader.read(size)
                if len(data) != size or number == len(sizes):
                    reader.prove()
                if present.get(number) != size:
                    self._put(session, number, data)

    @property
    def _storage(self) -> str:
        return self._address.root.url

    def _begin(self, session: ChunkSession) -> dict[int, int]:
        """Make the folder of the upload; return number → size of the chunks that are there."""
        answer = self._ask(session, "MKCOL", session.path, session.headers, {201, 405})
        return self._present(session) if answer.status == 405 else {}

    def _present(self, session: ChunkSession) -> dict[int, int]:
        request = self._propfind(session, "1")
        found = {}
        with self._client.stream(request, accept={207}) as response:
            for entry in read_entries(response.iter_bytes(), storage=self._storage):
                number = number_of(DavRoot("", session.path).name_of(entry.href))
                if number is not None and entry.size is not None:
                    found[number] = entry.size
        return found

    def _propfind(self, session: ChunkSession, depth: str) -> Request:
        return Request(
            "PROPFIND",
            session.path,
            operation="save",
            name=session.name,
            headers={"Depth": depth, "Content-Type": "application/xml; charset=utf-8"},
            body=lambda: PROPERTIES,
        )

    def _put(self, session: ChunkSession, number: int, data: bytes) -> None:
        headers = session.headers | {"X-Hash": "sha256"}
        path = session.chunk_path(number)
        answer = self._ask(session, "PUT", path, headers, {201, 204}, body=data)
        received = answer.headers.get("x-hash-sha256")
        if received not in {None, hashlib.sha256(data).hexdigest()}:
            raise self._error(IntegrityError, "a chunk arrived damaged", session)

    def place(self, session: ChunkSession, headers: Mapping[str, str]) -> Answer | None:
        """Put the chunks together at the target; return the answer, None when none was clear.

        None means that the upload is gone from the server. That comes last, after the target has
        its content, time and checksum (``performMove`` of ChunkingPlugin.php, ``beforeMove`` of
        ChunkingV2Plugin.php in Nextcloud's dav/lib/Upload): the caller looks what is there. Raises
        ``NotFoundError`` for a missing parent, ``LockedError``, and ``UnavailableError`` when the
        outcome stays unknown.
        """
        try:
            answer = self._ask(
                session,
                "MOVE",
                f"{session.path}.file",
                {**session.headers, **headers},
                {201, 204, 400, 423, 502, 504},
                timeout=MERGE_TIMEOUT,
            )
        except UnavailableError as error:
            if isinstance(error, MaintenanceError | ThrottledError):
                raise
            self._watch(session, error)
            return None
        if answer.is_done:
            return answer
        if answer.status == 400 and "sum up" in answer.says[1]:
            raise self._error(IntegrityError, "chunks are missing at the server", session)
        request = Request("MOVE", session.path, operation="save", name=session.name)
        if answer.status == 400:
            raise self._client.error(answer, request)
        self._watch(session, self._client.error(answer, request))
        return None

    def _watch(self, session: ChunkSession, unclear: StorageError) -> None:
        """Wait until the upload is gone, which says that it was merged; else raise ``unclear``."""
        locked = isinstance(unclear, LockedError)
        deadline = time.monotonic() + (LOCK_PATIENCE if locked else PATIENCE)
        pauses = iter(PAUSES)
        while self._is_there(session, unclear):
            if time.monotonic() > deadline:
                raise unclear
            time.sleep(next(pauses, PAUSES[-1]))

    def _is_there(self, session: ChunkSession, unclear: StorageError) -> bool:
        try:
            self._client.ask(self._propfind(session, "0"), accept={207})
        except NotFoundError:
            return False
        except LockedError:
            return True
        except StorageError as error:
            raise unclear from error
        return True

    def discard(self, session: ChunkSession) -> None:
        """Remove an upload that will not be continued; the server does that too, after a day."""
        try:
            self._ask(session, "DELETE", session.path, {}, {204, 404})
        except StorageError as error:
            logger.info("an unfinished upload stays for the server to remove: %s", error)

    def _ask(
        self,
        session: ChunkSession,
        method: str,
        path: str,
        headers: Mapping[str, str],
        accept: set[int],
        *,
        body: bytes | None = None,
        timeout: float | None = None,
    ) -> Answer:
        request = Request(
            method,
            path,
            operation="save",
            name=session.name,
            headers=headers,
            body=None if body is None else lambda: body,
            repeatable=method != "MOVE",
            timeout=timeout,
        )
        return self._client.ask(request, accept)

    def _error(self, kind: type[StorageError], reason: str, session: ChunkSession) -> StorageError:
        return kind(reason, operation="save", name=session.name, storage=self._storage)
