"""nginx as Debian packages it: with dav-ext as a WebDAV server, or as a proxy that ends TLS."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.apache_server import apache_missing, apache_server
from tests.servers.base import HOST, WebDavServer, free_port, server_process

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "alice"
PASSWORD = "s3cret pass"
BINARY = Path("/usr/sbin/nginx")
DAV_EXT = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")

_MAIN = """
daemon off;
pid {base}/pid;
error_log {base}/error.log error;
worker_processes 1;
{modules}
{account}
events {{ worker_connections 256; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_max_body_size 0;
  client_body_temp_path {base}/bodies;
  proxy_temp_path {base}/proxied;
  fastcgi_temp_path {base}/fastcgi;
  uwsgi_temp_path {base}/uwsgi;
  scgi_temp_path {base}/scgi;
  server {{
{server}
  }}
}}
"""

_FILES = """
    listen {host}:{port};
    root {base}/files;
    dav_methods PUT DELETE MKCOL COPY MOVE;
    dav_ext_methods PROPFIND OPTIONS;
    auth_basic test;
    auth_basic_user_file {base}/users;
"""

_PROXY = """
    listen {host}:{port} ssl;
    ssl_certificate {base}/cert.pem;
    ssl_certificate_key {base}/key.pem;
    location / {{
      proxy_pass {behind};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto https;
    }}
"""


def nginx_missing() -> str | None:
    """Return why nginx with dav-ext cannot be started here (for a skip), None when it can."""
    if not BINARY.is_file():
        return f"{BINARY} is missing: apt-get install nginx-light"
    if not DAV_EXT.is_file():
        return f"{DAV_EXT} is missing: apt-get install libnginx-mod-http-dav-ext"
    return None


def tls_proxy_missing() -> str | None:
    """Return why Apache behind an nginx that ends TLS cannot be started here, None if it can."""
    if not BINARY.is_file():
        return f"{BINARY} is missing: apt-get install nginx-light"
    if shutil.which("openssl") is None:
        return "no openssl to make a certificate with"
    return apache_missing()


@contextlib.contextmanager
def nginx_server(*, user: str = USER, password: str = PASSWORD) -> Iterator[WebDavServer]:
    """Serve a temporary folder with nginx and dav-ext; ask `nginx_missing` first."""
    with TemporaryDirectory(prefix="nginx-") as temp:
        base, port = Path(temp), free_port()
        (base / "files").mkdir()
        digest = base64.b64encode(hashlib.sha1(password.encode()).digest())  # noqa: S324 - {SHA}
        (base / "users").write_text(f"{user}:{{SHA}}{digest.decode()}\n")
        files = _FILES.format(host=HOST, port=port, base=base)
        with _running(base, port, files, f"load_module {DAV_EXT};"):
            yield WebDavServer(f"http://{HOST}:{port}/", user, password, base / "files", "nginx")


@contextlib.contextmanager
def apache_behind_tls() -> Iterator[WebDavServer]:
    """Serve with an Apache that knows nothing of the TLS which an nginx before it ends.

    Apache takes no Destination with the scheme https, which is the only one the client knows.
    """
    with TemporaryDirectory(prefix="nginx-") as temp, apache_server() as behind:
        base, port = Path(temp), free_port()
        _make_certificate(base)
        proxy = _PROXY.format(host=HOST, port=port, base=base, behind=behind.url)
        with _running(base, port, proxy):
            behind.url = f"https://{HOST}:{port}/"
            behind.kind = "apache behind TLS"
            behind.verify = str(base / "cert.pem")
            yield behind


@contextlib.contextmanager
def _running(base: Path, port: int, server: str, modules: str = "") -> Iterator[None]:
    # Debian's nginx would change to www-data, which cannot reach a temporary folder of root.
    account = "user root;"
    configuration = base / "nginx.conf"
    configuration.write_text(
        _MAIN.format(base=base, modules=modules, account=account, server=server)
    )
    command = [str(BINARY), "-c", str(configuration), "-p", str(base), "-e", f"{base}/error.log"]
    with server_process(command, port, base / "log"):
        yield


def _make_certificate(base: Path) -> None:
    """Make a key and a certificate that it signed itself, for the loopback address."""
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{HOST}"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(base / "key.pem"), "-out", str(base / "cert.pem")]
    openssl = shutil.which("openssl") or "openssl"
    subprocess.run(
        [openssl, "req", "-x509", *curve, *subject, *files],
        check=True,
        capture_output=True,
        timeout=30,
    )
