"""A WebDAV server on a volume that takes different names for one, as Windows and macOS have.

Names that differ in case, in their Unicode form (NFC, NFD) or in dots and spaces at the end of a
segment are one. What is there keeps the spelling that it was made with, and is listed so.
"""

from __future__ import annotations

import contextlib
import threading
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from tests.servers.wsgidav_server import wsgidav_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tests.servers.base import WebDavServer


@contextlib.contextmanager
def folding_server() -> Iterator[WebDavServer]:
    """Serve a temporary folder so."""
    with wsgidav_server(around=_Folding) as server:
        yield server


class _Folding:
    """WSGI middleware that turns every name into the one that is there."""

    def __init__(self, application: WSGIApplication, root: Path) -> None:
        self._application = application
        self._root = root
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # A name that is resolved has to stay what it is until the request is done.
        with self._lock:
            self._resolve(environ)
            return list(self._application(environ, start_response))

    def _resolve(self, environ: WSGIEnvironment) -> None:
        # WSGI passes a path as the Latin-1 reading of its bytes (PEP 3333).
        path = str(environ["PATH_INFO"]).encode("latin-1").decode()
        environ["PATH_INFO"] = self._real(path).encode().decode("latin-1")
        destination = environ.get("HTTP_DESTINATION")
        if destination:
            parts = urlsplit(destination)
            real = quote(self._real(unquote(parts.path)))
            environ["HTTP_DESTINATION"] = parts._replace(path=real).geturl()

    def _real(self, path: str) -> str:
        folder, built = self._root, list[str]()
        for segment in path.split("/"):
            name = _there(folder, segment) if segment else segment
            folder = folder / name
            built.append(name)
        return "/".join(built)


def _there(folder: Path, segment: str) -> str:
    """Return what of this name is there, else what would be made."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in folder.iterdir():
            if fold(entry.name) == fold(segment):
                return entry.name
    return unicodedata.normalize("NFC", segment).rstrip(" .") or segment


def fold(segment: str) -> str:
    """Return what all names share that are one here."""
    return unicodedata.normalize("NFC", segment).rstrip(" .").casefold()
