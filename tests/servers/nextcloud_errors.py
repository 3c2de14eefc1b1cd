"""Errors of the Nextcloud double in the shape in which sabre/dav answers them."""

from __future__ import annotations

from xml.sax.saxutils import escape

from tests.servers.nextcloud_http import Response

SABRE = "Sabre\\DAV\\Exception\\"
NEXTCLOUD = "OCA\\DAV\\Connector\\Sabre\\Exception\\"
LOCKED = "OCP\\Lock\\LockedException"
MAINTENANCE = "OCA\\DAV\\Exception\\ServerMaintenanceMode"
INVALID_PATH = NEXTCLOUD + "InvalidPath"

_KIND_OF_STATUS = {
    400: SABRE + "BadRequest",
    401: SABRE + "NotAuthenticated",
    403: SABRE + "Forbidden",
    404: SABRE + "NotFound",
    405: SABRE + "MethodNotAllowed",
    409: SABRE + "Conflict",
    412: SABRE + "PreconditionFailed",
    415: SABRE + "UnsupportedMediaType",
    416: SABRE + "RequestedRangeNotSatisfiable",
    423: NEXTCLOUD + "FileLocked",
    429: NEXTCLOUD + "TooManyRequests",
    500: "Exception",
    501: SABRE + "NotImplemented",
    503: SABRE + "ServiceUnavailable",
    507: SABRE + "InsufficientStorage",
}


class DavError(Exception):
    """A refusal: an HTTP status with sabre's XML body."""

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        kind: str = "",
        headers: dict[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind or _KIND_OF_STATUS.get(status, SABRE + "Exception")
        self.headers = headers or {}
        self.close = close

    def response(self) -> Response:
        """Return the answer that carries this error."""
        headers = {"Content-Type": "application/xml; charset=utf-8", **self.headers}
        return Response(self.status, headers, self._body(), close=self.close)

    def _body(self) -> bytes:
        text = (
            '<?xml version="1.0" encoding="utf-8"?>\n'
            '<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">\n'
            f"  <s:exception>{escape(self.kind)}</s:exception>\n"
            f"  <s:message>{escape(self.message)}</s:message>\n"
            "</d:error>\n"
        )
        return text.encode()


def not_found(path: str) -> DavError:
    """Return sabre's 404."""
    return DavError(404, f"File with name {path} could not be located")


def locked(path: str, status: int = 423) -> DavError:
    """Return 423, or the 500 that a MOVE answers."""
    kind = LOCKED if status == 500 else ""
    return DavError(status, f'"files/{path}" is locked', kind=kind)
