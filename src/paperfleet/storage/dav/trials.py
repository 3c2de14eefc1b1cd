"""What a server does, found out by trying once with files of our own."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, NamedTuple

from paperfleet.errors import (
    BusyError,
    NotAStorageError,
    NotFoundError,
    QuotaExceededError,
    Scope,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.dav.accepted import wait_if_accepted
from paperfleet.storage.dav.answers import Answer
from paperfleet.storage.dav.arrivals import WORKING
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.temporary import trial_folder
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.folders import Folders
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.urls import DavRoot

logger = logging.getLogger(__name__)
REST = 60.0
"""Seconds until a server that was full or at work on our files is tried again."""

OPERATION = "try what the server does"
Form = Literal["url", "path", "http"]
FORMS: tuple[Form, ...] = ("url", "path", "http")
_STORED = {200, 201, 202, 204}
_ANY = set(range(200, 600)) - {401, 407, 423, 425, 429, 503, 507}
_REMOVED = {200, 202, 204, 404}
_FORM_REFUSED = {400, 403, 409, 502}
"""What servers answer to a ``Destination`` that they take for another server's."""

_PROXY_HINT = (
    "Does a proxy before the server end TLS, or change the host? Let it pass the host on, and"
    " rewrite the header Destination to what the server calls itself; Apache:"
    " RequestHeader edit Destination ^https: http: early"
)


class Traits(NamedTuple):
    """What is known of a server; each default is the careful one.

    ``form``: of ``Destination``. ``lists_dots``: listings show names with a leading dot.
    ``spares_files``, ``spares_folders``: a MOVE with ``Overwrite: F`` onto one leaves both alone.
    ``tells_parents``: a PUT into no folder is refused with a status that says so (RFC 4918, 9.7.1).
    """

    form: Form = "url"
    lists_dots: bool = False
    spares_files: bool = False
    spares_folders: bool = False
    tells_parents: bool = False

    @property
    def spares_all(self) -> bool:
        """Whether a MOVE with ``Overwrite: F`` needs no look before it."""
        return self.spares_files and self.spares_folders


NEXTCLOUD = Traits(
    "path", lists_dots=True, spares_files=True, spares_folders=True, tells_parents=True
)
CAREFUL = Traits()


