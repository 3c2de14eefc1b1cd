"""Listing a tree: in one request where the server can, folder by folder where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import httpx
import pytest
from tests.unit.dav_kit import Server, client, entry, listing, sabre

from paperfleet.errors import (
    CredentialsError,
    FileAccessError,
    NotAStorageError,
    NotFoundError,
    UnavailableError,
)
from paperfleet.storage.dav.listing import PATIENCE, DavListing

if TYPE_CHECKING:
    from collections.abc import Callable

TREE = ("a/b/c", "a/d", "e", "f/g/h/i", "empty/")
"""The files of a small server, and a folder with nothing in it."""


class Tree:
    """A server with these files, that lists as deep as it is asked, or as ``limit`` allows."""

    def __init__(self, names: tuple[str, ...] = TREE, limit: Callable[[str], str] = str) -> None:
        self.names, self.limit = names, limit

    def __call__(self, request: httpx.Request) -> httpx.Response:
        depth = self.limit(request.headers["depth"])
        if depth == "refused":
            return sabre(403, "propfind-finite-depth")
        path = unquote(request.url.path).removeprefix("/dav/Folder").strip("/")
        inside = path + "/" if path else ""
        if request.url.path.rstrip("/") != "/dav/Folder" and not self._is_there(path):
            return sabre(404)
        below = {name for name in self._all() if name.startswith(inside) and name != inside}
        if depth == "1":
            below = {name for name in below if "/" not in name[len(inside) :].rstrip("/")}
        shown = [] if depth == "0" else sorted(below)
        own = entry(path, folder=path not in self.names)
        return listing(own, *(entry(name.rstrip("/"), folder=name.endswith("/")) for name in shown))

    def _is_there(self, path: str) -> bool:
        return path in self.names or path + "/" in self._all()

    def _all(self) -> set[str]:
        folders = {
            "/".join(name.split("/")[:depth]) + "/"
            for name in self.names
            for depth in range(1, name.count("/") + 1)
        }
        return set(self.names) | folders


def entry_status(name: str, status: str) -> str:
    """Return an entry that has a status and no properties."""
    href = f"<d:href>/dav/Folder/{name}</d:href>"
    return f"<d:response>{href}<d:status>{status}</d:status></d:response>"


FILES = sorted(name for name in TREE if not name.endswith("/"))


def names(lister: DavListing, prefix: str = "") -> list[str]:
    return sorted(stat.name for stat in lister.walk(prefix))


def depths(server: Server) -> list[str]:
    return [request.headers["depth"] for request in server.requests]


def test_one_request_where_the_server_can() -> None:
    server = Server(Tree())
    with client(server) as dav:
        lister = DavListing(dav)
        assert names(lister) == FILES
        assert depths(server) == ["infinity", "0"], "once one more, about etags"
        server.requests.clear()
        assert names(lister) == FILES
        assert names(lister, "a") == ["a/b/c", "a/d"]
        assert names(lister, "empty") == []
    assert depths(server) == ["infinity"] * 3


@pytest.mark.parametrize("limited", ["refused", "1"])
def test_folder_by_folder_where_it_cannot(limited: str) -> None:
    server = Server(Tree(limit=lambda depth: limited if depth == "infinity" else depth))
    with client(server) as dav:
        lister = DavListing(dav)
        assert names(lister) == FILES
        assert depths(server).count("infinity") == 1
        server.requests.clear()
        assert names(lister) == FILES
    assert set(depths(server)) == {"1"}, "the refusal is remembered"


def test_folders_that_are_really_empty_are_no_refusal() -> None:
    server = Server(Tree(("a", "empty/", "also empty/")))
    with client(server) as dav:
        lister = DavListing(dav)
        assert names(lister) == ["a"]
        assert names(lister) == ["a"]
    assert depths(server).count("infinity") == 2


def test_a_trusted_server_is_not_asked_twice() -> None:
    server = Server(Tree(("a", "empty/")))
    with client(server) as dav:
        assert names(DavListing(dav, trusted=True)) == ["a"]
    assert depths(server) == ["infinity"]


def test_nothing_is_asked_before_the_first_name() -> None:
    server = Server(Tree())
    with client(server) as dav:
        walk = DavListing(dav).walk("")
        assert server.requests == []
        next(walk)
        walk.close()  # type: ignore[attr-defined]  # a generator


def test_own_temporary_files_and_unreadable_names_are_hidden() -> None:
    hidden = (".paperfleet-x", "a/.paperfleet-put-1", ".paperfleet-folder/b")
    answer = listing(
        entry("", folder=True),
        *(entry(name) for name in (*hidden, "a/shown")),
        entry("latin").replace("latin", "%E4"),
    )
    server = Server([answer])
    with client(server) as dav:
        assert names(DavListing(dav)) == ["a/shown"]


def test_only_temporary_files() -> None:
    server = Server([listing(entry("", folder=True), entry("a"), entry("b/.paperfleet-x"))])
    with client(server) as dav:
        assert list(DavListing(dav).temporaries()) == ["b/.paperfleet-x"]


def test_a_missing_folder_gives_nothing() -> None:
    server = Server(Tree())
    with client(server) as dav:
        assert names(DavListing(dav), "missing") == []
        assert names(DavListing(dav), "e") == [], "a file is no folder"


def test_a_missing_root_gives_nothing_when_the_folder_above_is_there() -> None:
    above = listing(entry("").replace("/dav/Folder/", "/dav/"))
    server = Server(lambda r: above if r.url.path == "/dav/" else sabre(404))
    with client(server) as dav:
        assert names(DavListing(dav)) == []
    assert server.log == ["PROPFIND /dav/Folder/", "PROPFIND /dav/"]


@pytest.mark.parametrize(
    "answer",
    [
        sabre(404),
        httpx.Response(404, html="<h1>Not found</h1>"),
        httpx.Response(405),
        httpx.Response(200, html="<h1>Log in</h1>"),
        httpx.Response(501),
        httpx.Response(207, html="<h1>Log in</h1>"),
        httpx.Response(400, html="Access through untrusted domain"),
    ],
)
def test_no_webdav_at_all(answer: httpx.Response) -> None:
    server = Server(lambda _: answer)
    with client(server) as dav, pytest.raises(NotAStorageError):
        names(DavListing(dav))


def test_a_wrong_password_is_tried_once() -> None:
    server = Server([sabre(401)])
    with client(server) as dav, pytest.raises(CredentialsError):
        names(DavListing(dav))
    assert len(server.requests) == 1


def test_an_entry_that_cannot_be_read_stops_the_listing() -> None:
    refused = entry_status("a", "HTTP/1.1 403 Forbidden")
    server = Server([listing(entry("", folder=True), entry("b"), refused)])
    with client(server) as dav, pytest.raises(FileAccessError):
        names(DavListing(dav))


def test_an_entry_that_went_away_does_not() -> None:
    gone = entry_status("a", "HTTP/1.1 404 Not Found")
    server = Server([listing(entry("", folder=True), gone, entry("b"))])
    with client(server) as dav:
        assert names(DavListing(dav, trusted=True)) == ["b"]


def test_a_listing_from_elsewhere_is_refused() -> None:
    foreign = entry("a").replace("/dav/Folder/a", "/etc/passwd")
    server = Server([listing(entry("", folder=True), foreign)])
    with client(server) as dav, pytest.raises(NotAStorageError, match="not below"):
        names(DavListing(dav))


def test_a_whole_tree_that_always_breaks_off_is_listed_by_folders() -> None:
    broken = listing(entry("", folder=True), entry("a")).content[:-20]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["depth"] == "infinity":
            return httpx.Response(207, content=broken)
        return Tree()(request)

    server = Server(answer)
    with client(server) as dav:
        lister = DavListing(dav)
        for _ in range(PATIENCE):
            with pytest.raises(UnavailableError):
                names(lister)
        assert names(lister) == FILES


def test_a_folder_that_vanishes_on_the_way() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["depth"] == "infinity":
            return sabre(403)
        if request.url.path.endswith("/gone/"):
            return sabre(404)
        return listing(entry("", folder=True), entry("gone", folder=True), entry("a"))

    with client(Server(answer)) as dav:
        assert names(DavListing(dav)) == ["a"]


def test_looking() -> None:
    with client(Server(Tree())) as dav:
        lister = DavListing(dav)
        found = lister.look("a/d", operation="stat")
        assert found is not None
        assert (found.stat.name, found.stat.size, found.stat.etag) == ("a/d", 1, '"e"')
        assert lister.look("missing", operation="stat") is None
        folder, children = lister.children("a", operation="list")
        assert (folder.name, [child.name for child in children]) == ("a", ["a/b", "a/d"])
        for name in ("missing", "e"):
            with pytest.raises(NotFoundError):
                lister.children(name, operation="list")


def test_an_answer_about_many_is_no_answer_about_one() -> None:
    server = Server([listing(entry("a"), entry("b"))])
    with client(server) as dav, pytest.raises(NotAStorageError, match="2 resources"):
        DavListing(dav).look("a", operation="stat")
