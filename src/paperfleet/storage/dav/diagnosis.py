"""What can be looked at on any WebDAV server before a mirror works on it."""

from __future__ import annotations

import hashlib
import io
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from paperfleet.diagnosis import SECONDS, Check, not_tried, of_error, ok, problem, warning
from paperfleet.errors import CredentialsError, FileAccessError, StorageError
from paperfleet.model import ABSENT, Upload
from paperfleet.storage.transport.diagnosis import CONNECTION, AddressChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.diagnosis import CheckResult, Look
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import DavListing
    from paperfleet.storage.dav.tree import DavTree
    from paperfleet.storage.dav.trials import Trials
    from paperfleet.storage.dav.wholeputs import WholePuts
    from paperfleet.storage.protocol import SupportsCapabilities, SupportsSaveWith

    class ToldSaves(SupportsSaveWith, SupportsCapabilities, Protocol):
        """What saves, and says how."""


LOGIN, FOLDER, LISTING = "login", "folder", "listing"
MOVES, WHOLE, ROUND_TRIP = "moves", "uploads", "a file there and back"
LOGIN_SECONDS = 60.0
"""A Nextcloud lets a login wait for up to 25 s after failed ones."""
MOST_LISTED = 2000
_TRIAL_SECONDS = 90.0
_CONTENT = b"paperfleet doctor\n" * 100
_MODIFIED = 1_500_000_000 * 10**9