class Trials:
    """Tries what a server does, once, in a folder of our own below the root; safe in threads.

    A trial costs some twelve requests, and is made before the first of those writes that depend on
    it. What failed for a reason that says nothing of the server (no answer, 5xx) raises, and is
    tried again the next time. Where no folder can be made, everything is done the careful way; for
    a while, too, where the server is full or takes long with each file.
    """

    def __init__(
        self, client: DavClient, listing: DavListing, folders: Folders, known: Traits | None
    ) -> None:
        self._client = client
        self._listing = listing
        self._folders = folders
        self._known = known
        self._rests_until = 0.0
        self._left: StorageError | None = None
        self._lock = threading.Lock()

    def traits(self) -> Traits:
        """Return what the server does; raise the ``StorageError`` for which nobody knows.

        Raises ``NotAStorageError`` for a server that takes no form of ``Destination``.
        """
        if self._known is not None:
            return self._known
        with self._lock:
            if self._known is None:
                if time.monotonic() < self._rests_until:
                    return CAREFUL
                traits, lasts = self._tried()
                if not lasts:
                    self._rests_until = time.monotonic() + REST
                    self.require_removed()
                    return traits
                self._known = traits
                self.require_removed()
        return self._known

    @property
    def may_list_dots(self) -> bool:
        """Whether names with a leading dot are listed, as far as is known; asks nothing."""
        return self._known is None or self._known.lists_dots

    @contextlib.contextmanager
    def folder(self) -> Iterator[str]:
        """Make a folder for a trial, and remove it with all in it; see ``require_removed``."""
        folder = trial_folder()
        with IN_USE.holding(folder):
            yield from self._made(folder)

    def _made(self, folder: str) -> Iterator[str]:
        self._folders.make(folder)
        try:
            yield folder
        finally:
            path = self._client.root.path_of(folder, folder=True)
            try:
                self._client.ask(Request("DELETE", path, operation=OPERATION), _REMOVED)
            except StorageError as error:
                logger.warning("%s stays at the target until the next sweep: %s", path, error)
                self._left = error

    def require_removed(self) -> None:
        """Raise ``UnavailableError``, once, when a trial's folder stays for what passes by itself.

        Whoever gets it does not know what is at the server, and sweeps. What keeps the folder for
        good stops nobody.
        """
        left, self._left = self._left, None
        if left is not None and left.transient:
            reason = f"a folder in which the server was tried stays: {left.reason}"
            raise self._client.failure(UnavailableError, reason, OPERATION, "")

    def _tried(self) -> tuple[Traits, bool]:
        """Return what was found, and whether that lasts."""
        try:
            with self.folder() as folder:
                traits = self._tried_in(folder)
        except QuotaExceededError:
            return CAREFUL, False  # deletes have to go on, for they make room
        except (BusyError, NotFoundError) as error:  # some show a file only after a while
            logger.info("%s is tried again later: %s", self._client.root.url, error)
            return CAREFUL, False
        except StorageError as error:
            if error.scope is Scope.STORAGE or error.transient:
                raise
            logger.warning(
                "%s could not be tried, so that folders stay and moves are slower: %s",
                self._client.root.url,
                error,
            )
            return CAREFUL, True
        self._tell(traits)
        return traits, True

    def _tried_in(self, folder: str) -> Traits:
        for name in ("b", "e", ".a"):
            self._put(f"{folder}/{name}", accept=_STORED if name != ".a" else _ANY)
        form = self._form(folder)
        self._put(f"{folder}/b")
        self._folders.make(f"{folder}/d")
        onto_file = self._moved(f"{folder}/b", f"{folder}/c", form)
        onto_folder = self._moved(f"{folder}/e", f"{folder}/d", form)
        below_nothing = self._put(f"{folder}/none/x", accept=_ANY)
        names = self._names(folder)
        return Traits(
            form,
            lists_dots=".a" in names,
            spares_files=_refused(onto_file) and "b" in names,
            spares_folders=_refused(onto_folder) and {"e", "d"} <= names,
            tells_parents=below_nothing.is_done or _refused(below_nothing),
        )

    def _form(self, folder: str) -> Form:
        """Return the form of ``Destination`` by which a file is seen to move."""
        refusals = list[Answer]()
        for form in FORMS if self._client.root.origin.startswith("https:") else FORMS[:2]:
            answer = self._moved(f"{folder}/b", f"{folder}/c", form)
            if answer.is_done:
                if self._arrived(answer, folder):
                    return form
                self._put(f"{folder}/b")  # wherever the other one went
            refusals.append(answer)
        raise self._no_form(refusals)

    def _arrived(self, answer: Answer, folder: str) -> bool:
        wait_if_accepted(self._client, answer, lambda: "c" in self._names(folder), OPERATION, "")
        return "c" in self._names(folder)

    def _no_form(self, refusals: list[Answer]) -> StorageError:
        first = refusals[0]
        if not first.is_done and first.status not in _FORM_REFUSED:
            return self._client.error(first, Request("MOVE", "", operation=OPERATION))
        told = ", ".join(f"HTTP {answer.status}" for answer in refusals)
        unclear = all(answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR for answer in refusals)
        kind = UnavailableError if unclear else NotAStorageError
        return kind(
            f"the server takes no form of the header Destination of a MOVE ({told})",
            operation=OPERATION,
            storage=self._client.root.url,
            hint=_PROXY_HINT,
        )

    def _moved(self, old: str, new: str, form: Form) -> Answer:
        root = self._client.root
        headers = {"Destination": destination(root, new, form), "Overwrite": "F"}
        request = Request("MOVE", root.path_of(old), operation=OPERATION, name=old, headers=headers)
        for pause in WORKING:
            try:
                return self._client.ask(request, _ANY)
            except BusyError as error:
                if not error.at_work:
                    raise
                time.sleep(pause)
        return self._client.ask(request, _ANY)

    def _put(self, name: str, accept: set[int] = _STORED) -> Answer:
        request = Request(
            "PUT",
            self._client.root.path_of(name),
            operation=OPERATION,
            headers={"Content-Length": "1"},
            body=lambda: b"x",
            repeatable=True,
        )
        return self._client.ask(request, accept)

    def _names(self, folder: str) -> set[str]:
        _, children = self._listing.children(folder, operation=OPERATION)
        return {child.name.rpartition("/")[2] for child in children if child.refusal is None}

    def _tell(self, traits: Traits) -> None:
        url = self._client.root.url
        if not traits.lists_dots:
            logger.warning(
                "%s does not list names that begin with a dot: empty folders stay there, as"
                " somebody's hidden file may be in them",
                url,
            )
        if not traits.spares_files:
            logger.warning(
                "%s ignores Overwrite: F: there is a look before each MOVE, yet a file that"
                " somebody else writes within those milliseconds would be replaced",
                url,
            )


def destination(root: DavRoot, name: str, form: Form, *, folder: bool = False) -> str:
    """Return the header ``Destination`` (RFC 4918, 10.3) for a name below the root.

    ``http`` is the address as a server knows it that stands behind a proxy which ends TLS.
    """
    path = root.path_of(name, folder=folder)
    if form == "path":
        return path
    origin = root.origin
    return (f"http:{origin.partition(':')[2]}" if form == "http" else origin) + path


def _refused(answer: Answer) -> bool:
    """Say whether the server refused by intent; a 5xx says nothing."""
    return 400 <= answer.status < 500
