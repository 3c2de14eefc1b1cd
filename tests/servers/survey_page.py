"""The page about WebDAV servers: what each of them answered to the survey, and what follows.

``python -m tests.servers.survey_page`` asks every server at hand, and a Nextcloud of yours when
``PAPERFLEET_TEST_NEXTCLOUD_URL`` and its like are set, stores the answers and writes the page.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from tests.servers import apache_server, lighttpd_server, nginx_server
from tests.servers.base import WebDavServer
from tests.servers.client import DavClient
from tests.servers.kinds import KINDS
from tests.servers.rclone_server import rclone_binary
from tests.servers.survey import QUESTIONS, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.servers.survey import Facts

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("found")
PAGE = ROOT / "docs" / "reference" / "servers.md"

_HEAD = """\
# WebDAV servers

What each server does was asked of the running server by `make survey`, and the tests ask again; the
page is made from the answers in `tests/servers/found/`. A number is the status of the answer.

Paperfleet knows no server by its name. It finds out what it needs by trying once, in a folder of
its own (`paperfleet-try-…`, gone a moment later), when it saves or moves its first file.

All of these servers run the conformance suite and scenarios of the mirror; what a server cannot do
is declared there with its reason. "Nextcloud" is the real one; its backend is another than the one
for any WebDAV server.

"""

_TAIL = """
## What follows

* **Names with a leading dot are not listed:** no folder is ever deleted there, as somebody's hidden
  file may be in it. Empty folders stay; one in the way of a document of the same name has to be
  removed by hand. A document with such a name, or in a folder with one, is refused. Temporary names
  have no dot. Leftovers that earlier versions made there (`.paperfleet-put-…`) can be removed on
  the server's disk.
* **`Overwrite: F` is ignored, or a file goes into a folder:** there is a look right before each
  MOVE. What somebody else puts there in the milliseconds between the two is replaced (a file), or
  gets the file in it (a folder). Where files are replaced, the log says so once.
* **No etags:** what somebody else changed is seen by its size alone.
* **`If-Match` is ignored or never holds:** a delete is preceded by a look; what somebody else
  writes within those milliseconds is deleted with it.
* **A cut PUT leaves a part:** no reader ever meets one, as files arrive under a temporary name and
  are then moved into place.
* **A cut PUT leaves the old file, and conditions of a PUT are honoured:** after 50 small files it
  is tried once, with files in a folder of its own, whether uploads under way or cut off are ever to
  be seen. Where they are not, as with Apache, a file of up to a MiB is saved by one PUT and a look
  at its size (HEAD), and readers never find it missing. A server behind a proxy that buffers
  uploads (as nginx does unless told `proxy_request_buffering off`) is not relied upon, as only the
  proxy is seen there; nor are lighttpd and PHP's own server, which hold an upload back until it is
  complete. Such a condition is looked at when the upload begins: what somebody else writes under
  the very same name while it lasts is replaced.
* **No time:** files have the time of their upload. **No hash:** that all has arrived is seen by the
  size.
* **No form of `Destination` works:** a proxy ends TLS, or changes the host, and the server takes
  the header for another server's. The error says so. Let the proxy pass the host on, and have the
  header rewritten; on Apache: `RequestHeader edit Destination ^https: http: early`.
"""


def _printed(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout + done.stderr)
    return found[0] if found else "?"


def _sabre_version() -> str:
    text = Path("/usr/share/php/Sabre/DAV/Version.php").read_text()
    found = re.search(r"VERSION = '([\d.]+)'", text)
    return found[1] if found else "?"


VERSIONS: Mapping[str, Callable[[], str]] = {
    "wsgidav": lambda: version("wsgidav"),
    "rclone": lambda: _printed(str(rclone_binary()), "version"),
    "apache": lambda: _printed(str(apache_server.BINARY), "-v"),
    "apache behind TLS": lambda: _printed(str(apache_server.BINARY), "-v"),
    "nginx": lambda: _printed(str(nginx_server.BINARY), "-v"),
    "lighttpd": lambda: _printed(str(lighttpd_server.BINARY), "-v"),
    "sabre": _sabre_version,
}
"""What can be asked here; the double of a Nextcloud is none of them."""

NAMES = {
    "wsgidav": "WsgiDAV",
    "rclone": "rclone serve",
    "apache": "Apache",
    "apache behind TLS": "Apache, nginx ends TLS",
    "nginx": "nginx with dav-ext",
    "lighttpd": "lighttpd",
    "sabre": "sabre/dav, own files",
    "nextcloud": "Nextcloud",
}


def stored(folder: Path = FOLDER) -> dict[str, tuple[str, Facts]]:
    """Return version and facts by kind, as they are stored."""
    found = {}
    for kind in NAMES:
        path = folder / f"{kind.replace(' ', '-')}.json"
        if path.is_file():
            one = json.loads(path.read_text(encoding="utf-8"))
            found[kind] = (one["version"], one["facts"])
    return found


def store(kind: str, which: str, facts: Facts) -> None:
    """Keep what was found with one server."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({"version": which, "facts": facts}, indent=2, ensure_ascii=False)
    (FOLDER / f"{kind.replace(' ', '-')}.json").write_text(f"{text}\n", encoding="utf-8")


def page(folder: Path = FOLDER) -> str:
    """Return the page for people."""
    found = stored(folder)
    heads = [f"{NAMES[kind]} {which}" for kind, (which, _) in found.items()]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for title in QUESTIONS:
        cells = [facts.get(title, "not asked") for _, facts in found.values()]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


@contextlib.contextmanager
def _real_nextcloud() -> Iterator[tuple[str, WebDavServer] | None]:
    """Make a folder on the Nextcloud that the environment names, and remove it afterwards."""
    named = [
        os.environ.get(f"PAPERFLEET_TEST_NEXTCLOUD_{one}") for one in ("URL", "USER", "PASSWORD")
    ]
    if not all(named):
        yield None
        return
    url, user, password = map(str, named)
    status = httpx.get(f"{url.partition('/remote.php')[0]}/status.php", timeout=10).json()
    server = WebDavServer(
        f"{url.rstrip('/')}/survey-{uuid.uuid4().hex[:12]}/", user, password, ROOT, "nextcloud"
    )
    with DavClient(server) as http:
        http.dav("MKCOL").raise_for_status()
        try:
            yield str(status["versionstring"]), server
        finally:
            http.dav("DELETE")


def ask_all() -> None:
    """Ask every server at hand and store the answers."""
    for kind, which in VERSIONS.items():
        if reason := KINDS[kind].missing():
            sys.stderr.write(f"{kind} is left as it is: {reason}\n")
            continue
        with KINDS[kind].start() as server:
            store(kind, which(), survey(server))
    with _real_nextcloud() as real:
        if real is None:
            sys.stderr.write("no Nextcloud is named (PAPERFLEET_TEST_NEXTCLOUD_URL, …)\n")
        else:
            store("nextcloud", real[0], survey(real[1]))


def write_page() -> None:
    """Write the page from what is stored."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["page"]:
        ask_all()
    write_page()
