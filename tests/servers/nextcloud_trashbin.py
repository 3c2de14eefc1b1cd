"""/remote.php/dav/trashbin/USER/ of the Nextcloud double: list, restore by MOVE, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_http import Request, Response
from tests.servers.nextcloud_names import decode, encode
from tests.servers.nextcloud_properties import http_date
from tests.servers.nextcloud_xml import NC, OC, D, Resource, multistatus, text, wanted_properties

if TYPE_CHECKING:
    from tests.servers.nextcloud_files import Files
    from tests.servers.nextcloud_trash import Deleted


class TrashEndpoint:
    """Answers requests for deleted files. `prefix` ends with a slash."""

    def __init__(self, files: Files, prefix: str) -> None:
        self._files, self._prefix = files, prefix

    def answer(self, request: Request, path: str) -> Response:
        """Answer a request for "trash" or "trash/NAME"."""
        area, _, name = path.partition("/")
        if area != "trash":
            raise DavError(404, "Not found")
        if request.method == "PROPFIND":
            return self._list(request)
        if request.method == "MOVE":
            return self._restore(request, name)
        if request.method == "DELETE":
            return self._purge(name)
        raise DavError(501, f"There was no plugin that handles {request.method}")

    def _list(self, request: Request) -> Response:
        wanted = wanted_properties(request.body.read())
        with self._files.lock:
            entries = dict(self._files.trash.entries)
        base = f"{self._prefix}trash/"
        top = Resource(encode(base), {f"{D}resourcetype": "<d:collection/>"}.get)
        below = [Resource(encode(base + name), _values(e).get) for name, e in entries.items()]
        shown = [top] if request.header("Depth") == "0" else [top, *below]
        return multistatus(request, shown, wanted or [f"{D}resourcetype"], sparse=wanted is None)

    def _restore(self, request: Request, name: str) -> Response:
        if f"{self._prefix}restore/" not in "/" + decode(request.header("Destination") or ""):
            raise DavError(403, "The destination must be in the restore folder")
        self._files.restore(name)
        return Response(201)

    def _purge(self, name: str) -> Response:
        with self._files.lock:
            for entry in [name] if name else list(self._files.trash.entries):
                self._files.trash.purge(entry)
        return Response(204)


def _values(entry: Deleted) -> dict[str, str]:
    return {
        f"{D}resourcetype": "<d:collection/>" if entry.node.folder else "",
        f"{D}getlastmodified": http_date(entry.node.mtime),
        f"{OC}fileid": str(entry.node.id),
        f"{NC}trashbin-filename": text(entry.node.name),
        f"{NC}trashbin-original-location": text(entry.origin),
        f"{NC}trashbin-deletion-time": str(entry.time),
    }
