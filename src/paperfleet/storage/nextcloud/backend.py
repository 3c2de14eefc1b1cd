"""Nextcloud: files in place with their history, proof of arrival, chunks, batches, folder etags."""

from __future__ import annotations

import logging
import unicodedata
from typing import IO, TYPE_CHECKING

from paperfleet.errors import NotFoundError, PreconditionFailedError
from paperfleet.model import ANYTHING, Capabilities, FolderListing, FolderStat
from paperfleet.storage.dav.client import DavClient, Request
from paperfleet.storage.dav.content import upload_of
from paperfleet.storage.dav.diagnosis import FOLDER, LISTING, LOGIN, DavChecks
from paperfleet.storage.dav.listing import DavListing
from paperfleet.storage.dav.login import is_app_password
from paperfleet.storage.dav.multistatus import ETAG_ONLY, NEXTCLOUD_PROPERTIES
from paperfleet.storage.dav.target import Target
from paperfleet.storage.dav.tidying import Temporaries
from paperfleet.storage.dav.tree import DavTree
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.names import is_temporary
from paperfleet.storage.nextcloud.batching import save_batch
from paperfleet.storage.nextcloud.bulk import Bulk
from paperfleet.storage.nextcloud.chunked_saves import ChunkedSaves
from paperfleet.storage.nextcloud.chunks import Chunks
from paperfleet.storage.nextcloud.diagnosis import FAILED_LOGINS, SERVER, CloudChecks
from paperfleet.storage.nextcloud.puts import Puts
from paperfleet.storage.nextcloud.saving import CloudSaves, LongNameSaves
from paperfleet.storage.nextcloud.server import Cloud, cloud_address
from paperfleet.storage.nextcloud.stored_hash import StoredHash
from paperfleet.storage.transport.patience import LOWEST_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.diagnosis import Check
    from paperfleet.errors import StorageError
    from paperfleet.model import BatchFile, FileStat, Obstacle, Precondition, Upload
    from paperfleet.secret import Secret
    from paperfleet.storage.transport.exchange import Transport

logger = logging.getLogger(__name__)
MEGABYTE = 1 << 20


