"""lighttpd with mod_webdav as Debian packages it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, WebDavServer, free_port, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "alice"
PASSWORD = "s3cret pass"
BINARY = Path("/usr/sbin/lighttpd")
WEBDAV = Path("/usr/lib/lighttpd/mod_webdav.so")

# Without its cache it shows at once what a fixture wrote past it.
_CONFIGURATION = """
server.modules = ( "mod_auth", "mod_authn_file", "mod_webdav" )
server.document-root = "{base}/files"
server.bind = "{host}"
server.port = {port}
server.errorlog = "{base}/error.log"
server.upload-dirs = ( "{base}" )
server.pid-file = "{base}/pid"
server.stat-cache-engine = "disable"
webdav.activate = "enable"
auth.backend = "plain"
auth.backend.plain.userfile = "{base}/users"
auth.require = ( "" => ( "method" => "basic", "realm" => "test", "require" => "valid-user" ) )
"""


def lighttpd_missing() -> str | None:
    """Return why lighttpd cannot be started here (for a skip), None when it can."""
    if not BINARY.is_file():
        return f"{BINARY} is missing: apt-get install lighttpd"
    if not WEBDAV.is_file():
        return f"{WEBDAV} is missing: apt-get install lighttpd-mod-webdav"
    return None


@contextlib.contextmanager
def lighttpd_server(*, user: str = USER, password: str = PASSWORD) -> Iterator[WebDavServer]:
    """Serve a temporary folder with lighttpd's mod_webdav; ask `lighttpd_missing` first."""
    with TemporaryDirectory(prefix="lighttpd-") as temp:
        base, port = Path(temp), free_port()
        (base / "files").mkdir()
        (base / "users").write_text(f"{user}:{password}\n")
        configuration = base / "lighttpd.conf"
        configuration.write_text(_CONFIGURATION.format(base=base, host=HOST, port=port))
        command = [str(BINARY), "-D", "-f", str(configuration)]
        with server_process(command, port, base / "log"):
            yield WebDavServer(f"http://{HOST}:{port}/", user, password, base / "files", "lighttpd")
