"""Writing objects: small ones with one request, large ones in parts; both proven afterwards."""

from __future__ import annotations

import hashlib
import io
import itertools
import mimetypes
import uuid
from contextlib import closing
from typing import IO, TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
)
from paperfleet.model import ANYTHING, FileStat, Precondition, Upload
from paperfleet.storage.bucket import client as requests
from paperfleet.storage.bucket.client import PutCondition
from paperfleet.storage.bucket.digests import (
    Digests,
    digests_of,
    digests_to_end,
    part_size,
    pieces,
)
from paperfleet.storage.bucket.proving import EtagKind, Prover
from paperfleet.storage.conditions import require
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from obstore import Attributes, PutMode

    from paperfleet.storage.bucket.copying import BucketCopier
    from paperfleet.storage.bucket.features import Probe


class BucketSaver:
    """Saves documents under a condition, and proves that they arrived."""

    def __init__(self, client: requests.ObjectClient, probe: Probe, copier: BucketCopier) -> None:
        self._client = client
        self._probe = probe
        self._copier = copier
        self.prover = Prover(client)
        self.content_sha256 = self.prover.content_sha256

    def save(self, key: str, name: str, content: IO[bytes]) -> None:
        """Store all that the content yields.

        Content larger than a part is read twice when it can be rewound, so that its checksum is
        noted with the object; from any other, the store's etag alone proves the arrival.
        """
        begun = _read_up_to(content, self._client.part + 1)
        if len(begun) <= self._client.part:
            self._save_small(key, name, begun, digests_of(begun), ANYTHING)
            return
        if not content.seekable():
            self._save_parts(key, name, itertools.chain([begun], pieces(content)), None, None)
            return
        start = content.tell() - len(begun)
        size = _size_from(content, start)
        content.seek(start)
        digests = digests_to_end(content, self._part_of_etag(size))
        content.seek(start)
        self._save_parts(key, name, pieces(content), size, digests)

    def save_with(self, key: str, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save under a condition; return what the store then has."""
        if upload.size <= self._client.part:
            with upload.open() as content:
                data = _read_up_to(content, upload.size + 1)
            digests = digests_of(data)
            self._require_content(digests, upload, name)
            return self._save_small(key, name, data, digests, expect)
        with upload.open() as content:
            digests = digests_to_end(content, self._part_of_etag(upload.size))
        self._require_content(digests, upload, name)
        if expect == ANYTHING:
            return self._save_large(key, name, upload, digests)
        return self._save_aside(key, name, upload, digests, expect)

    def _part_of_etag(self, size: int | None) -> int:
        """Return by how many bytes the store takes MD5s for the etag of an upload in parts."""
        whole = self.prover.kind_for(size) is EtagKind.WHOLE
        return 0 if whole else part_size(size, self._client.part)

    def _require_content(self, read: Digests, upload: Upload, name: str) -> None:
        if read.count != upload.size:
            raise self._error(
                name,
                f"the content has {_other_length(read.count, upload.size)}",
                "It may have changed while it was read",
            )
        if upload.sha256 not in {None, read.sha256}:
            raise self._error(
                name,
                "the content is not the one that was meant: its checksum differs",
                "It may have changed while it was read",
            )

    def _save_small(
        self, key: str, name: str, data: bytes, digests: Digests, expect: Precondition
    ) -> FileStat:
        mode = self._mode(key, name, expect)
        token = uuid.uuid4().hex if mode != "overwrite" else ""
        put = PutCondition(mode, _attributes(name, digests, token))
        try:
            etag = self._client.put(key, data, put, "save", name)
        except (AlreadyExistsError, PreconditionFailedError):
            # The first try of a request that was sent again may have been what made it so.
            found = self._client.find(key, "save", name)
            if found is None or found.noted.get(requests.SAVE) != token:
                raise
            etag = found.etag
        except NotFoundError:
            # What S3 answers where nothing is to be replaced (API reference, PutObject).
            raise PreconditionFailedError(
                "it is gone", operation="save", name=name, storage=self._client.label
            ) from None
        return self.prover.proven(key, name, etag, digests, parts=False)

    def _mode(self, key: str, name: str, expect: Precondition) -> PutMode:
        """Return how the store is to ensure the condition; look ourselves at what it cannot."""
        if expect == ANYTHING:
            return "overwrite"
        features = self._probe.features()
        if expect.exists is False and features.create:
            return "create"
        if expect.etag is not None and features.update:
            return {"e_tag": expect.etag}
        self._look(key, name, expect)
        return "overwrite"

    def _look(self, key: str, name: str, expect: Precondition) -> None:
        found = self._client.find(key, "save", name)
        stat = found.stat(name) if found else None
        require(stat, expect, operation="save", name=name, storage=self._client.label)

    def _save_large(self, key: str, name: str, upload: Upload, digests: Digests) -> FileStat:
        with upload.open() as content:
            return self._save_parts(key, name, pieces(content), upload.size, digests)

    def _save_aside(
        self, key: str, name: str, upload: Upload, digests: Digests, expect: Precondition
    ) -> FileStat:
        """Upload under another key and copy it into place, as an upload in parts has no condition.

        An etag is compared right before the copy: another writer in between is not noticed.
        """
        self._look(key, name, expect)
        aside = self._client.keys.work("save", uuid.uuid4().hex)
        IN_USE.add(aside)
        try:
            self._save_large(aside, name, upload, digests)
            source = self._client.look(aside, "save", name)
            if expect.exists is False:
                self._copier.create(source, aside, key, "save", name)
            else:
                self._look(key, name, expect)
                self._copier.replace(source, aside, key, "save", name)
        finally:
            IN_USE.remove(aside)
            self._client.delete(aside, "save", name)
        return self._client.look(key, "save", name).stat(name)

    def _save_parts(
        self,
        key: str,
        name: str,
        content: Iterator[bytes],
        size: int | None,
        meant: Digests | None,
    ) -> FileStat:
        sent = meant or Digests(self._part_of_etag(size))
        watched = self._compared(content, meant, name) if meant else _counted(content, sent)
        part = part_size(size, self._client.part)
        put = PutCondition(attributes=_attributes(name, meant), part=part)
        with closing(watched):
            self._client.put_parts(key, watched, put, "save", name)
        return self.prover.proven(key, name, None, sent, parts=True)

    def _compared(self, content: Iterator[bytes], meant: Digests, name: str) -> Generator[bytes]:
        """Pass the content on; fail at its end, before the store shows it, if it differs."""
        digest = hashlib.sha256()
        for piece in content:
            digest.update(piece)
            yield piece
        if digest.hexdigest() != meant.sha256:
            raise self._error(name, "the content changed while it was read", "Save it again")

    def _error(self, name: str, reason: str, hint: str = "") -> StorageError:
        return IntegrityError(
            reason, operation="save", name=name, storage=self._client.label, hint=hint
        )


def _counted(content: Iterator[bytes], sent: Digests) -> Generator[bytes]:
    """Pass the content on, and take its digests."""
    with sent.beside() as take:
        for piece in content:
            take(piece)
            yield piece


def _attributes(name: str, digests: Digests | None, token: str = "") -> Attributes:
    kind = mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"
    noted: Attributes = {"Content-Type": kind}
    if digests:
        noted |= {requests.SHA256: digests.sha256, requests.ETAG: digests.etag}
    if token:
        noted[requests.SAVE] = token
    return noted


def _read_up_to(content: IO[bytes], most: int) -> bytes:
    """Read until the end or so many bytes; some streams return less than was asked for."""
    read = io.BytesIO()
    while read.tell() < most and (data := content.read(most - read.tell())):
        read.write(data)
    return read.getvalue()


def _size_from(content: IO[bytes], start: int) -> int | None:
    """Return how many bytes there are from ``start`` on; None from a stream that finds no end."""
    try:
        return content.seek(0, io.SEEK_END) - start
    except (OSError, ValueError):
        return None


def _other_length(found: int, meant: int) -> str:
    return f"{found} bytes, not {meant}"