class DavChecks:
    """The checks of one root, with the one login that it has: a refused one ends them."""

    def __init__(self, client: DavClient, listing: DavListing, trials: Trials) -> None:
        self._client, self._listing, self._trials = client, listing, trials
        self._is_there = False

    def before(self) -> list[Check]:
        """Return the checks that need no write."""
        return [
            *AddressChecks(self._client.address).checks(),
            self._check(LOGIN, self.login, CONNECTION, LOGIN_SECONDS),
            self._check(FOLDER, self.folder, LOGIN),
            self._check(LISTING, self.listing, FOLDER, 60),
        ]

    def login(self) -> Iterator[CheckResult]:
        """Ask for the root once, with user and password (ADR 0004)."""
        try:
            found = self._listing.look("", operation="look")
        except CredentialsError as error:
            yield of_error(error)
            return
        except FileAccessError:
            yield problem(
                "the user is known, and may not read this folder",
                "Check the address, and what the server allows this user",
            )
            return
        self._is_there = found is not None
        if found is not None and not found.entry.is_folder:
            yield problem("at this address is a file", "Name the folder that is to hold the files")
        elif self._client.has_login:
            yield ok("user and password are accepted")
        else:
            yield ok("no user is set, and the server asks for none")

    def folder(self) -> Iterator[CheckResult]:
        """See whether the folder is there, or can be made."""
        if self._is_there:
            yield ok("it is there")
            return
        self._listing.check_missing("")
        yield ok("it is not there yet; the first save makes it")

    def listing(self) -> Iterator[CheckResult]:
        """List a part of what is there, as the mirror lists all of it."""
        if not self._is_there:
            yield ok("nothing is there yet")
            return
        began = time.monotonic()
        try:
            found = list(islice(self._listing.survey(""), MOST_LISTED))
        except StorageError as error:
            yield of_error(error)
            return
        refusals = [one for one in found if getattr(one, "refusal", None) is not None]
        seconds = time.monotonic() - began
        whole = "whole" if self._listing.lists_trees else "folder by folder, as it refuses more"
        more = "or more " if len(found) == MOST_LISTED else ""
        yield ok(f"{len(found):,} {more}entries in {seconds:.1f} s; trees are listed {whole}")
        if refusals:
            yield warning(
                f"{len(refusals)} folders there may not be read: what is below is left alone",
                "Let the user of the mirror read and write there",
                names=(one.name for one in refusals),
            )

    def moves(self) -> Iterator[CheckResult]:
        """Try by files of our own what a MOVE does (``Trials``)."""
        traits = self._trials.traits()
        self._trials.require_removed()
        if traits.form == "http":
            yield warning(
                "the server takes a Destination of http:// alone, as a proxy before it ends TLS;"
                " that is what it gets",
                "No need; Apache: RequestHeader edit Destination ^https: http: early",
            )
        else:
            form = "a path" if traits.form == "path" else "a URL"
            yield ok(f"the server takes the header Destination as {form}")
        if not traits.lists_dots:
            yield warning(
                "names that begin with a dot are not listed: empty folders stay, and documents of"
                " such names are refused",
                "Let the server list them",
            )
        if not traits.spares_all:
            yield warning(
                "the server ignores Overwrite: F, so there is a look before each MOVE: what"
                " somebody else puts there within those milliseconds is replaced",
                "Let nobody else write into this folder",
            )

    def whole_puts(self, whole: WholePuts) -> Iterator[CheckResult]:
        """Try whether one PUT is enough for a file (``WholePuts``)."""
        enough = whole.suffice(many=True)
        if whole.finding() is None:
            yield not_tried("the server did not let it be found out; files go by a temporary name")
        elif enough:
            yield ok("a PUT arrives whole or not at all, and conditions are honoured")
        else:
            yield ok(
                "a PUT may be seen in parts, or conditions are ignored: files go by a temporary"
                " name and a MOVE, which is slower and as safe"
            )

    def round_trip(
        self, storage: DavTree, saves: ToldSaves, purge: Callable[[str], object]
    ) -> Iterator[CheckResult]:
        """Save a file with its time, read it, move it, and delete it, in a folder of our own."""
        with self._trials.folder() as folder:
            try:
                result = self._stored(storage, saves, folder)
            except StorageError as error:
                result = of_error(error)
        yield result
        yield from self._removed(folder)
        try:
            purge(folder)
        except StorageError as error:
            yield warning(
                f"the trash keeps what begins with {folder}: {error.reason}", "Empty it by hand"
            )

    @staticmethod
    def _stored(storage: DavTree, saves: ToldSaves, folder: str) -> CheckResult:
        sha256 = hashlib.sha256(_CONTENT).hexdigest()
        upload = Upload(lambda: io.BytesIO(_CONTENT), len(_CONTENT), _MODIFIED, sha256)
        old, new = f"{folder}/{folder} a.pdf", f"{folder}/{folder} b.pdf"
        saved = saves.save_with(old, upload, ABSENT)
        with storage.open(old) as stream:
            read = stream.read()
        storage.move(old, new)
        moved = not storage.exists(old) and storage.exists(new)
        storage.delete(new)
        if read != _CONTENT:
            return problem(
                "other bytes than were sent come back", "Is there a proxy that changes it?"
            )
        if not moved:
            return problem("after a move the file is not at its new name", "See the server's log")
        hashed = "by reading them back (--verify)"
        if saves.capabilities.hashes_uploads:
            hashed = "by a hash of what arrived"
        kept = "kept" if saved.modified_ns == _MODIFIED else "not kept, and not needed"
        return ok(
            f"saved, read, moved and deleted; uploads are proven {hashed}; the time of a file is"
            f" {kept}"
        )

    def _removed(self, folder: str) -> Iterator[CheckResult]:
        """Tell when a folder of ours stays."""
        self._trials.require_removed()
        if self._listing.look(folder, operation="look") is not None:
            yield problem(
                f"the folder {folder} could not be removed",
                "Remove it by hand, and let this user delete folders there",
            )

    def writing(
        self,
        storage: DavTree,
        saves: ToldSaves,
        purge: Callable[[str], object] = lambda _: None,
    ) -> Check:
        """Return the check that writes one file.

        ``purge`` takes what was in the folder of that name out of a trash.
        """
        return self._trial(ROUND_TRIP, partial(self.round_trip, storage, saves, purge), FOLDER)

    def trying(self, whole: WholePuts) -> list[Check]:
        """Return the checks that find out, by files of our own, what a server does."""
        return [
            self._trial(MOVES, self.moves, FOLDER),
            self._trial(WHOLE, lambda: self.whole_puts(whole), MOVES),
        ]

    def _check(self, name: str, look: Look, need: str, seconds: float = SECONDS) -> Check:
        return Check(name, entered(self._client, look), (need,), seconds)

    def _trial(self, name: str, look: Look, need: str) -> Check:
        return self._check(name, look, need, _TRIAL_SECONDS)._replace(writes=True)


def entered(client: DavClient, look: Look) -> Look:
    """Return a look for which the connections of the client are open."""

    def opened() -> Iterator[CheckResult]:
        with client:
            yield from look()

    return opened
