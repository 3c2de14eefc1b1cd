"""Apache httpd with mod_dav as Debian packages it, as a process with a configuration of its own."""

from __future__ import annotations

import base64
import contextlib
import grp
import hashlib
import os
import pwd
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, WebDavServer, free_port, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "alice"
PASSWORD = "s3cret pass"
BINARY = Path("/usr/sbin/apache2")
MODULES = Path("/usr/lib/apache2/modules")
NEEDED = (
    "mpm_event",
    "authn_core",
    "authn_file",
    "auth_basic",
    "authz_core",
    "authz_user",
    "mime",
    "dav",
    "dav_fs",
)
# httpd refuses to serve as root, so a test run as root lets it change to this account.
ACCOUNT = "www-data"

_CONFIGURATION = """
ServerRoot {base}
ServerName {host}
Listen {host}:{port}
PidFile {base}/pid
DefaultRuntimeDir {base}
Mutex file:{base} default
ErrorLog {base}/error.log
LogLevel error
LogFormat "%m %U" requests
CustomLog {base}/requests.log requests
TypesConfig /dev/null
Timeout 30
KeepAliveTimeout 5
StartServers 1
ThreadsPerChild 16
DavLockDB {base}/locks/db
DocumentRoot {root}
<Location />
  Dav On
  DavDepthInfinity On
  AuthType Basic
  AuthName Test
  AuthUserFile {base}/users
  Require valid-user
</Location>
"""


def apache_missing() -> str | None:
    """Return why Apache cannot be started here (for a skip), None when it can."""
    if not BINARY.is_file():
        return f"{BINARY} is missing: apt-get install apache2"
    absent = [name for name in NEEDED if not _module(name).is_file()]
    if absent:
        return f"Apache modules are missing in {MODULES}: {', '.join(absent)}"
    if os.geteuid() == 0 and not _has_account():
        return f"tests run as root and there is no account {ACCOUNT}"
    return None


class ApacheServer(WebDavServer):
    """Apache; what a fixture writes past it belongs to the account under which it serves."""

    def logged(self) -> list[str]:
        """Return method and path of each request that was answered; of a moment ago perhaps not."""
        return (self.root.parent / "requests.log").read_text().splitlines()

    def write(self, path: str, content: bytes) -> None:
        """Write a file past HTTP, with its parents."""
        super().write(path, content)
        target = self.root / path
        for made in (target, *target.parents):
            if made == self.root:
                break
            _give(made)


@contextlib.contextmanager
def apache_server(*, user: str = USER, password: str = PASSWORD) -> Iterator[ApacheServer]:
    """Serve a temporary folder with Apache's mod_dav; ask `apache_missing` first.

    The folder is always its own, because as root the server's account must be able to reach it.
    """
    with TemporaryDirectory(prefix="apache-") as temp:
        base, port = Path(temp), free_port()
        configuration = _prepare(base, port, user, password)
        command = [str(BINARY), "-f", str(configuration), "-DFOREGROUND"]
        with server_process(command, port, base / "log"):
            yield ApacheServer(f"http://{HOST}:{port}/", user, password, base / "files", "apache")


def _prepare(base: Path, port: int, user: str, password: str) -> Path:
    for folder in (base, base / "files", base / "locks"):
        folder.mkdir(exist_ok=True)
        _give(folder)
    (base / "users").write_text(_password_line(user, password))
    loads = [f"LoadModule {name}_module {_module(name)}" for name in NEEDED]
    account = [f"User {ACCOUNT}", f"Group {_group()}"] if os.geteuid() == 0 else []
    rest = _CONFIGURATION.format(base=base, host=HOST, port=port, root=base / "files")
    configuration = base / "apache.conf"
    configuration.write_text("\n".join([*loads, *account, rest]))
    return configuration


def _password_line(user: str, password: str) -> str:
    digest = hashlib.sha1(password.encode()).digest()  # noqa: S324 - htpasswd's {SHA}
    return f"{user}:{{SHA}}{base64.b64encode(digest).decode()}\n"


def _module(name: str) -> Path:
    return MODULES / f"mod_{name}.so"


def _has_account() -> bool:
    return any(entry.pw_name == ACCOUNT for entry in pwd.getpwall())


def _group() -> str:
    return grp.getgrgid(pwd.getpwnam(ACCOUNT).pw_gid).gr_name


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, ACCOUNT, _group())