class NextcloudBackend(DavTree):
    """Documents in a folder of a Nextcloud user; a file keeps its id, shares and versions.

    ``url`` is the WebDAV address of that folder
    (``https://cloud.example/remote.php/dav/files/USER/Folder``). Nothing is asked of the server
    before it is needed.

    How a file is saved:

    * A new one by one PUT with ``If-None-Match: *``: Nextcloud shows it when it is whole.
    * One over an existing file by PUT up to 1 MB. Nextcloud writes such a PUT in place, so that a
      cut one may leave damaged bytes while the listing shows the old size and etag. It ends in
      ``UnavailableError``: the content then has to be looked at (``content_sha256``) or sent again.
      It costs one request instead of five.
    * A larger one over an existing file, and any file above ``chunk_threshold`` bytes, in chunks of
      ``chunk_size`` bytes and one MOVE, which replaces the file as a whole. When it is cut off, a
      later attempt with the same content goes on where it ended. The etag that is expected of the
      target is looked up right before that MOVE; who writes in between (some 20 ms) is not noticed,
      yet their content stays in the versions, where the server keeps any.
    * A name of 228 to 250 bytes under a short name and a MOVE, as Nextcloud takes no longer one in
      an upload. Replacing such a file loses its id and versions, unless it can go by the endpoint
      for batches.

    What the server received is compared by SHA-256 with what was sent, after chunks with what it
    stored. Names are sent and returned in NFC.

    Raises ``ConfigurationError`` for an address that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: Secret | None = None,
        allow_plain_http: bool = False,
        verify: bool | str = True,
        certificate: str | None = None,
        timeout: float = 60,
        lowest_rate: float = LOWEST_RATE,
        connections: int = 8,
        transport: Transport | None = None,
        chunk_size: int = 10 * MEGABYTE,
        chunk_threshold: int = 20 * MEGABYTE,
        bulk: bool = True,
    ) -> None:
        given = parse_root(url, allow_plain_http=allow_plain_http)
        address = cloud_address(given, username)
        client = DavClient(
            address.root,
            username=username,
            password=password,
            verify=verify,
            certificate=certificate,
            timeout=timeout,
            lowest_rate=lowest_rate,
            connections=connections,
            transport=transport,
        )
        super().__init__(
            client,
            DavListing(client, properties=NEXTCLOUD_PROPERTIES, trusted=True),
            trusted=True,
            folder_conditions=False,
        )
        if password and not is_app_password(password):
            logger.warning(
                "the password does not look like an app password of Nextcloud: checking the"
                " account's own takes it twenty times longer. Make one under Settings, Security"
            )
        self._cloud = Cloud(client, address)
        client.explain = self._cloud.explain
        client.is_momentary = self._cloud.is_momentary
        self._password = password
        self._address = address
        self._bulk = Bulk(client, self._cloud, address, wanted=bulk)
        self._temporaries = Temporaries(client, self._listing)
        self._stored_hash = StoredHash(client, self.open)
        self._target = target = Target(client, self._listing)
        chunks = Chunks(client, address, chunk_size=chunk_size)
        chunked = ChunkedSaves(client, chunks, target, self._folders, self._stored_hash)
        self._puts = Puts(client)
        self._saves = CloudSaves(
            target, self._folders, self._puts, chunked, chunk_threshold=chunk_threshold
        )
        self._long_names = LongNameSaves(
            self._saves, target, self._mover, self._temporaries, self._bulk
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do, without a request.

        ``save_batch`` ends when the server turns out not to have it.
        """
        return Capabilities(
            stat=True,
            list_stats=True,
            survey=True,
            save_with=True,
            save_batch=self._bulk.works,
            conditional_delete=True,
            move_folder=True,
            folders=True,
            folder_etags=True,
            content_hash=True,
            sweep=True,
            free_space=True,
            end_requests=True,
            checks=True,
            hashes_uploads=self._puts.hashes,
            keeps_modified=True,
            keeps_versions=None,
            unicode_form="NFC",
        )

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name in NFC."""
        name = self._new_name(name, "save")
        with upload_of(content) as upload:
            return self.save_with(name, upload, ANYTHING).name

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save under a condition; return what the server says it has (see the class)."""
        name = self._new_name(name, "save")
        saves = self._long_names if self._long_names.concerns(name) else self._saves
        return saves.save(name, upload, expect)

    def save_batch(self, files: Sequence[BatchFile]) -> list[FileStat | StorageError]:
        """Save many small files with one request; one result for each, in their order.

        What the endpoint does not take or refuses is sent by itself, which also gives the exact
        error. Folders are not made. ``UnavailableError`` as a result says that the outcome is
        unknown. Raises a ``StorageError`` when nothing at all was stored.
        """
        return save_batch(
            self._bulk,
            files,
            check=self._new_name,
            has_folder=self._target.is_folder,
            save=self.save_with,
        )

    def delete_if(self, name: str, etag: str) -> None:
        """Delete only the state with this etag, with one request.

        Raises ``PreconditionFailedError`` otherwise, ``NotFoundError`` when there is no such file.
        """
        name = self._checked(name, "delete")
        headers = {"If-Match": etag}
        request = Request(
            "DELETE", self._root.path_of(name), operation="delete", name=name, headers=headers
        )
        try:
            self._client.ask(request, accept={200, 204})
        except PreconditionFailedError:
            self._found(name, "delete")
            raise

    def folder_etag(self, name: str = "") -> str:
        """Return the etag of a folder, which changes with anything below it; one request.

        Raises ``NotFoundError``.
        """
        name = self._checked_prefix(name)
        found = self._listing.look(name, operation="look", properties=ETAG_ONLY)
        if found is None or not found.entry.is_folder:
            raise self._client.failure(NotFoundError, "there is no such folder", "look", name)
        return found.entry.etag or ""

    def list_folder(self, name: str = "") -> FolderListing:
        """Return the direct children of a folder with one request; raise ``NotFoundError``."""
        folder, children = self._listing.children(self._checked_prefix(name), operation="list")
        shown = [child for child in children if not is_temporary(child.name)]
        told = [child for child in shown if child.refusal is None]
        return FolderListing(
            folder.entry.etag or "",
            tuple(child.stat for child in told if not child.entry.is_folder),
            tuple(
                FolderStat(child.name, child.entry.etag or "")
                for child in told
                if child.entry.is_folder
            ),
            tuple(child.obstacle for child in shown if child.refusal is not None),
        )

    def list_tree(self, name: str = "") -> Iterator[FileStat | FolderStat | Obstacle]:
        """Yield a folder itself and all below it; raise ``NotFoundError``.

        In one request, or one for each folder where the server refuses to list one of them: then it
        lists no whole tree (seen with 34.0.1).
        """
        for found in self._listing.tree(self._checked_prefix(name)):
            if found.refusal is not None:
                yield found.obstacle
            elif found.entry.is_folder:
                yield FolderStat(found.name, found.entry.etag or "")
            else:
                yield found.stat

    def content_sha256(self, name: str) -> str:
        """Return the SHA-256 of the stored bytes as the server reads them.

        By PATCH with ``X-Recalculate-Hash``; a server without it is read back. Raises
        ``NotFoundError``.
        """
        return self._stored_hash.sha256(self._checked(name, "hash"))

    def keeps_versions(self, name: str) -> bool:
        """Say whether what a save of this name replaces stays as a version.

        That needs the server's app "Versions", which is asked for and believed for some minutes
        (for how long versions are kept, the server does not tell), and a name that needs no MOVE
        over the old file (see the class): such a MOVE takes the versions with it.
        """
        name = self._checked(name, "ask")
        return not LongNameSaves.concerns(name) and self._cloud.keeps_versions()

    def free_bytes(self) -> int | None:
        """Return how many bytes of the user's quota are left; None without a quota."""
        return self._cloud.free_bytes()

    def checks(self) -> list[Check]:
        """Return what can be looked at (``SupportsChecks``)."""
        cloud = CloudChecks(self._client, self._cloud, self._address, self._password)
        look = DavChecks(self._client, self._listing, self._trials)
        asked = {check.name: check for check in look.before()}
        login = asked.pop(LOGIN)._replace(needs=(SERVER, FAILED_LOGINS))
        files = [asked.pop(FOLDER), asked.pop(LISTING)]
        return [
            *asked.values(),
            *cloud.before_login(),
            login,
            *cloud.after_login(),
            *files,
            look.writing(self, self, cloud.purge),
        ]

    def sweep(self, older_than: float) -> int:
        """Remove temporary files that cut-off saves left, older than so many seconds."""
        return self._temporaries.sweep(older_than)

    def _checked(self, name: str, operation: str) -> str:
        return unicodedata.normalize("NFC", super()._checked(name, operation))

    def _checked_prefix(self, prefix: str) -> str:
        return unicodedata.normalize("NFC", super()._checked_prefix(prefix))

    def _new_name(self, name: str, operation: str) -> str:
        name = super()._new_name(name, operation)
        self._cloud.check_new(name, operation)
        return name
