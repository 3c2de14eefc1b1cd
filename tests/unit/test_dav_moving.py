"""MOVE: the form of the destination, what refusals mean, names that a server misreads."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import httpx
import pytest
from tests.unit.dav_kit import Server, client, entry, known, listing, sabre

from paperfleet.errors import (
    AlreadyExistsError,
    LockedError,
    NameRefusedError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.dav import client as client_module
from paperfleet.storage.dav.listing import DavListing
from paperfleet.storage.dav.moving import DavMover
from paperfleet.storage.dav.trials import NEXTCLOUD

AS_PLAIN = NEXTCLOUD._replace(form="url")
AS_URL, AS_PATH = "https://cloud.example/dav/Folder/b", "/dav/Folder/b"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "UNLOCKING", ())


def move(*answers: httpx.Response, trusted: bool = False, times: int = 1) -> Server:
    """Move so often; the errors that are returned are raised."""
    server = Server(list(answers))
    with client(server) as dav:
        mover = DavMover(
            dav, DavListing(dav), known(dav, NEXTCLOUD if trusted else AS_PLAIN), trusted=trusted
        )
        for _ in range(times):
            refusal = mover.move("a", "b")
            if refusal is not None:
                raise refusal
    return server


def destinations(server: Server) -> list[str]:
    return [request.headers["destination"] for request in server.requests]


def test_the_destination_is_a_url() -> None:
    server = move(httpx.Response(201))
    assert destinations(server) == [AS_URL]
    assert server.requests[0].headers["overwrite"] == "F"


def test_a_trusted_server_gets_a_path() -> None:
    assert destinations(move(httpx.Response(201), trusted=True)) == [AS_PATH]


def test_a_multistatus_about_the_file_alone_is_about_the_whole() -> None:
    """Lighttpd says so that nothing was moved as a parent is missing."""
    response = "<d:response><d:href>{}</d:href><d:status>HTTP/1.1 409 C</d:status></d:response>"
    with pytest.raises(NotFoundError):
        move(listing(response.format("/dav/Folder/b")))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (sabre(412), AlreadyExistsError),
        (sabre(423), LockedError),
        (sabre(500, "OCP\\Lock\\LockedException"), LockedError),
        (sabre(500), UnavailableError),
        (
            listing(
                "<d:response><d:href>/dav/Folder/a/x</d:href><d:status>HTTP/1.1 423 L</d:status>"
                "</d:response>"
            ),
            StorageError,
        ),
    ],
)
def test_refusals(answer: httpx.Response, expected: type[StorageError]) -> None:
    with pytest.raises(StorageError) as caught:
        move(answer, trusted=True)
    assert type(caught.value) is expected


def test_an_etag_is_a_condition() -> None:
    server = Server([sabre(412)])
    with client(server) as dav, pytest.raises(PreconditionFailedError):
        DavMover(dav, DavListing(dav), known(dav), trusted=True).move("a", "b", etag='"1"')
    assert server.requests[0].headers["if-match"] == '"1"'


class Misreading:
    """Stores files by name, and understands destinations as badly as it is told."""

    def __init__(self, mangle: dict[str, str]) -> None:
        self.mangle, self.files = mangle, set[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = unquote(request.url.raw_path.decode()).removeprefix("/dav/Folder/").rstrip("/")
        if request.method == "PUT":
            self.files.add(name)
        elif request.method == "MOVE":
            new = self._read(request.headers["destination"])
            moved = {one for one in self.files if one == name or one.startswith(f"{name}/")}
            self.files -= moved
            self.files |= {new + one.removeprefix(name) for one in moved}
        elif request.method == "DELETE":
            self.files = {one for one in self.files if not one.startswith(name)}
        elif request.method == "PROPFIND":
            return listing(entry("", folder=True), *map(entry, sorted(self.files)))
        elif request.method == "HEAD" and name not in self.files:
            return sabre(404)
        return httpx.Response(
            200 if request.method == "HEAD" else 201 if request.method != "DELETE" else 204
        )

    def _read(self, destination: str) -> str:
        name = unquote(urlsplit(destination).path).removeprefix("/dav/Folder/").rstrip("/")
        for wrong, right in self.mangle.items():
            name = name.partition(wrong)[0] if right == "cut" else name.replace(wrong, right)
        return name


@pytest.mark.parametrize(
    ("mangle", "name"),
    [
        ({"?": "cut"}, "really?.pdf"),
        ({";": "cut"}, "a; b.pdf"),
        ({"#": "cut"}, "C#.pdf"),
        ({"%41": "A"}, "100%.pdf"),
        ({"+": " "}, "a+b.pdf"),
        ({"\n": ""}, "new\nline"),
        ({"\x01": "␁"}, "one\x01"),
        ({"\x7f": "␡"}, "deleted\x7f"),
    ],
)
def test_a_name_that_would_be_misread_is_refused(mangle: dict[str, str], name: str) -> None:
    served = Misreading(mangle)
    served.files.add("old")
    server = Server(served)
    with client(server) as dav:
        mover = DavMover(dav, DavListing(dav), known(dav, AS_PLAIN), trusted=False)
        for _ in range(2):
            with pytest.raises(NameRefusedError, match="misreads"):
                mover.move("old", name)
        assert served.files == {"old"}, "nothing of the attempt is left"
        tried = len(server.requests)
        mover.move("old", "plain.pdf")
        assert len(server.requests) == tried + 1
    assert served.files == {"plain.pdf"}


def test_a_name_that_is_understood_is_tried_once() -> None:
    served = Misreading({})
    served.files.add("old")
    server = Server(served)
    with client(server) as dav:
        mover = DavMover(dav, DavListing(dav), known(dav, AS_PLAIN), trusted=False)
        mover.move("old", "C#.pdf")
        tried = len(server.requests)
        mover.move("C#.pdf", "F#.pdf")
    assert served.files == {"F#.pdf"}
    assert len(server.requests) == tried + 1
