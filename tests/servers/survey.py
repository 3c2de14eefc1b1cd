"""What each WebDAV server does, asked of the running server by plain requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import unicodedata
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpx
from tests.servers.client import DavClient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.servers.base import WebDavServer

Facts = dict[str, str]
SECONDS = 1_500_000_000
WEAK = 3.0
"""Seconds after which a file is old enough for a strong etag."""

SETTLED = 1.0
"""Seconds in which a server may still change a file whose upload was cut."""


class Asker:
    """Asks one server for one fact after the other, each in a folder of its own."""

    def __init__(self, server: WebDavServer) -> None:
        self.server = server
        self.http = DavClient(server)
        self._forms: list[str] = []

    def put(self, name: str, content: bytes = b"x", **headers: str) -> int:
        """PUT; return the status."""
        return self.http.store(name, content, **headers).status_code

    def has(self, name: str) -> bool:
        """Say whether something is there."""
        return self.http.dav("PROPFIND", name, Depth="0").status_code == httpx.codes.MULTI_STATUS

    def read(self, name: str) -> bytes | None:
        """Return a file, None when there is none."""
        answer = self.http.dav("GET", name)
        return answer.content if answer.is_success else None

    def folder(self, name: str) -> str:
        """Make a folder with a file in it; return its name with a slash."""
        self.http.dav("MKCOL", f"{name}/")
        self.put(f"{name}/in it")
        return f"{name}/"

    def shift(self, method: str, old: str, new: str, overwrite: str = "F", form: str = "") -> int:
        """MOVE or COPY; return the status."""
        there = self.destination(new, form or self.form)
        return self.http.dav(method, old, Destination=there, Overwrite=overwrite).status_code

    def destination(self, name: str, form: str) -> str:
        """Return the header Destination in one of its forms."""
        url = self.http.root + quote(name)
        if form == "http URL":
            return url.replace("https:", "http:", 1)
        return urlsplit(url).path if form == "path" else url

    @property
    def form(self) -> str:
        """A form of Destination that this server takes."""
        return self.forms()[0]

    def forms(self) -> list[str]:
        """Return the forms of Destination that move a file; asked once."""
        self._forms = self._forms or self._asked_forms()
        return self._forms

    def _asked_forms(self) -> list[str]:
        forms = ["URL", "path", *(["http URL"] if self.server.url.startswith("https:") else [])]
        taken = []
        for form in forms:
            self.put("form")
            moved = self.shift("MOVE", "form", f"form by {form}", form=form)
            if moved < 300 and self.has(f"form by {form}"):
                taken.append(form)
        return taken


def dots(ask: Asker) -> str:
    ask.folder("dots")
    if ask.put("dots/.dot") >= 300:
        return "refused"
    return "yes" if "dots/.dot" in ask.http.values("dots/", "d:resourcetype", depth="1") else "no"


def trees(ask: Asker) -> str:
    ask.folder("tree")
    status = ask.http.dav("PROPFIND", "tree/", Depth="infinity").status_code
    return "yes" if status == httpx.codes.MULTI_STATUS else f"no ({status})"


def etags(ask: Asker) -> str:
    ask.put("etag")
    return "yes" if ask.http.value("etag", "d:getetag") else "no"


def destinations(ask: Asker) -> str:
    return ", ".join(ask.forms())


def move_new(ask: Asker) -> str:
    ask.put("move")
    return str(ask.shift("MOVE", "move", "moved"))


def move_over(ask: Asker) -> str:
    ask.put("over", b"new")
    ask.put("under", b"old")
    status = ask.shift("MOVE", "over", "under", overwrite="T")
    return str(status) if ask.read("under") == b"new" else f"not replaced ({status})"


def overwrite_file(ask: Asker) -> str:
    ask.put("one", b"one")
    ask.put("two", b"two")
    status = ask.shift("MOVE", "one", "two")
    kept = ask.read("one") == b"one" and ask.read("two") == b"two"
    return f"honoured ({status})" if kept else f"ignored ({status})"


def overwrite_folder(ask: Asker) -> str:
    ask.put("file", b"file")
    ask.folder("taken")
    status = ask.shift("MOVE", "file", "taken")
    if ask.read("file") == b"file" and ask.has("taken/in it"):
        return f"honoured ({status})"
    return f"the file goes into it ({status})" if ask.has("taken/file") else f"ignored ({status})"


def move_folder(ask: Asker) -> str:
    return _shifted_folder(ask, "MOVE")


def copy_folder(ask: Asker) -> str:
    return _shifted_folder(ask, "COPY")


def _shifted_folder(ask: Asker, method: str) -> str:
    ask.folder(f"{method} from")
    status = ask.shift(method, f"{method} from/", f"{method} to/")
    gone = not ask.has(f"{method} from/")
    done = ask.has(f"{method} to/in it") and gone == (method == "MOVE")
    return f"yes ({status})" if done else f"no ({status})"


def if_none_match(ask: Asker) -> str:
    ask.put("there", b"old")
    status = ask.put("there", b"new", If_None_Match="*")
    return f"honoured ({status})" if ask.read("there") == b"old" else f"ignored ({status})"


def if_match_put(ask: Asker) -> str:
    ask.put("state", b"old")
    status = ask.put("state", b"new", If_Match='"other"')
    return f"honoured ({status})" if ask.read("state") == b"old" else f"ignored ({status})"


def if_match_delete(ask: Asker) -> str:
    ask.put("doomed")
    status = ask.http.dav("DELETE", "doomed", If_Match='"other"').status_code
    if not ask.has("doomed"):
        return f"ignored ({status})"
    return f"honoured ({status})" if _goes(ask, "doomed") else f"never holds ({status})"


def if_match_folder(ask: Asker) -> str:
    ask.http.dav("MKCOL", "doomed folder/")
    status = ask.http.dav("DELETE", "doomed folder/", If_Match='"other"').status_code
    if not ask.has("doomed folder/"):
        return f"ignored ({status})"
    return f"honoured ({status})" if _goes(ask, "doomed folder/") else f"never holds ({status})"


def _goes(ask: Asker, name: str) -> bool:
    """Say whether a DELETE on the condition of the right etag is done.

    Tried until the file is some seconds old: Apache calls the etag of a new one weak, which no
    condition is true of.
    """
    until = time.monotonic() + WEAK
    while True:
        last = time.monotonic() > until
        right = ask.http.value(name, "d:getetag")
        if right is None:
            return False
        ask.http.dav("DELETE", name, If_Match=right.removeprefix("W/"))
        if last or not ask.has(name):
            return not ask.has(name)
        time.sleep(0.1)


def cut_put(ask: Asker) -> str:
    old = b"old" * 1000
    ask.put("cut", old)
    _half_a_put(ask.server, "cut", 1_000_000)
    until = time.monotonic() + SETTLED
    while time.monotonic() < until:
        found = ask.read("cut")
        if found != old:
            return "is gone" if found is None else "is replaced by a part"
        time.sleep(0.05)
    return "stays"


def _half_a_put(server: WebDavServer, name: str, size: int) -> None:
    """Send half of a PUT and hang up."""
    request = httpx.Request("PUT", server.url + quote(name), headers={"Content-Length": str(size)})
    signed = next(httpx.BasicAuth(*server.auth).auth_flow(request))
    lines = [f"PUT {request.url.raw_path.decode()} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in signed.headers.items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    host, port = request.url.host, request.url.port or 80
    with socket.create_connection((host, port), timeout=10) as plain, contextlib.ExitStack() as on:
        stream: socket.socket = plain
        if request.url.scheme == "https":
            context = ssl.create_default_context(cafile=str(server.verify))
            stream = on.enter_context(context.wrap_socket(plain, server_hostname=host))
        stream.sendall(head + b"n" * (size // 2))
        time.sleep(0.2)  # so that it is an upload under way, not one that never began


def mtime(ask: Asker) -> str:
    ask.put("dated", X_OC_Mtime=str(SECONDS))
    date = formatdate(SECONDS, usegmt=True)
    if ask.http.value("dated", "d:getlastmodified") == date:
        return "with the upload"
    body = (
        '<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop><d:getlastmodified>'
        f"{date}</d:getlastmodified></d:prop></d:set></d:propertyupdate>"
    )
    kind = "application/xml"
    status = ask.http.dav("PROPPATCH", "dated", body.encode(), Content_Type=kind).status_code
    kept = ask.http.value("dated", "d:getlastmodified") == date
    return "by PROPPATCH" if kept else f"no ({status})"


def hash_proof(ask: Asker) -> str:
    answer = ask.http.store("hashed", b"x", X_Hash="sha256")
    return "SHA-256 of what arrived" if "x-hash-sha256" in answer.headers else "no"


def missing_parent(ask: Asker) -> str:
    return str(ask.put("nowhere/at all"))


def below_file(ask: Asker) -> str:
    ask.put("a file")
    return str(ask.http.dav("PROPFIND", "a file/below", Depth="0").status_code)


def folding(ask: Asker) -> str:
    pairs = {
        "case": ("Brief.pdf", "brief.pdf"),
        "Unicode form": ("\u00e9.pdf", unicodedata.normalize("NFD", "\u00e9.pdf")),
        "last dot": ("e.V", "e.V."),
        "last space": ("end", "end "),
    }
    folded = []
    for what, (one, other) in pairs.items():
        ask.http.dav("MKCOL", f"{what}/")
        ask.put(f"{what}/{one}", b"one")
        ask.put(f"{what}/{other}", b"other")
        if ask.read(f"{what}/{one}") != b"one":
            folded.append(what)
    return ", ".join(folded) or "none"


QUESTIONS: Mapping[str, Callable[[Asker], str]] = {
    "Names with a leading dot are listed": dots,
    "Whole trees are listed": trees,
    "Listings have etags of files": etags,
    "Forms of `Destination`": destinations,
    "MOVE to a new name": move_new,
    "MOVE onto a file": move_over,
    "`Overwrite: F`, a file is there": overwrite_file,
    "`Overwrite: F`, a folder is there": overwrite_folder,
    "MOVE of a folder": move_folder,
    "COPY of a folder": copy_folder,
    "PUT with `If-None-Match: *`": if_none_match,
    "PUT with another `If-Match`": if_match_put,
    "DELETE of a file with another `If-Match`": if_match_delete,
    "DELETE of a folder with another `If-Match`": if_match_folder,
    "PUT cut in the middle: the old file": cut_put,
    "PUT where a folder is missing": missing_parent,
    "PROPFIND below a file": below_file,
    "Time of a file": mtime,
    "Hash of an upload": hash_proof,
    "Names taken for one (on a Linux disk)": folding,
}


def survey(server: WebDavServer) -> Facts:
    """Ask one server everything; it has to be empty."""
    ask = Asker(server)
    with ask.http:
        return {title: question(ask) for title, question in QUESTIONS.items()}
