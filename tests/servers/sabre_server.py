"""sabre/dav as Debian packages it, the program below Nextcloud, in PHP's own web server."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, WebDavServer, free_port, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "alice"
PASSWORD = "s3cret pass"
AUTOLOAD = Path("/usr/share/php/Sabre/autoload.php")

_WORKERS = 4
_PROGRAM = """<?php
error_reporting(E_ALL & ~E_DEPRECATED);
date_default_timezone_set('UTC');
require_once '{autoload}';
class Accounts extends Sabre\\DAV\\Auth\\Backend\\AbstractBasic {{
    protected function validateUserPass($user, $password) {{
        return $user === getenv('DAV_USER') && $password === getenv('DAV_PASSWORD');
    }}
}}
$server = new Sabre\\DAV\\Server(new Sabre\\DAV\\FS\\Directory('{base}/files'));
$server->setBaseUri('/');
$server->addPlugin(new Sabre\\DAV\\Auth\\Plugin(new Accounts(), 'test'));
$server->exec();
"""


def sabre_missing() -> str | None:
    """Return why sabre/dav cannot be started here (for a skip), None when it can."""
    if shutil.which("php") is None:
        return "php is missing: apt-get install php-cli"
    if not AUTOLOAD.is_file():
        return f"{AUTOLOAD} is missing: apt-get install php-sabre-dav"
    return None


@contextlib.contextmanager
def sabre_server(*, user: str = USER, password: str = PASSWORD) -> Iterator[WebDavServer]:
    """Serve a temporary folder with sabre/dav's own files; ask `sabre_missing` first."""
    with TemporaryDirectory(prefix="sabre-") as temp:
        base, port = Path(temp), free_port()
        (base / "files").mkdir()
        program = base / "server.php"
        program.write_text(_PROGRAM.format(autoload=AUTOLOAD, base=base))
        options = ["-d", "display_errors=stderr", "-d", "post_max_size=0", "-d", "memory_limit=-1"]
        command = ["php", *options, "-S", f"{HOST}:{port}", str(program)]
        environment = os.environ | {
            "DAV_USER": user,
            "DAV_PASSWORD": password,
            "PHP_CLI_SERVER_WORKERS": str(_WORKERS),
        }
        with server_process(command, port, base / "log", environment):
            yield WebDavServer(f"http://{HOST}:{port}/", user, password, base / "files", "sabre")
