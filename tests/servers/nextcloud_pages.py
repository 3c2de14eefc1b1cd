"""What the Nextcloud double answers outside of WebDAV: status, capabilities, HTML pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.nextcloud_http import Request, Response

if TYPE_CHECKING:
    from tests.servers.nextcloud_auth import Auth
    from tests.servers.nextcloud_errors import DavError

VERSION = "29.0.6"
HTML = {"Content-Type": "text/html; charset=UTF-8"}
JSON = {"Content-Type": "application/json"}


@dataclass
class State:
    """Switches of the whole server."""

    maintenance: bool = False
    untrusted: bool = False
    bulk: bool = True
    versions: bool = True
    undelete: bool = True
    chunking: bool = True


def status_page(state: State) -> Response:
    """`/status.php`, also in maintenance."""
    status = {
        "installed": True,
        "maintenance": state.maintenance,
        "needsDbUpgrade": False,
        "version": f"{VERSION}.1",
        "versionstring": VERSION,
        "edition": "",
        "productname": "Nextcloud",
        "extendedSupport": False,
    }
    return _json(200, status)


def untrusted_page(path: str) -> Response:
    """Return what a request under an untrusted host name gets; JSON only for `/status.php`."""
    if path.endswith("/status.php"):
        return _json(400, {"error": "Trusted domain error.", "code": 15})
    return html_page(400, "Access through untrusted domain")


def html_page(status: int, text: str) -> Response:
    """Return a page for people."""
    page = f"<!DOCTYPE html>\n<html><head><title>Nextcloud</title></head><body>{text}</body></html>"
    return Response(status, dict(HTML), page.encode())


def maintenance_page(path: str) -> Response:
    """Return the 503 that pages and OCS give in maintenance."""
    if path.startswith("/ocs/"):
        return ocs_answer(503, "Service unavailable", {})
    return html_page(503, "This Nextcloud instance is currently in maintenance mode")


def capabilities(auth: Auth, state: State, *, anonymous: bool) -> dict[str, object]:
    """Return the capabilities; a stranger gets only the public ones."""
    public: dict[str, object] = {
        "bruteforce": {"delay": round(auth.delay() * 1000), "allow-listed": False},
        "theming": {"name": "Nextcloud", "url": "https://nextcloud.com"},
    }
    private = {} if anonymous else _private_capabilities(state)
    major, minor, micro = (int(number) for number in VERSION.split("."))
    version = {"major": major, "minor": minor, "micro": micro, "string": VERSION, "edition": ""}
    return {"version": version, "capabilities": {**public, **private}}


def _private_capabilities(state: State) -> dict[str, object]:
    bulk = {"bulkupload": "1.0"} if state.bulk else {}
    return {
        "core": {"pollinterval": 60, "webdav-root": "remote.php/webdav"},
        "dav": {**({"chunking": "1.0"} if state.chunking else {}), **bulk},
        "files": {
            "bigfilechunking": True,
            "blacklisted_files": [".htaccess"],
            "forbidden_filename_characters": ["\\", "/"],
            **({"undelete": True} if state.undelete else {}),
            **({"versioning": True} if state.versions else {}),
        },
        "checksums": {"supportedTypes": ["SHA1", "MD5"], "preferredUploadType": ""},
    }


def ocs_answer(status: int, message: str, data: dict[str, object], *, ok: int = 0) -> Response:
    """Wrap data as OCS does; `ok` is the status code inside (100 for v1, 200 for v2)."""
    state = "ok" if status == 200 else "failure"
    meta = {"status": state, "statuscode": ok or status, "message": message}
    return _json(status, {"ocs": {"meta": meta, "data": data}})


def ocs_error(error: DavError) -> Response:
    """Return a refusal of a login in OCS's shape."""
    inside = 997 if error.status == 401 else error.status
    return ocs_answer(error.status, error.message, {}, ok=inside)


def lacks_ocs_header(request: Request) -> bool:
    """Tell whether the header is missing that Nextcloud's manual requires on every OCS request."""
    return (request.header("OCS-APIRequest") or "").lower() != "true"


def _json(status: int, value: object) -> Response:
    return Response(status, dict(JSON), json.dumps(value).encode())
