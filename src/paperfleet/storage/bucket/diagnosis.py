"""What can be looked at in a bucket: the store, the permissions one by one, and its quirks."""

from __future__ import annotations

import secrets
import time
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from paperfleet.diagnosis import Check, not_tried, of_error, ok, problem, warning
from paperfleet.errors import StorageError
from paperfleet.model import FileStat
from paperfleet.storage.bucket.client import PutCondition
from paperfleet.storage.bucket.digests import bare, digests_of
from paperfleet.storage.bucket.keys import is_work
from paperfleet.storage.bucket.proving import EtagKind
from paperfleet.storage.bucket.reading import open_object
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.diagnosis import CheckResult
    from paperfleet.storage.bucket.client import ObjectClient
    from paperfleet.storage.bucket.copying import Service
    from paperfleet.storage.bucket.features import Probe
    from paperfleet.storage.bucket.listing import BucketListing
    from paperfleet.storage.bucket.proving import Prover

BUCKET, READING = "bucket", "permission to read"
WRITING, DELETING = "permission to write", "permission to delete"
CONDITIONS, PARTS = "conditional writes", "uploads in parts"
_SECONDS = 90.0
"""obstore tries a request again for a minute."""
_MOST_LISTED = 2000
_DATA = b"paperfleet doctor\n" * 10


class BucketChecks:
    """The checks of one bucket. What they write lies in the folder of unfinished work."""

    def __init__(
        self, client: ObjectClient, listing: BucketListing, probe: Probe, prover: Prover
    ) -> None:
        self._client, self._listing = client, listing
        self._probe, self._prover = probe, prover
        self._key = client.keys.work("probe", secrets.token_hex(16))
        self._file = ""

    def checks(self, service: Service | None) -> list[Check]:
        """Return them, in this order; those of the address where that is known."""
        address = (service.address() if service else None) or ""
        first: list[Check] = []
        needs: tuple[str, ...] = ()
        if service is not None and address:
            # What it takes to send and read HTTP would slow every start.
            from paperfleet.storage.bucket.raw import verify_of  # noqa: PLC0415
            from paperfleet.storage.transport import diagnosis as transport  # noqa: PLC0415

            parts = urlsplit(address)
            origin, path = f"{parts.scheme}://{parts.netloc}", parts.path or "/"
            where = transport.HttpAddress(origin, path, verify_of(service))
            first, needs = transport.AddressChecks(where).checks(), (transport.CONNECTION,)
        return [
            *first,
            Check(BUCKET, self.bucket, needs, _SECONDS),
            Check(READING, self.reading, (BUCKET,), _SECONDS),
            Check(WRITING, self.writing, (BUCKET,), _SECONDS, writes=True),
            Check(CONDITIONS, self.conditions, (WRITING,), _SECONDS, writes=True),
            Check(PARTS, self.parts, (WRITING,), _SECONDS, writes=True),
            Check(DELETING, self.deleting, (WRITING,), _SECONDS, writes=True),
        ]

    def bucket(self) -> Iterator[CheckResult]:
        """List a page of it (s3:ListBucket)."""
        began = time.monotonic()
        found = list(islice(self._listing.items("", exact=True), _MOST_LISTED))
        files = [one for one in found if isinstance(one, FileStat)]
        self._file = files[0].name if files else ""
        more = "or more " if len(found) == _MOST_LISTED else ""
        yield ok(
            f"the key is accepted, and may list it: {len(files):,} {more}files in"
            f" {time.monotonic() - began:.1f} s"
        )
        others = [one for one in found if not isinstance(one, FileStat) and not is_work(one.name)]
        if others:
            yield warning(
                f"{len(others):,} keys are no names of files: they are left alone",
                names=(one.name for one in others),
            )

    def reading(self) -> Iterator[CheckResult]:
        """Read a byte of the first file (s3:GetObject)."""
        if not self._file:
            yield not_tried("there is no file to read; --write-probe reads its own")
            return
        key = self._client.keys.found(self._file, "open")
        with open_object(self._client, key, self._file) as stream:
            stream.read(1)
        yield ok("s3:GetObject")

    def writing(self) -> Iterator[CheckResult]:
        """Write an object of ours (s3:PutObject), and read it back."""
        IN_USE.add(self._key)
        etag = self._client.put(self._key, _DATA, PutCondition(), "save", "")
        yield ok("s3:PutObject")
        with open_object(self._client, self._key, "") as stream:
            read = stream.read()
        if read != _DATA:
            yield problem(
                "other bytes than were written come back",
                "Set checksum_algorithm to an empty text: some stores keep checksums as content",
            )
        elif bare(etag) == digests_of(_DATA).etag:
            yield ok("s3:GetObject; the etag is an MD5, which proves what arrived")
        else:
            yield warning(
                "s3:GetObject; the etag is no MD5 (encryption with KMS?): by it nothing is proven",
                "Uploads are read back as --verify says",
            )

    def conditions(self) -> Iterator[CheckResult]:
        """Try which conditions the store honours (``Probe``)."""
        found = self._probe.features()
        if not found.create:
            yield warning(
                "the store ignores If-None-Match: another host that writes the same name within"
                " milliseconds is not noticed",
                "Let one host write into this bucket",
            )
            return
        yield ok("a file is only made where there is none (If-None-Match)")
        if not found.update:
            yield ok("an etag is looked up before a file is replaced, as If-Match is ignored")

    def parts(self) -> Iterator[CheckResult]:
        """Send an object in parts (multipart upload)."""
        kind = self._prover.try_parts()
        if kind is EtagKind.OTHER:
            yield warning(
                "they work; their etag says nothing of the content, so that the size is compared",
                "Uploads are read back as --verify says",
            )
        else:
            yield ok(f"they work; their etag is {kind.value}")

    def deleting(self) -> Iterator[CheckResult]:
        """Remove what was written (s3:DeleteObject), and see that it is gone."""
        try:
            self._client.delete(self._key, "delete", "")
            left = [one["path"] for one in self._client.list(self._client.keys.work_folder)]
        except StorageError as error:
            yield of_error(error)
            yield problem(f"the object {self._key} stays", "Remove it by hand")
            return
        finally:
            IN_USE.remove(self._key)
        if self._key in left:
            yield problem(f"the object {self._key} stays", "Remove it by hand")
        else:
            yield ok("s3:DeleteObject")
