"""A look at an upload: by HEAD where that says what a listing says, else by PROPFIND."""

from __future__ import annotations

import httpx
import pytest
from tests.unit.dav_kit import Server, client, entry, listing

from paperfleet.errors import IntegrityError
from paperfleet.storage.dav.arrivals import UploadCheck
from paperfleet.storage.dav.listing import DavListing

DATE = "Fri, 14 Jul 2017 02:40:00 GMT"
SAME = {"Content-Length": "5", "ETag": 'W/"e"', "Last-Modified": DATE}


def methods(headers: dict[str, str], status: int = 200) -> list[str]:
    """Look at three files of a server whose HEAD answers so; return what it was asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "HEAD":
            return httpx.Response(status, headers=headers)
        return listing(entry(request.url.path.removeprefix("/dav/Folder/"), size=5))

    server = Server(answer)
    with client(server) as dav:
        arrivals = UploadCheck(dav, DavListing(dav))
        for name in ("a", "b", "c"):
            seen = arrivals.look(name, name)
            assert (seen.name, seen.size, seen.etag) == (name, 5, '"e"')
    return [request.method for request in server.requests]


def test_head_is_relied_upon_once_it_said_the_same() -> None:
    assert methods(SAME) == ["PROPFIND", "HEAD", "HEAD", "HEAD"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (SAME | {"Content-Length": "6"}, 200),
        (SAME | {"ETag": '"other"'}, 200),
        (SAME | {"Last-Modified": "Fri, 14 Jul 2017 02:40:01 GMT"}, 200),
        ({"ETag": '"e"', "Last-Modified": DATE}, 200),
        ({"Content-Length": "5"}, 200),
        (SAME, 405),
    ],
)
def test_head_that_says_anything_else_is_not(headers: dict[str, str], status: int) -> None:
    assert methods(headers, status) == ["PROPFIND", "HEAD", "PROPFIND", "PROPFIND"]


def test_an_upload_that_vanished() -> None:
    vanished = False

    def answer(request: httpx.Request) -> httpx.Response:
        if vanished:
            return httpx.Response(404)
        if request.method == "HEAD":
            return httpx.Response(200, headers=SAME)
        return listing(entry("a", size=5))

    with client(Server(answer)) as dav:
        arrivals = UploadCheck(dav, DavListing(dav))
        arrivals.look("a", "a")
        vanished = True
        with pytest.raises(IntegrityError, match="vanished"):
            arrivals.look("a", "a")
