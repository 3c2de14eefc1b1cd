"""The hash of what is stored, as Nextcloud itself reads it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from paperfleet.storage.dav.client import Request
from paperfleet.storage.hashing import sha256_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.dav.client import DavClient

_WITHOUT = {400, 405, 415, 501}


class StoredHash:
    """Asks for hashes by PATCH with ``X-Recalculate-Hash`` (``ChecksumUpdatePlugin.php``).

    A server without that is read back through ``read``.
    """

    def __init__(self, client: DavClient, read: Callable[[str], IO[bytes]]) -> None:
        self._client = client
        self._read = read

    def sha256(self, name: str) -> str:
        """Return the lower-case hex of one file; raise ``NotFoundError``."""
        request = Request(
            "PATCH",
            self._client.root.path_of(name),
            operation="hash",
            name=name,
            headers={"X-Recalculate-Hash": "sha256"},
            repeatable=True,
        )
        answer = self._client.ask(request, accept={200, 204} | _WITHOUT)
        kind, _, digest = answer.headers.get("oc-checksum", "").partition(":")
        told = answer.is_done and kind.upper() == "SHA256" and digest
        return digest.lower() if told else self._read_back(name)

    def _read_back(self, name: str) -> str:
        with self._read(name) as stream:
            return sha256_in(stream)
