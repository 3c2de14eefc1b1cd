"""Proving that what arrived in a store is what was sent."""

from __future__ import annotations

import enum
import hashlib
import threading
import uuid
from typing import TYPE_CHECKING

from paperfleet.errors import ArrivedDamagedError, IntegrityError, Scope, StorageError
from paperfleet.model import FileStat
from paperfleet.storage.bucket.client import PutCondition
from paperfleet.storage.bucket.digests import (
    Digests,
    bare,
    digests_of,
    digests_to_end,
    is_md5,
    pieces,
)
from paperfleet.storage.bucket.reading import open_object
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from paperfleet.storage.bucket.client import FoundObject, ObjectClient

TRIED_FROM = 64 << 20
"""Bytes of a file from which on the store is tried first: to read it back would take longer."""


class EtagKind(enum.Enum):
    """What the etag is that a store gives."""

    PARTS = "the MD5 of the parts' MD5s"
    WHOLE = "the MD5 of all"
    OTHER = "something else"


class Prover:
    """Compares what a store has with what was sent.

    By the store's etag where that is an MD5. What kind of etag a store gives is learned from the
    first save whose etag is another than expected, by reading that back; for a large file sent in
    parts by a tiny one before it. Where it is no MD5 the size alone is compared.
    """

    def __init__(self, client: ObjectClient) -> None:
        self._client = client
        self._kinds: dict[bool, EtagKind] = {}
        """By whether an object was sent in parts."""
        self._lock = threading.Lock()

    def kind_for(self, size: int | None) -> EtagKind | None:
        """Return what is known of the etags of uploads in parts, before one of so many bytes.

        Tries it where that is worth it, with five small requests. Raises what says that the store
        cannot be used.
        """
        with self._lock:
            worth = size is not None and size >= TRIED_FROM
            if True not in self._kinds and worth and (kind := self._tried()):
                self._kinds[True] = kind
            return self._kinds.get(True)

    def _tried(self) -> EtagKind | None:
        """Try it; None where that is refused."""
        try:
            return self.try_parts()
        except StorageError as error:
            # What is refused for this key alone says nothing of the save that is to come.
            if error.scope is Scope.STORAGE:
                raise
            return None

    def try_parts(self) -> EtagKind:
        """Upload a tiny object of ours in parts, and remove it; return what its etag is.

        Raises ``StorageError`` where that is refused.
        """
        key = self._client.keys.work("probe", uuid.uuid4().hex)
        data = key.encode()
        IN_USE.add(key)
        try:
            self._client.put_parts(key, [data], PutCondition(part=self._client.part), "save", "")
            etag = self._client.look(key, "save", "").etag
            self._client.delete(key, "delete", "")
        finally:
            IN_USE.remove(key)
        in_parts = Digests(self._client.part)
        in_parts.update(data)
        kinds = {in_parts.etag: EtagKind.PARTS, digests_of(data).etag: EtagKind.WHOLE}
        return kinds.get(bare(etag), EtagKind.OTHER)

    def proven(
        self, key: str, name: str, etag: str | None, digests: Digests, *, parts: bool
    ) -> FileStat:
        """Return what the store has; raise ``IntegrityError`` if it is not what was sent.

        ``etag`` is what the store answered to the save, where it did; ``parts`` says how it was
        sent.
        """
        as_sent = EtagKind.PARTS if digests.part else EtagKind.WHOLE
        if bare(etag) == digests.etag:
            self._kinds[parts] = as_sent
            return FileStat(name, digests.count, None, etag, None, digests.sha256)
        found = self._client.look(key, "save", name)
        if found.size != digests.count:
            raise IntegrityError(
                f"the store has {found.size} bytes, not {digests.count}",
                operation="save",
                name=name,
                storage=self._client.label,
                hint="Save it again",
            )
        if bare(found.etag) == digests.etag:
            self._kinds[parts] = as_sent
        elif is_md5(found.etag) and self._kinds.get(parts) is not EtagKind.OTHER:
            self._kinds[parts] = self._read_back(key, name, digests, found)
        return found.stat(name)

    def _read_back(self, key: str, name: str, digests: Digests, found: FoundObject) -> EtagKind:
        """Read what is stored, as its etag is another: damaged, or of another kind; return which.

        What arrived damaged is removed, unless somebody wrote there meanwhile.
        """
        with open_object(self._client, key, name) as stream:
            stored = digests_to_end(stream, 0)
        if stored.sha256 != digests.sha256:
            now = self._client.find(key, "save", name)
            if now is not None and now.etag == found.etag:
                self._client.delete(key, "save", name)
            raise ArrivedDamagedError(
                "other bytes than were sent arrived",
                operation="save",
                name=name,
                storage=self._client.label,
                hint="Save it again",
            )
        return EtagKind.WHOLE if stored.etag == bare(found.etag) else EtagKind.OTHER

    def content_sha256(self, key: str, name: str) -> str:
        """Return the SHA-256 of what is stored, by reading it."""
        digest = hashlib.sha256()
        with open_object(self._client, key, name) as stream:
            for piece in pieces(stream):
                digest.update(piece)
        return digest.hexdigest()
