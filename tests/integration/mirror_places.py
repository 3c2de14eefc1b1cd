"""The targets of the mirror's scenarios, seen past the mirror."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from tests.servers.base import WebDavServer
from tests.servers.client import DavClient
from tests.servers.nextcloud_double import NextcloudDouble
from tests.servers.s3 import S3Bypass, new_location
from tests.trees import folders_in, read_tree

from paperfleet.secret import Secret
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.names import is_below, parents
from paperfleet.storage.nextcloud.backend import NextcloudBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from tests.servers.s3 import S3Server

    from paperfleet.storage.memory.backend import MemoryBackend
    from paperfleet.storage.protocol import DocumentStorage

Files = dict[str, bytes]
LATER = 5
"""Seconds by which what others write is younger: servers make etags of whole seconds."""

STALE = 150.0
"""Seconds for which a real Nextcloud may not give a file: one is locked, or was a folder before."""


class Place(Protocol):
    """Where a mirror writes to, seen past the mirror.

    ``side_by_side``: a file and others below its own name can be there at once, as in a bucket.
    """

    kind: str
    side_by_side: bool

    def storage(self) -> DocumentStorage:
        """Return a storage on it."""
        ...

    def tree(self) -> Files:
        """Return every file with its bytes."""
        ...

    def folders(self) -> set[str] | None:
        """Return the names of all folders; None where there are none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write as somebody else would, with parents."""
        ...

    def delete(self, path: str) -> None:
        """Delete a file or a folder as somebody else would."""
        ...

    def kept(self, path: str) -> list[bytes]:
        """Return the earlier contents of a file that it keeps."""
        ...


class FolderPlace:
    """A folder on disk."""

    kind = "local"
    side_by_side = False

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def storage(self) -> DocumentStorage:
        return LocalBackend(self.root)

    def tree(self) -> Files:
        return read_tree(self.root)

    def folders(self) -> set[str] | None:
        return folders_in(self.root)

    def write(self, path: str, content: bytes) -> None:
        write_file(self.root / path, content)

    def delete(self, path: str) -> None:
        remove(self.root / path)

    def kept(self, path: str) -> list[bytes]:
        raise AssertionError(f"a folder keeps nothing of {path}")


class MemoryPlace:
    """A storage in memory."""

    side_by_side = False

    def __init__(self, backend: MemoryBackend, kind: str = "memory") -> None:
        self.backend, self.kind = backend, kind

    def storage(self) -> DocumentStorage:
        return self.backend

    def tree(self) -> Files:
        return dict(self.backend.files)

    def folders(self) -> set[str] | None:
        if not self.backend.capabilities.folders:
            return None
        with self.backend._lock:
            return {folder.name for folder in self.backend._tree._folders.values()} - {""}

    def write(self, path: str, content: bytes) -> None:
        self.backend.files[path] = content

    def delete(self, path: str) -> None:
        for name in [n for n in self.backend.files if n == path or n.startswith(path + "/")]:
            del self.backend.files[name]
        below = {n for n in self.folders() or () if n == path or n.startswith(path + "/")}
        for folder in sorted(below, reverse=True):
            with self.backend:
                self.backend.remove_folder(folder)

    def kept(self, path: str) -> list[bytes]:
        raise AssertionError(f"memory keeps nothing of {path}")


class ServerPlace:
    """A server that runs for the tests, or a folder of it."""

    side_by_side = False

    def __init__(self, server: WebDavServer, folder: str = "") -> None:
        self.server, self.kind = server, server.kind
        self._start = f"{folder}/" if folder else ""

    def storage(self) -> DocumentStorage:
        return storage_on(self.server, url=self.server.url + quote(self._start))

    def tree(self) -> Files:
        return read_tree(self.server.root / self._start)

    def folders(self) -> set[str] | None:
        found = folders_in(self.server.root / self._start)
        return {name for name in found if name.rpartition("/")[2] != ".DAV"}  # is Apache's own

    def write(self, path: str, content: bytes) -> None:
        when = int(time.time()) + LATER
        if isinstance(self.server, NextcloudDouble):
            self.server.write(self._start + path, content, when)
        else:
            self.server.write(self._start + path, content)
            os.utime(self.server.root / self._start / path, (when, when))

    def delete(self, path: str) -> None:
        self.server.delete(self._start + path)

    def kept(self, path: str) -> list[bytes]:
        assert isinstance(self.server, NextcloudDouble)
        return self.server.versions(self._start + path)


class BucketPlace:
    """A place of its own in a bucket."""

    kind = "bucket"
    side_by_side = True

    def __init__(self, server: S3Server) -> None:
        self._server, self.location = server, new_location()
        self._bypass = S3Bypass(server, self.location)

    def storage(self) -> DocumentStorage:
        return self._server.backend(location=self.location)

    def tree(self) -> Files:
        found: Files = {}
        for name in self._bypass.names():
            with suppress(FileNotFoundError):
                found[name] = self._bypass.read(name)
        return found

    def folders(self) -> set[str] | None:
        return None

    def write(self, path: str, content: bytes) -> None:
        self._bypass.write(path, content)

    def delete(self, path: str) -> None:
        """Delete what is below a name, else the file of this name."""
        below = {name for name in self._bypass.names() if is_below(name, path)}
        for name in below or {path}:
            self._bypass.delete(name)

    def kept(self, path: str) -> list[bytes]:
        raise AssertionError(f"a bucket without versions keeps nothing of {path}")


class RealPlace:
    """A folder of a real Nextcloud, by plain requests."""

    kind = "real"
    side_by_side = False

    def __init__(self, url: str, user: str, password: str) -> None:
        self.server = WebDavServer(url, user, password, Path("/nowhere"), "nextcloud")
        self.client = DavClient(self.server)
        self.client.dav("MKCOL").raise_for_status()

    def storage(self) -> DocumentStorage:
        return storage_on(self.server)

    def tree(self) -> Files:
        found = {name: self._read(name) for name in self._names(folders=False)}
        return {name: content for name, content in found.items() if content is not None}

    def _read(self, name: str) -> bytes | None:
        """Return the bytes of a file, None when it is gone.

        A worker that knew a folder's name as a file's answers 503 ("file does seem to exist") for
        what is in it for a while, probably PHP's ``realpath_cache_ttl`` (120 s).
        """
        answer = self._when_free(lambda: self.client.dav("GET", name))
        if answer.status_code == 404:
            return None
        return answer.raise_for_status().content

    def _when_free(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Ask until no worker is at the file: 423 while the mirror writes or moves it."""
        deadline = time.monotonic() + STALE
        answer = ask()
        while answer.status_code in {423, 503} and time.monotonic() < deadline:
            time.sleep(0.5)
            answer = ask()
        return answer

    def folders(self) -> set[str] | None:
        return self._names(folders=True)

    def _names(self, *, folders: bool) -> set[str]:
        found = self.client.values("", "d:getcontentlength", depth="infinity")
        sized = {name for name, values in found.items() if "d:getcontentlength" in values}
        return (found.keys() - sized if folders else sized) - {""}

    def write(self, path: str, content: bytes) -> None:
        for folder in parents(path):
            self.client.dav("MKCOL", folder)
        when = str(int(time.time()) + LATER)
        self._when_free(
            lambda: self.client.store(path, content, X_OC_Mtime=when)
        ).raise_for_status()

    def delete(self, path: str) -> None:
        self._when_free(lambda: self.client.dav("DELETE", path)).raise_for_status()

    def kept(self, path: str) -> list[bytes]:
        """Return the versions (Nextcloud developer manual, WebDAV: versions)."""
        number = self.client.value(path, "oc:fileid")
        origin = urlsplit(self.server.url)
        user = quote(self.server.user)
        url = f"{origin.scheme}://{origin.netloc}/remote.php/dav/versions/{user}/versions/{number}/"
        server = WebDavServer(url, *self.server.auth, Path("/nowhere"), "nextcloud")
        with DavClient(server) as versions:
            names = sorted(filter(None, versions.values("", "d:getetag", depth="1")))
            return [versions.dav("GET", name).content for name in names]


def storage_on(
    server: WebDavServer,
    *,
    url: str = "",
    password: str = "",
    **options: Any,  # noqa: ANN401
) -> DocumentStorage:
    """Return a storage on a server, with its own kind of backend."""
    kind = NextcloudBackend if server.kind == "nextcloud" else WebDavBackend
    secret = Secret(password or server.password)
    options = {"verify": server.verify} | options
    return kind(url or server.url, username=server.user, password=secret, **options)


def write_file(path: Path, content: bytes) -> None:
    """Write a file with its parents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all in it."""
    if path.is_dir() and not path.is_symlink():
        for entry in list(path.iterdir()):
            remove(entry)
        path.rmdir()
    else:
        path.unlink()
