"""``paperfleet run ROLE --check``: whether a role is alive, and whether it can do its work.

Alive means that its process runs; it depends on no server and on no storage, since to start a
process again mends none of them. Ready means that the role can do its work, or stands by to do so.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING, Literal

from paperfleet.fleet.roles import FLOWER_PORT, role_of, web_address
from paperfleet.fleet.site import DATA, site_of
from paperfleet.fleet.waits import database_fault, redis_fault
from paperfleet.running import rolestate, searchstate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.fleet.roles import Role
    from paperfleet.fleet.site import Site

Question = Literal["alive", "ready"]
_SECONDS = 5.0
_FIRST_FAILURE = 500


def fault(name: str, question: Question, environ: Mapping[str, str]) -> str:
    """Return why a role of this container is not alive, or not ready; '' when it is.

    Needs the environment and the scratch folder of its process.
    """
    role = role_of(name, environ)
    site = site_of(environ, fills=role.of_paperless)
    found = rolestate.told(site.state_file(name))
    if found is None:
        return f"no process of the role {name} runs here"
    if question == "alive":
        return ""
    if "database" in role.needs and (reason := database_fault(site.environ)):
        return reason
    if "redis" in role.needs and (reason := redis_fault(site.environ)):
        return reason
    if found.state == rolestate.STANDING_BY:
        return ""
    return _not_working(role, site, found.state)


def _not_working(role: Role, site: Site, state: str) -> str:
    if role.ready == "told":
        return "" if state == rolestate.WORKING else f"it is {state}"
    if role.ready == "http":
        return _no_answer(site) or searchstate.fault(site.folder(DATA), site.environ)
    if role.ready == "port":
        return _nobody_listens("localhost", int(site.environ.get("FLOWER_PORT") or FLOWER_PORT))
    return ""


def _nobody_listens(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as error:
        return f"port {port}: {error}"
    return ""


def _no_answer(site: Site) -> str:
    """Ask the web server for its login page, under the name that paperless-ngx always allows."""
    host, port = web_address(site)
    # A container may take connections at :: and have no ::1.
    addresses = {"::": ("::1", "127.0.0.1"), "0.0.0.0": ("127.0.0.1",)}.get(host, (host,))  # noqa: S104  # compared only
    reason, code = "", None
    for address in addresses:
        try:
            code = _asked(site, address, port)
            break
        except (OSError, http.client.HTTPException) as error:
            reason = f"the web server does not answer: {error}"
    if code is None:
        return reason
    return "" if code < _FIRST_FAILURE else f"the web server answers with {code}"


def _asked(site: Site, address: str, port: int) -> int:
    """Return the status of its answer; raise ``OSError`` or ``HTTPException`` without one."""
    path = site.environ.get("PAPERLESS_FORCE_SCRIPT_NAME", "") + "/accounts/login/"
    connection: http.client.HTTPConnection
    if site.environ.get("GRANIAN_SSL_CERTIFICATE"):
        anybody = ssl.create_default_context()
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE  # it is this container
        connection = http.client.HTTPSConnection(address, port, timeout=_SECONDS, context=anybody)
    else:
        connection = http.client.HTTPConnection(address, port, timeout=_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status
    finally:
        connection.close()
