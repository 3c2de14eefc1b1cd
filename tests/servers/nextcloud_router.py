"""Which part of the Nextcloud double answers which URL, and the order of its refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.nextcloud_bulk import BulkEndpoint
from tests.servers.nextcloud_dav import FilesEndpoint
from tests.servers.nextcloud_errors import MAINTENANCE, DavError, not_found
from tests.servers.nextcloud_http import Request, Response
from tests.servers.nextcloud_names import decode
from tests.servers.nextcloud_pages import (
    State,
    capabilities,
    html_page,
    lacks_ocs_header,
    maintenance_page,
    ocs_answer,
    ocs_error,
    status_page,
    untrusted_page,
)
from tests.servers.nextcloud_trashbin import TrashEndpoint
from tests.servers.nextcloud_uploads import UploadsEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.base import RecordedRequest
    from tests.servers.nextcloud_auth import Auth
    from tests.servers.nextcloud_faults import Faults
    from tests.servers.nextcloud_files import Files

DAV = "/remote.php/dav/"
LEGACY = "/remote.php/webdav/"


@dataclass(frozen=True)
class _Mount:
    """A part of the DAV tree; without `shared` the whole of it belongs to the user."""

    prefix: str
    shared: str
    answer: Callable[[Request, str], Response]


class Router:
    """The whole server as a function of a request."""

    def __init__(self, files: Files, auth: Auth, faults: Faults, state: State) -> None:
        self._auth, self._state = auth, state
        self.files_prefix = f"{DAV}files/{auth.user}/"
        uploads, trash = f"{DAV}uploads/{auth.user}/", f"{DAV}trashbin/{auth.user}/"
        self.uploads = UploadsEndpoint(files, uploads, self.files_prefix)
        self._bulk = BulkEndpoint(files, faults)
        dav, legacy = (FilesEndpoint(files, auth.user, p) for p in (self.files_prefix, LEGACY))
        self._mounts = [
            _Mount(self.files_prefix, f"{DAV}files/", dav.answer),
            _Mount(uploads, f"{DAV}uploads/", self.uploads.answer),
            _Mount(trash, f"{DAV}trashbin/", TrashEndpoint(files, trash).answer),
            _Mount(LEGACY, LEGACY, legacy.answer),
        ]

    def name_of(self, request: Request) -> str:
        """Return the path by which faults and the log know a request."""
        path = _decoded(request)
        below = _below(self.files_prefix, path)
        if below is None:
            below = _below(LEGACY, path)
        if below is not None:
            return below
        return path.removeprefix(DAV).replace(f"/{self._auth.user}/", "/", 1).strip("/")

    def answer(self, request: Request, record: RecordedRequest) -> Response:
        """Answer a request; `record` learns what let it in."""
        path = request.raw_path
        if self._state.untrusted:
            return untrusted_page(path)
        if path == "/status.php":
            return status_page(self._state)
        if path.startswith("/remote.php/"):
            return self._dav(request, record)
        if self._state.maintenance:
            return maintenance_page(path)
        return self._page(request, path, record)

    def _page(self, request: Request, path: str, record: RecordedRequest) -> Response:
        if path in {"/ocs/v1.php/cloud/capabilities", "/ocs/v2.php/cloud/capabilities"}:
            return self._capabilities(request, record, ok=100 if "/v1" in path else 200)
        if path in {"/ocs/v1.php/cloud/user", "/ocs/v2.php/cloud/user"}:
            return self._user(request, record, ok=100 if "/v1" in path else 200)
        if path in {"/login", "/index.php/login"}:
            return html_page(200, "Log in to Nextcloud")
        if path in {"/", "/index.php"}:
            return Response(302, {"Location": "/index.php/login"})
        return html_page(404, "File not found")

    def _capabilities(self, request: Request, record: RecordedRequest, ok: int) -> Response:
        if lacks_ocs_header(request):
            return ocs_answer(412, "CSRF check failed", {})
        if not request.header("Authorization") and not request.header("Cookie"):
            found = capabilities(self._auth, self._state, anonymous=True)
            return ocs_answer(200, "OK", found, ok=ok)
        found = capabilities(self._auth, self._state, anonymous=False)
        return self._for_the_user(request, record, ocs_answer(200, "OK", found, ok=ok))

    def _user(self, request: Request, record: RecordedRequest, ok: int) -> Response:
        if lacks_ocs_header(request):
            return ocs_answer(412, "CSRF check failed", {})
        found: dict[str, object] = {"id": self._auth.user, "display-name": self._auth.user}
        return self._for_the_user(request, record, ocs_answer(200, "OK", found, ok=ok))

    def _for_the_user(
        self, request: Request, record: RecordedRequest, response: Response
    ) -> Response:
        """Give an OCS answer to who may log in."""
        try:
            granted = self._auth.check(request)
        except DavError as error:
            return ocs_error(error)
        record.login = granted.login
        response.cookies += granted.cookies
        return response

    def _dav(self, request: Request, record: RecordedRequest) -> Response:
        cookies: tuple[str, ...] = ()
        try:
            self._refuse_in_maintenance()
            granted = self._auth.check(request)
            record.login, cookies = granted.login, granted.cookies
            response = self._dispatch(request)
        except DavError as error:
            response = error.response()
        response.cookies += cookies
        return response

    def _refuse_in_maintenance(self) -> None:
        if self._state.maintenance:
            text = "System is in maintenance mode."
            raise DavError(503, text, kind=MAINTENANCE, close=True)

    def _dispatch(self, request: Request) -> Response:
        path = "/" + decode(request.raw_path)
        if path == "/remote.php/dav/bulk":
            return self._bulk.answer(request)
        for mount in self._mounts:
            below = _below(mount.prefix, path)
            if below is not None:
                return mount.answer(request, below)
            if path.startswith(mount.shared):
                raise DavError(403, "No access to somebody else's folder")
        raise not_found(path)


def _below(prefix: str, path: str) -> str | None:
    if path + "/" == prefix:
        return ""
    return path[len(prefix) :] if path.startswith(prefix) else None


def _decoded(request: Request) -> str:
    try:
        return "/" + decode(request.raw_path)
    except DavError:
        return request.raw_path
