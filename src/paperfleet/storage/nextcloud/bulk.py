"""Nextcloud's endpoint for many small files at once (``BulkUploadPlugin.php``)."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import threading
import time
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paperfleet.errors import MaintenanceError, ThrottledError, UnavailableError
from paperfleet.model import FileStat
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.mtime import SECOND, mtime_headers
from paperfleet.storage.dav.multistatus import clean_etag
from paperfleet.storage.dav.transport import was_sent
from paperfleet.storage.dav.values import json_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.model import BatchFile
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.nextcloud.server import Cloud, CloudAddress

logger = logging.getLogger(__name__)
TIMEOUT = 300.0
ANSWERED = {200, 400, 403, 404, 405, 413, 415, 501}
"""What is told of single files, and what says that nothing was taken, as 413 by a proxy's limit."""

MOST_LOST = 3
"""Answers that may be lost one after the other before the endpoint rests."""

REST = 600.0
"""Seconds without batches after that: perhaps something on the way cuts requests so long."""


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of one file: ``stat`` when it is stored, else the server's ``message``.

    ``unknown`` when the server told nothing of it.
    """

    stat: FileStat | None = None
    message: str = ""
    unknown: bool = False


class Bulk:
    """Sends batches; switches itself off when the endpoint as a whole does not work.

    Requests carry the password and no cookies, as a POST with the cookies of a session ends that
    session. The server compares the MD5 of each part before it writes it.
    """

    def __init__(
        self, client: DavClient, cloud: Cloud, address: CloudAddress, *, wanted: bool
    ) -> None:
        self._client = client
        self._cloud = cloud
        self._address = address
        self._wanted = wanted
        self._lost = 0
        self._rests_until = 0.0
        self._checked = False
        self._lock = threading.Lock()

    @property
    def works(self) -> bool:
        """Say whether batches are sent as far as is known; asks nothing."""
        return self._wanted and time.monotonic() >= self._rests_until

    @property
    def label(self) -> str:
        """Name the storage for people."""
        return self._address.root.url

    @staticmethod
    def takes(name: str) -> bool:
        """Say whether a name can be a header: the server trims what is around it."""
        return name == name.rstrip(" \t\n\r\0\x0b") and name.isprintable()

    def ready(self) -> bool:
        """Say whether batches can be sent; asks for the server's capabilities once."""
        with self._lock:
            if self._wanted and not self._checked:
                self._wanted = self._cloud.capability("dav", "bulkupload") is not None
                self._checked = True
        return self.works

    def send(self, files: Sequence[BatchFile]) -> list[BulkOutcome] | None:
        """Send files and return what became of each; None when not one of them was touched.

        None switches the endpoint off: the caller sends the files one by one. Raises
        ``CredentialsError``, ``MaintenanceError``, ``ThrottledError``, before which nothing was
        stored either.
        """
        try:
            answer = self._client.ask(self._request(files), ANSWERED)
        except (MaintenanceError, ThrottledError):
            raise
        except UnavailableError as error:
            self._lose(error)
            return [BulkOutcome(unknown=True, message=error.reason) for _ in files]
        told = _told(answer.body) if answer.status in {200, 400} else None
        if told is None and answer.status == 200:
            self._switch_off("its answer cannot be read")
            return [BulkOutcome(unknown=True, message="the answer cannot be read") for _ in files]
        if not told:
            self._switch_off(f"it answers {answer.status}")
            return None
        self._lost = 0
        return [self._outcome(file, told) for file in files]

    def _request(self, files: Sequence[BatchFile]) -> Request:
        boundary = f"paperfleet-{secrets.token_hex(16)}"
        body = b"".join(self._part(file, boundary) for file in files)
        whole = body + f"--{boundary}--\r\n".encode()
        return Request(
            "POST",
            self._address.bulk,
            operation="save batch",
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            body=lambda: whole,
            identity="password",
            timeout=TIMEOUT,
        )

    def _part(self, file: BatchFile, boundary: str) -> bytes:
        headers = {
            "X-File-Path": self._address.path_in_files(file.name),
            "X-File-MD5": hashlib.md5(file.content, usedforsecurity=False).hexdigest(),
            "Content-Length": str(len(file.content)),
            **mtime_headers(file.modified_ns),
        }
        lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        return f"--{boundary}\r\n{lines}\r\n".encode() + file.content + b"\r\n"

    def _outcome(self, file: BatchFile, told: dict[str, Any]) -> BulkOutcome:
        result = told.get(self._address.path_in_files(file.name))
        if not isinstance(result, dict):
            return BulkOutcome(unknown=True, message="the server told nothing of this file")
        etag = clean_etag(str(result.get("etag") or ""))
        if result.get("error") is not False or etag is None:
            return BulkOutcome(message=str(result.get("message") or "refused")[:300])
        return BulkOutcome(stat=_stat(file, etag, str(result.get("fileid") or "")))

    def _lose(self, error: UnavailableError) -> None:
        if not was_sent(error):
            return  # the whole server is away
        self._lost += 1
        if self._lost >= MOST_LOST:
            self._lost = 0
            self._rests_until = time.monotonic() + REST
            logger.warning("no bulk upload for %d s, files go one by one: %s", REST, error)

    def _switch_off(self, why: str) -> None:
        self._wanted = False
        logger.warning("bulk upload is off until the next start, files go one by one: %s", why)


def _told(body: bytes) -> dict[str, Any] | None:
    """Return path → result, {} for PHP's empty list, None for anything else."""
    told = json_of(body)
    if told == []:
        return {}
    if not isinstance(told, dict):
        return None
    return {unicodedata.normalize("NFC", path): result for path, result in told.items()}


def _stat(file: BatchFile, etag: str, long_id: str) -> FileStat:
    sent = mtime_headers(file.modified_ns)
    modified = int(sent["X-OC-Mtime"]) * SECOND if sent else None
    return FileStat(file.name, len(file.content), modified, etag, file_id_of(long_id))


def file_id_of(long_id: str | None) -> str | None:
    """Return ``oc:fileid`` for an ``OC-FileId``, which is padded and ends with the instance."""
    found = re.match(r"0*(\d+)", long_id or "")
    return found[1] if found else None
