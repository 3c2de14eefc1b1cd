"""What a bucket holds below a folder: files, and keys that are no names of files."""

from __future__ import annotations

import itertools
import logging
import re
import threading
from typing import TYPE_CHECKING

from obstore.exceptions import InvalidPathError

from paperfleet.errors import InvalidNameError, NameRefusedError, StorageError
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.bucket.client import etag_of, modified_ns
from paperfleet.storage.bucket.keys import is_work
from paperfleet.storage.names import RESERVED, check_name, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.storage.bucket.client import ObjectClient
    from paperfleet.storage.bucket.copying import Service
    from paperfleet.storage.bucket.raw import Listed, RawListing

logger = logging.getLogger(__name__)
_NAMED = re.compile(r'[Pp]ath "((?:[^"\\]|\\.)*)"')
_LOOK = 10
"""Keys that are asked for to tell a file, a folder and nothing apart."""
ENDS_IN_A_SLASH = "the key ends in '/', and the object has content: no file is named so"


class BucketListing:
    """Lists one location.

    ``exact`` listings ask the store itself where address and key are known (any S3): only they see
    a slash at the end of a key. Others ask through obstore, and go on by themselves at a key that
    obstore takes for no path. Where neither can be, such a key ends the listing, and is named.
    """

    def __init__(
        self, client: ObjectClient, service: Service | None, exists: Callable[[str], bool]
    ) -> None:
        self._client, self._keys = client, client.keys
        self._service = service
        self._raw: RawListing | None = None
        self._lock = threading.Lock()
        self._exists = exists
        self._told: set[str] = set()

    @property
    def raw(self) -> RawListing | None:
        """The store's own listings, where address and key are known here, not to obstore alone."""
        service = self._service
        if service is None or not (service.address() and service.config.get("access_key_id")):
            return None
        with self._lock:
            if self._raw is None:
                # What it takes to send and read them would slow every start.
                from paperfleet.storage.bucket.raw import RawListing  # noqa: PLC0415

                self._raw = RawListing(service, self._client.label)
            return self._raw

    def close(self) -> None:
        """Close the connections of the store's own listings."""
        with self._lock:
            raw = self._raw
        if raw is not None:
            raw.close()

    def entry(self, raw: RawListing, key: str, name: str) -> FileStat | bool:
        """Return the file of this name, else whether there are some below; mostly one request.

        Of the keys that begin with the name it is the first. What lies below comes after those that
        have a byte before the slash there, such as ``name.pdf`` or ``name-2``: when there are more
        of them than one page takes, what is below is asked for alone.
        """
        first = _first(raw, key, name)
        self._client.bucket_answered()
        if first and first[0].key == key:
            return FileStat(name, first[0].size, first[0].modified_ns, first[0].etag)
        below = f"{key}/"
        if len(first) == _LOOK and first[-1].key < below:
            first = _first(raw, below, name)
        # A console's mark of a folder, "name/" without content, is nobody's file.
        return any(one.key.startswith(below) and (one.key != below or one.size) for one in first)

    def files(self, prefix: str) -> Iterator[FileStat]:
        """Yield every file below a folder, sorted; keys that are no names are logged once each."""
        for item in self.items(prefix):
            if isinstance(item, FileStat):
                yield item
            elif item.name not in self._told and not is_work(item.name):
                self._told.add(item.name)
                logger.warning(
                    "%s: %s is left out: %s", self._client.label, readable(item.name), item.reason
                )

    def items(self, prefix: str, *, exact: bool = False) -> Iterator[FileStat | Obstacle]:
        """Yield every file below a folder and every key that is no name, sorted."""
        folder = self._keys.folder(prefix)
        if not self._keys.can_hold(prefix):
            return
        after, raw = "", self.raw
        if raw is None or not exact:
            try:
                for meta in self._client.list(folder):
                    after = meta["path"]
                    stat = FileStat(after, meta["size"], modified_ns(meta), etag_of(meta))
                    yield from self._through_obstore(stat, folder)
            except NameRefusedError as error:
                if raw is None:
                    raise self._named(error) from error
            else:
                return
        if raw is not None:
            before = f"{folder}/" if folder else ""
            for listed in raw.keys(before, after):
                yield from self._as_stored(listed)

    def _through_obstore(self, stat: FileStat, folder: str | None) -> Iterator[FileStat | Obstacle]:
        name = self._keys.name(stat.name)
        if not name or stat.name == folder:
            return
        if is_work(name):
            yield Obstacle(name, RESERVED)
        # Consoles make an empty object "folder/" for a folder; it arrives here as "folder".
        elif stat.size or self._exists(name):
            yield stat._replace(name=name)

    def _as_stored(self, listed: Listed) -> Iterator[FileStat | Obstacle]:
        name = self._keys.name(listed.key)
        if listed.key.endswith("/") and not listed.size:
            return  # a console's mark of a folder, or of the location itself
        if name.endswith("/") or not name:
            yield Obstacle(name or listed.key, ENDS_IN_A_SLASH)
        elif reason := self._fault(name):
            yield Obstacle(name, reason)
        elif is_work(name):
            yield Obstacle(name, RESERVED)
        else:
            yield FileStat(name, listed.size, listed.modified_ns, listed.etag)

    def _fault(self, name: str) -> str:
        try:
            check_name(name)
        except InvalidNameError as error:
            return error.reason
        return self._keys.refusal(name)

    def _named(self, error: NameRefusedError) -> NameRefusedError:
        """Return the error with the key that ended the listing."""
        cause = error.__cause__ or error.__context__
        found = _NAMED.search(str(cause)) if isinstance(cause, InvalidPathError) else None
        return NameRefusedError(
            error.reason,
            operation="list",
            name=readable(found[1]) if found else "",
            storage=self._client.label,
            hint=error.hint,
        )


def _first(raw: RawListing, key: str, name: str) -> list[Listed]:
    """Return the first objects whose keys begin so; an error is about the file asked for."""
    try:
        return list(itertools.islice(raw.keys(key, page_size=_LOOK), _LOOK))
    except StorageError as error:
        raise type(error)(
            error.reason,
            operation="exists",
            name=name,
            storage=error.storage,
            hint=error.hint,
            retry_after=error.retry_after,
        ) from error
