"""Saving a small file with one PUT under its own name, where that is proven to be enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    IntegrityError,
    NameRefusedError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from paperfleet.model import BegunSave
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.content import SMALL, Outgoing, content_type

if TYPE_CHECKING:
    from paperfleet.model import FileStat, Precondition, Upload
    from paperfleet.storage.dav.arrivals import UploadCheck
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.folders import Folders
    from paperfleet.storage.dav.moving import DavMover
    from paperfleet.storage.dav.mtime import ModifiedTimes
    from paperfleet.storage.dav.target import Target
    from paperfleet.storage.dav.wholeputs import WholePuts

_STORED = {200, 201, 202, 204}


class DirectSaves:
    """Saves under the name of the file; what only looks like a refusal is left to the other way.

    For small files only (``SMALL``): they are proven before the first byte is sent, and servers
    look at a condition when the upload begins, so that the time in which somebody else's write is
    not noticed stays short. Threads of this process write a name one after the other.
    """

    def __init__(
        self,
        client: DavClient,
        folders: Folders,
        mover: DavMover,
        target: Target,
        times: ModifiedTimes,
        arrivals: UploadCheck,
        whole: WholePuts,
    ) -> None:
        self._client = client
        self._folders = folders
        self._mover = mover
        self._target = target
        self._times = times
        self._arrivals = arrivals
        self._whole = whole

    @staticmethod
    def concerns(upload: Upload, expect: Precondition) -> bool:
        """Say whether it is worth a try: not what is to be read before it is in place."""
        return upload.size <= SMALL and not upload.read_back and expect.exists is not True

    def save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | None:
        """Save; None when the server refused, so that nothing happened, and it has to say more.

        Raises ``UnavailableError`` when nobody knows whether it took effect, ``IntegrityError``
        when the server then has another size: somebody else wrote there, or it lied.
        """
        with self._mover.alone_at(name):
            begun = self._begun(name, upload, expect)
            return begun and self.ended(begun)

    def begin(self, name: str, upload: Upload, expect: Precondition) -> BegunSave | None:
        """Save, and leave the look at what arrived to ``ended``; None as in ``save``."""
        with self._mover.alone_at(name):
            return self._begun(name, upload, expect)

    def _begun(self, name: str, upload: Upload, expect: Precondition) -> BegunSave | None:
        try:
            self._folders.with_parents(name, lambda: self._put(name, upload, expect))
        except PreconditionFailedError:
            self._target.check(name, expect)
            return None  # it holds: the server calls the etag of a young file a weak one
        except (AlreadyExistsError, FileAccessError, NameRefusedError, NotFoundError):
            return None
        return BegunSave(name, upload.size, upload.modified_ns)

    def _put(self, name: str, upload: Upload, expect: Precondition) -> None:
        headers = {"Content-Type": content_type(name), "Content-Length": str(upload.size)}
        if expect.exists is False:
            headers["If-None-Match"] = "*"
        elif expect.etag is not None:
            headers["If-Match"] = expect.etag
        request = Request(
            "PUT",
            self._client.root.path_of(name),
            operation="save",
            name=name,
            headers=headers | self._times.headers(upload.modified_ns),
            body=Outgoing(upload, name=name, storage=self._client.root.url).body(),
            repeatable=False,  # its own first try may be what a condition then meets
        )
        if self._client.ask(request, _STORED).status == 202:
            reason = "the server accepted the request and did not say that it is done (HTTP 202)"
            self._whole.distrust(reason)
            raise self._client.failure(UnavailableError, reason, "save", name)

    def ended(self, begun: BegunSave) -> FileStat:
        """Look at a file that was sent; raises as ``save`` does from then on."""
        name = begun.name
        with self._target.after_effect(name):
            seen = self._times.settled(
                name, begun.modified_ns, lambda: self._arrivals.look(name, name)
            )
        if seen.size != begun.size:
            reason = f"{seen.size} bytes are there, where {begun.size} were sent"
            self._whole.distrust(reason)
            raise self._client.failure(IntegrityError, reason, "save", name)
        return seen
