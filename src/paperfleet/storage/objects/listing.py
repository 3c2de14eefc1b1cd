"""What a bucket holds below a folder: files, and keys that are no names of files."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from obstore.exceptions import InvalidPathError

from paperfleet.errors import InvalidNameError, NameRefusedError
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.names import RESERVED, check_name, readable
from paperfleet.storage.objects.client import etag_of, modified_ns
from paperfleet.storage.objects.keys import is_work
from paperfleet.storage.objects.raw import can_list, list_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.storage.objects.across import Service
    from paperfleet.storage.objects.client import ObjectClient
    from paperfleet.storage.objects.raw import Listed

logger = logging.getLogger(__name__)
_NAMED = re.compile(r'[Pp]ath "((?:[^"\\]|\\.)*)"')
ENDS_IN_A_SLASH = "the key ends in '/', and the object has content: no file is named so"


class Listing:
    """Lists one location.

    ``exact`` listings ask the store itself where address and key are known (any S3): only they see
    a slash at the end of a key. Others ask through obstore, and go on by themselves at a key that
    obstore takes for no path. Where neither can be, such a key ends the listing, and is named.
    """

    def __init__(
        self, client: ObjectClient, service: Service | None, exists: Callable[[str], bool]
    ) -> None:
        self._client, self._keys = client, client.keys
        self._service = service if service is not None and can_list(service) else None
        self._exists = exists
        self._told: set[str] = set()

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
        after = ""
        if not (exact and self._service):
            try:
                for meta in self._client.list(folder):
                    after = meta["path"]
                    stat = FileStat(after, meta["size"], modified_ns(meta), etag_of(meta))
                    yield from self._through_obstore(stat, folder)
            except NameRefusedError as error:
                if self._service is None:
                    raise self._named(error) from error
            else:
                return
        if self._service:
            before = f"{folder}/" if folder else ""
            for listed in list_keys(self._service, before, after, self._client.label):
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
