"""One PUT to a Nextcloud, with time, note and proof of arrival."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from paperfleet.errors import IntegrityError, StorageError
from paperfleet.model import FileStat
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.content import Outgoing, content_type
from paperfleet.storage.dav.mtime import SECOND, mtime_headers
from paperfleet.storage.dav.multistatus import clean_etag
from paperfleet.storage.nextcloud.bulk import file_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.model import Upload
    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient

logger = logging.getLogger(__name__)


class Puts:
    """Sends files by PUT."""

    def __init__(self, client: DavClient) -> None:
        self._client = client
        self.hashes = True
        """Whether the server told a hash of all that it received so far."""

    def put(self, name: str, upload: Upload, condition: Mapping[str, str]) -> FileStat:
        """Send a file and return what the server says it has now.

        Raises ``IntegrityError`` when what the server received is not what was sent, or the
        content is not the announced one; ``NotFoundError`` for a missing parent;
        ``PreconditionFailedError``.
        """
        outgoing = Outgoing(upload, name=name, storage=self._client.root.url)
        body = outgoing.body()
        sha256 = upload.sha256 or outgoing.sha256
        headers = {"Content-Length": str(upload.size), "X-Hash": "sha256", **condition}
        request = Request(
            "PUT",
            self._client.root.path_of(name),
            operation="save",
            name=name,
            headers=headers | describing(name, upload.modified_ns, sha256),
            body=body,
            repeatable=not condition,
        )
        answer = self._client.ask(request, accept={200, 201, 204})
        received = answer.headers.get("x-hash-sha256")
        if received is None:
            self.hashes = False
        elif received != outgoing.sha256:
            self._withdraw(request, answer)
            raise self._damaged(name)
        return stat_of(name, upload, answer)

    def _withdraw(self, request: Request, answer: Answer) -> None:
        """Remove a new file that arrived damaged; an overwritten one has its versions."""
        etag = clean_etag(answer.headers.get("oc-etag") or answer.headers.get("etag"))
        if answer.status != 201 or etag is None:
            return
        delete = Request(
            "DELETE",
            request.path,
            operation="save",
            name=request.name,
            headers={"If-Match": etag},
        )
        try:
            self._client.ask(delete, accept={204, 404, 412})
        except StorageError as error:
            logger.warning("a file that arrived damaged is still there: %s", error)

    def _damaged(self, name: str) -> StorageError:
        return IntegrityError(
            "the server received other bytes than were sent",
            operation="save",
            name=name,
            storage=self._client.root.url,
            hint="Something between here and the server changes what passes",
        )


def describing(name: str, modified_ns: int | None, sha256: str | None) -> dict[str, str]:
    """Return the headers that say what a file is; ``OC-Checksum`` is a note, not a proof."""
    headers = {"Content-Type": content_type(name)} | mtime_headers(modified_ns)
    return headers | ({"OC-Checksum": f"SHA256:{sha256}"} if sha256 else {})


def stat_of(name: str, upload: Upload, answer: Answer) -> FileStat:
    """Return what the answer to a PUT or MOVE tells of the file that it wrote."""
    sent = mtime_headers(upload.modified_ns)
    accepted = answer.headers.get("x-oc-mtime") == "accepted" and sent
    return FileStat(
        name,
        upload.size,
        int(sent["X-OC-Mtime"]) * SECOND if accepted else None,
        clean_etag(answer.headers.get("oc-etag") or answer.headers.get("etag")),
        file_id_of(answer.headers.get("oc-fileid")),
    )
