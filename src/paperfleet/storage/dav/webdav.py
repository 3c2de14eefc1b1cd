"""Any WebDAV server: files arrive under a temporary name, or at once where that is proven safe."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    ArrivedDamagedError,
    BusyError,
    FileAccessError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.model import ANYTHING, FileStat
from paperfleet.storage.dav.able import ABLE, KEEPS_MODIFIED
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.arrivals import WORKING, UploadCheck
from paperfleet.storage.dav.client import DavClient, Request
from paperfleet.storage.dav.content import Outgoing, content_type, upload_of
from paperfleet.storage.dav.diagnosis import DavChecks
from paperfleet.storage.dav.direct import DirectSaves
from paperfleet.storage.dav.drafts import Drafts
from paperfleet.storage.dav.files import open_file
from paperfleet.storage.dav.listing import DavListing
from paperfleet.storage.dav.mtime import ModifiedTimes
from paperfleet.storage.dav.seeing import SavesSeen
from paperfleet.storage.dav.target import Target
from paperfleet.storage.dav.tidying import Temporaries
from paperfleet.storage.dav.tree import DavTree
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.dav.wholeputs import WholePuts
from paperfleet.storage.hashing import sha256_in
from paperfleet.storage.transport.patience import LOWEST_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from paperfleet.diagnosis import Check
    from paperfleet.model import BegunSave, Capabilities, Precondition, Upload
    from paperfleet.secret import Secret
    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.transport.exchange import Transport

STORED = {200, 201, 202, 204}
SERVER_ERROR = 500


class WebDavBackend(DavTree):
    """Documents on a WebDAV server (RFC 4918), below one folder.

    A save is a PUT to a temporary name in the same folder, a look whether all has arrived, and a
    MOVE into place, as most servers show a PUT while it runs and leave half of a cut one. Nobody
    ever reads a part; yet many servers delete the old file right before they move the new one into
    its place, so that who looks within those milliseconds may find none. The last folder of the
    address is made on the first save when it is missing.

    An upload that the server still works on (antivirus, previews) is waited for. Where that takes
    too long, the temporary file stays, and the next save of the same content only puts it in place.

    Conditions are looked up right before the MOVE, not with it: another writer of the same name
    within those milliseconds is not noticed, except for ``exists=False``, which the MOVE itself
    ensures where the server honours ``Overwrite: F``.

    Where it is proven that a server takes a PUT whole or not at all and honours its conditions
    (``paperfleet.storage.dav.wholeputs``), a file of up to a MiB is saved by one conditional PUT
    under its own name and a look at what arrived. Such a condition is looked at when the upload
    begins. What is to be read back goes the other way.

    What a server does is found out by trying once, in a folder of its own in the root, when the
    first file is saved or moved, or the first folder removed (``paperfleet.storage.dav.trials``).
    Where listings leave out names that begin with a dot, temporary names have none, no folder is
    ever removed, and a document of such a name is refused.

    Raises ``ConfigurationError`` for an address that cannot be used (see ``parse_root``).
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
    ) -> None:
        client = DavClient(
            parse_root(url, allow_plain_http=allow_plain_http),
            username=username,
            password=password,
            verify=verify,
            certificate=certificate,
            timeout=timeout,
            lowest_rate=lowest_rate,
            connections=connections,
            transport=transport,
        )
        super().__init__(client, DavListing(client), trusted=False)
        self._times = ModifiedTimes(client)
        self._temporaries = Temporaries(client, self._listing)
        self._drafts = Drafts(self._temporaries)
        self._target = Target(client, self._listing)
        self._arrivals = UploadCheck(client, self._listing)
        self._whole = WholePuts(client, self._listing, self._trials)
        self._direct = DirectSaves(
            client,
            self._folders,
            self._mover,
            self._target,
            self._times,
            self._arrivals,
            self._whole,
        )
        self._seen = SavesSeen(self._listing, self._direct, self._target)
        self._moves_keep_etag: bool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do, without a request.

        ``keeps_modified`` is learned from the first file that is saved with a time.
        """
        return KEEPS_MODIFIED if self._times.kept else ABLE

    def save(self, name: str, content: IO[bytes]) -> str:
        """Store all that ``content`` yields, replacing what was there; return the name."""
        name = self._new_name(name, "save")
        with upload_of(content) as upload:
            return self.save_with(name, upload, ANYTHING).name

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save under a condition; return what the server then has (see ``SupportsSaveWith``)."""
        name = self._new_name(name, "save")
        if self._goes_directly(name, upload, expect):
            stored = self._direct.save(name, upload, expect)
            if stored is not None:
                return stored
        return self._save_aside(name, upload, expect)

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | BegunSave:
        """Save; leave the look to ``end_saves`` where one PUT was enough (``SupportsSaveInTwo``).

        Until then another write of that name and size, also of this process, is taken for ours.
        """
        if not self._times.comes_with_upload(upload.modified_ns):
            return self.save_with(name, upload, expect)
        name = self._new_name(name, "save")
        if self._goes_directly(name, upload, expect, many=True):
            begun = self._direct.begin(name, upload, expect)
            if begun is not None:
                return begun
        return self._save_aside(name, upload, expect)

    def end_saves(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        """Look at what arrived, by one listing for several files of a folder."""
        return self._seen.end(begun)

    def _goes_directly(
        self, name: str, upload: Upload, expect: Precondition, *, many: bool = False
    ) -> bool:
        """Say whether one PUT is to be tried; raise for a name that listings would hide."""
        traits = self._trials.traits()
        self._check_shown(name, lists_dots=traits.lists_dots)
        direct = traits.tells_parents and self._direct.concerns(upload, expect)
        return direct and not self._drafts.has(name) and self._whole.suffice(many=many)

    def _save_aside(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """Save by way of a temporary name."""
        lists_dots = self._trials.traits().lists_dots
        with self._drafts.draft(name, upload, listed=not lists_dots) as draft:
            temporary, sent = draft.temporary, upload.sha256 or ""
            if draft.uploaded:
                draft.uploaded = self._listing.look(temporary, operation="save") is not None
            if not draft.uploaded:
                doubts = iter([True])
                sent = self._folders.with_parents(
                    name, lambda: self._put(temporary, name, upload, doubts)
                )
                draft.uploaded = True
            arrived = self._arrived(temporary, name, upload)
            if upload.read_back:
                arrived = self._read_back(temporary, name, arrived, sent)
            self._place(temporary, name, arrived, expect)
        return self._placed(name, arrived)

    def _put(self, temporary: str, name: str, upload: Upload, doubts: Iterator[bool]) -> str:
        """Send the content; return the SHA-256 of what was sent."""
        outgoing = Outgoing(upload, name=name, storage=self.label)
        body = outgoing.body()
        headers = {"Content-Type": content_type(name), "Content-Length": str(upload.size)}
        request = Request(
            "PUT",
            self._root.path_of(temporary),
            operation="save",
            name=name,
            headers=headers | self._times.headers(upload.modified_ns),
            body=body,
            repeatable=True,
        )
        unclear = set() if self._trials.traits().tells_parents else {SERVER_ERROR}
        answer = self._client.ask(request, accept=STORED | unclear)
        if answer.status in unclear:
            raise self._without_parent(answer, request, doubts)
        wait_if_accepted(
            self._client, answer, lambda: self._has_come(temporary, upload), "save", name
        )
        return upload.sha256 or outgoing.sha256

    def _without_parent(
        self, answer: Answer, request: Request, doubts: Iterator[bool]
    ) -> StorageError:
        """Return what 500 means where the server answers so when a folder above is missing.

        When it is there now, somebody else may have made it since: ``doubts`` says how often.
        """
        error = self._client.error(answer, request)
        if not isinstance(error, UnavailableError):
            return error
        if self._folders.lack_parent(request.name) or next(doubts, False):
            reason = "a folder above it may be missing"
            return self._client.failure(NotFoundError, reason, "save", request.name)
        return error

    def _has_come(self, temporary: str, upload: Upload) -> bool:
        found = self._listing.look(temporary, operation="save")
        return found is not None and found.stat.size == upload.size

    def _read_back(self, temporary: str, name: str, arrived: FileStat, sent: str) -> FileStat:
        """Return the stat with the proven hash; raise ``IntegrityError`` for other bytes."""
        with open_file(self._client, self._root.path_of(temporary), arrived) as stream:
            found = sha256_in(stream)
        if found != sent:
            reason = "the server has other bytes than were sent"
            raise self._client.failure(ArrivedDamagedError, reason, "save", name)
        return arrived._replace(sha256=sent)

    def _arrived(self, temporary: str, name: str, upload: Upload) -> FileStat:
        """Return what the complete temporary file is; raise ``IntegrityError``."""
        arrived = self._times.settled(
            temporary, upload.modified_ns, lambda: self._arrivals.look(temporary, name)
        )
        if arrived.size != upload.size:
            reason = f"{arrived.size} of {upload.size} bytes arrived"
            raise self._client.failure(IntegrityError, reason, "save", name)
        return arrived

    def _place(self, temporary: str, name: str, arrived: FileStat, expect: Precondition) -> None:
        if expect.etag is None and expect.exists is not True:
            try:
                self._move_into(temporary, name, arrived, overwrite=False)
            except AlreadyExistsError:
                if expect.exists is False:
                    raise
            else:
                return
        self._target.check(name, expect)  # a MOVE over a folder would take all of it away
        self._move_into(temporary, name, arrived, overwrite=True)

    def _move_into(self, temporary: str, name: str, arrived: FileStat, *, overwrite: bool) -> None:
        """Put it in place; where the server still works on the file, wait for it."""
        for pause in WORKING:
            try:
                self._move_once(temporary, name, arrived, overwrite=overwrite)
            except BusyError as error:
                if not error.at_work:
                    raise
                time.sleep(pause)
            else:
                return
        self._move_once(temporary, name, arrived, overwrite=overwrite)

    def _move_once(self, temporary: str, name: str, arrived: FileStat, *, overwrite: bool) -> None:
        try:
            refusal = self._tried_move(temporary, name, overwrite=overwrite)
            if refusal is not None:
                raise refusal if overwrite else self._taken_or(refusal, name)
        except UnavailableError as error:
            if self._has_moved(temporary, name, arrived, error):
                return
            raise
        except AlreadyExistsError as error:
            if overwrite:
                raise self._cannot_replace(name) from error
            raise

    def _has_moved(
        self, temporary: str, name: str, arrived: FileStat, unclear: UnavailableError
    ) -> bool:
        """Say whether an unanswered MOVE took effect; raise ``unclear`` when nobody knows."""
        try:
            if self._listing.look(temporary, operation="save") is not None:
                return False
            found = self._listing.look(name, operation="save")
        except StorageError as error:
            raise unclear from error
        return found is not None and found.stat.size == arrived.size

    def _cannot_replace(self, name: str) -> FileAccessError:
        return FileAccessError(
            "the server cannot replace a file by MOVE",
            operation="save",
            name=name,
            storage=self.label,
            hint="RFC 4918, 9.9.3 asks for it; without it no file could be replaced as a whole",
        )

    def _placed(self, name: str, arrived: FileStat) -> FileStat:
        """Return what the server has now; looks until it is known that MOVE keeps the etag."""
        if self._moves_keep_etag:
            return arrived._replace(name=name)
        found = self._target.written(name)
        if self._moves_keep_etag is None:
            self._moves_keep_etag = found.etag == arrived.etag
        return found._replace(sha256=arrived.sha256)

    def checks(self) -> list[Check]:
        """Return what can be looked at (``SupportsChecks``)."""
        look = DavChecks(self._client, self._listing, self._trials)
        return [*look.before(), *look.trying(self._whole), look.writing(self, self)]

    def findings(self) -> Mapping[str, object] | None:
        """Return what was found out by trying (``SupportsFindings``)."""
        return self._whole.finding()

    def adopt_findings(self, kept: object) -> None:
        """Rely upon it where the server is the same one (``SupportsFindings``)."""
        self._whole.adopt(kept)

    def delete_if(self, name: str, etag: str) -> None:
        """Delete only the state with this etag: a look, and DELETE on the condition of it.

        Raises ``PreconditionFailedError`` otherwise, ``NotFoundError`` when there is no such file.
        A server that does not know its own etags is asked without the condition, right after the
        look.
        """
        name = self._checked(name, "delete")
        found = self._found(name, "delete")
        if found.entry.etag != etag:
            raise self._client.failure(
                PreconditionFailedError, "it has changed meanwhile", "delete", name
            )
        self._remover.remove_file(found)

    def sweep(self, older_than: float) -> int:
        """Remove temporary files that cut-off saves left, older than so many seconds."""
        return self._temporaries.sweep(older_than, self._drafts)
