"""The Nextcloud around a folder: its other addresses, its capabilities, the names it takes."""

from __future__ import annotations

import threading
import time
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from paperfleet.errors import (
    ConfigurationError,
    FileAccessError,
    MaintenanceError,
    NameRefusedError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.dav.client import Request, is_locked
from paperfleet.storage.dav.multistatus import QUOTA_ONLY, read_entries
from paperfleet.storage.dav.urls import DavRoot, encode
from paperfleet.storage.dav.values import json_of, part_of, texts_of

if TYPE_CHECKING:
    from paperfleet.storage.dav.answers import Answer
    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.login import Identity

LONGEST_UPLOADED = 227
"""Bytes of a name that a new PUT or chunked upload may have: a longer one is made on the way."""

LONGEST = 250
"""Bytes of a name in Nextcloud's file cache."""

_RACES = 2
STATUS_TIMEOUT = 10.0

BELIEVED = 300.0
"""Seconds for which the server's word on versions is relied upon: an app can be switched off."""


@dataclass(frozen=True, slots=True)
class CloudAddress:
    """Where things are on one Nextcloud, as encoded paths.

    ``base`` is what precedes ``/remote.php``, ``user`` the id in the path of the files, ``folder``
    the decoded name of the root folder within them, '' for all files.
    """

    root: DavRoot
    base: str
    user: str
    folder: str

    @property
    def uploads(self) -> str:
        """The folder of unfinished uploads, with closing slash."""
        return f"{self.base}/remote.php/dav/uploads/{encode(self.user)}/"

    @property
    def trash(self) -> str:
        """The list of what the user has deleted, with closing slash."""
        return f"{self.base}/remote.php/dav/trashbin/{encode(self.user)}/trash/"

    @property
    def files(self) -> str:
        """The folder of all files of the user, with closing slash."""
        return f"{self.base}/remote.php/dav/files/{encode(self.user)}/"

    @property
    def bulk(self) -> str:
        """The endpoint for many files at once."""
        return f"{self.base}/remote.php/dav/bulk"

    def path_in_files(self, name: str) -> str:
        """Return the decoded path of a name from the user's files on: ``/Folder/a.pdf``."""
        return f"/{self.folder}/{name}" if self.folder else f"/{name}"


def cloud_address(root: DavRoot, username: str | None) -> CloudAddress:
    """Return what a WebDAV address of Nextcloud is made of, its names in NFC.

    ``/remote.php/webdav/…`` means the files of the user who logs in. Raises ``ConfigurationError``
    for any other address.
    """
    segments = [
        unicodedata.normalize("NFC", unquote(part)) for part in root.path.split("/") if part
    ]
    if "remote.php" not in segments:
        raise _not_nextcloud(root)
    at = segments.index("remote.php")
    base = "".join("/" + encode(segment) for segment in segments[:at])
    below = segments[at + 1 :]
    if below[:1] == ["webdav"] and username:
        below = ["dav", "files", username, *below[1:]]
    if below[:2] != ["dav", "files"] or len(below) < 3:
        raise _not_nextcloud(root)
    path = "".join("/" + encode(segment) for segment in ["remote.php", *below]) + "/"
    return CloudAddress(DavRoot(root.origin, base + path), base, below[2], "/".join(below[3:]))


def _not_nextcloud(root: DavRoot) -> ConfigurationError:
    return ConfigurationError(
        f"{root.url} is not the WebDAV address of a Nextcloud folder",
        hint="It looks like https://cloud.example/remote.php/dav/files/USER/Folder",
    )


@dataclass(frozen=True, slots=True)
class NameRules:
    """Which names Nextcloud does not take; compared in lower case."""

    characters: frozenset[str] = frozenset("\\")
    names: frozenset[str] = frozenset({".htaccess"})
    stems: frozenset[str] = frozenset()
    endings: tuple[str, ...] = (".part",)

    def fault(self, segment: str) -> str:
        """Return what is wrong with one segment of a name, '' for nothing."""
        lower = segment.lower()
        bad = next((c for c in segment if c in self.characters or ord(c) < ord(" ")), "")
        if bad:
            return f"Nextcloud takes no {bad!r} in a name"
        stem = lower.partition(".")[0]
        if lower in self.names:
            return f"Nextcloud takes no file named {lower!r}"
        if stem in self.stems:
            return f"Nextcloud takes no file named {stem!r}, with any ending"
        ending = next((one for one in self.endings if lower.endswith(one)), "")
        if ending:
            return f"Nextcloud takes no name that ends in {ending!r}"
        if len(segment.encode()) > LONGEST:
            return f"the name has more than {LONGEST} bytes"
        return ""


class Cloud:
    """What a Nextcloud says of itself: asked for when it is needed, and once."""

    def __init__(self, client: DavClient, address: CloudAddress) -> None:
        self._client = client
        self._address = address
        self._capabilities: object = None
        self._asked: float | None = None
        self._rules = NameRules()
        self._lock = threading.Lock()

    def capability(self, app: str, key: str) -> object:
        """Return one of the server's capabilities, None where it has none of that name."""
        with self._lock:
            return self._known(app, key)

    def keeps_versions(self) -> bool:
        """Say whether the server keeps versions of files; asks again after ``BELIEVED`` seconds."""
        with self._lock:
            if self._asked is not None and time.monotonic() >= self._asked + BELIEVED:
                self._asked = None
            return self._known("files", "versioning") is True

    def _known(self, app: str, key: str) -> object:
        if self._asked is None:
            self._capabilities = self.ask_capabilities()
            self._asked = time.monotonic()
            self._rules = _rules(self._capabilities)
        return part_of(self._capabilities, app, key)

    def check_new(self, name: str, operation: str) -> None:
        """Raise ``NameRefusedError`` for a name that is known to be refused; asks nothing.

        Uses the server's own rules once its capabilities have been read.
        """
        for segment in name.split("/"):
            fault = self._rules.fault(segment)
            if fault:
                raise NameRefusedError(
                    fault,
                    operation=operation,
                    name=name,
                    storage=self._address.root.url,
                    hint="Rename it at the source",
                )

    def explain(self, answer: Answer, error: StorageError) -> StorageError:
        """Tell maintenance from other reasons of a 503, by asking ``status.php``."""
        if type(error) is not UnavailableError or answer.status != 503:
            return error
        if not self._in_maintenance():
            return error
        return MaintenanceError(
            "the server is in maintenance mode",
            operation=error.operation,
            name=error.name,
            storage=error.storage,
            retry_after=error.retry_after,
        )

    def free_bytes(self) -> int | None:
        """Return what is left of the user's quota, None without one.

        Only the folder of all files tells it; those below say -3 (seen with 34.0.1).
        """
        root = DavRoot(self._address.root.origin, self._address.files)
        request = Request(
            "PROPFIND",
            root.path,
            operation="ask for room",
            headers={"Depth": "0", "Content-Type": "application/xml; charset=utf-8"},
            body=lambda: QUOTA_ONLY,
        )
        answer = self._client.ask(request, accept={207})
        entries = list(read_entries([answer.body], storage=root.url))
        return entries[0].free if entries else None

    @staticmethod
    def is_momentary(error: StorageError, request: Request, turn: int) -> bool:
        """Say whether something is in the way that passes by itself.

        A lock, or 403, which Nextcloud answers to one of two that work on one name at once. What
        is forbidden for good answers so too: that is asked for three times in all.
        """
        race = isinstance(error, FileAccessError) and request.method in {"PUT", "MOVE"}
        return is_locked(error, request, turn) or (race and turn < _RACES)

    def _in_maintenance(self) -> bool:
        path = f"{self._address.base}/status.php"
        request = Request("GET", path, identity="none", timeout=STATUS_TIMEOUT)
        try:
            status = json_of(self._client.ask(request, accept={200}).body)
        except StorageError:
            return False  # no better explanation than the 503 itself
        return part_of(status, "maintenance") is True

    def ask_capabilities(self, identity: Identity = "session") -> object:
        """Return the server's capabilities; to nobody it tells the public ones."""
        path = f"{self._address.base}/ocs/v1.php/cloud/capabilities?format=json"
        headers = {"OCS-APIRequest": "true", "Accept": "application/json"}
        request = Request(
            "GET", path, operation="ask capabilities", headers=headers, identity=identity
        )
        answer = self._client.ask(request, accept={200})
        return part_of(json_of(answer.body), "ocs", "data", "capabilities")


def _rules(capabilities: object) -> NameRules:
    def told(key: str) -> list[str]:
        return texts_of(part_of(capabilities, "files", key))

    usual = NameRules()
    names = [*told("blacklisted_files"), *told("forbidden_filenames")]
    return NameRules(
        characters=usual.characters | set(told("forbidden_filename_characters")) - {"/"},
        names=usual.names | {name.lower() for name in names},
        stems=frozenset(stem.lower() for stem in told("forbidden_filename_basenames")),
        endings=usual.endings + tuple(told("forbidden_filename_extensions")),
    )
