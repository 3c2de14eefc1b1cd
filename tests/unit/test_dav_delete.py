"""Deleting one state of a file on any WebDAV server: one look, one DELETE on its condition."""

from __future__ import annotations

import httpx
import pytest
from tests.unit.dav_kit import URL, Server, entry, listing

from paperfleet.errors import NotFoundError, PreconditionFailedError
from paperfleet.storage.dav.webdav import WebDavBackend


def test_the_state_that_is_there() -> None:
    server = Server([listing(entry("a", etag='"e"')), httpx.Response(204)])
    with WebDavBackend(URL, transport=server.transport) as storage:
        storage.delete_if("a", '"e"')
    assert server.log == ["PROPFIND /dav/Folder/a", "DELETE /dav/Folder/a"]
    assert server.requests[1].headers["if-match"] == '"e"'


def test_another_state_is_left_alone() -> None:
    server = Server([listing(entry("a", etag='"other"'))])
    with (
        WebDavBackend(URL, transport=server.transport) as storage,
        pytest.raises(PreconditionFailedError),
    ):
        storage.delete_if("a", '"e"')
    assert server.log == ["PROPFIND /dav/Folder/a"]


@pytest.mark.parametrize(
    "answer", [httpx.Response(404), listing(entry("a", folder=True))], ids=["nothing", "a folder"]
)
def test_no_file(answer: httpx.Response) -> None:
    server = Server([answer])
    with WebDavBackend(URL, transport=server.transport) as storage, pytest.raises(NotFoundError):
        storage.delete_if("a", '"e"')
    assert [request.method for request in server.requests] == ["PROPFIND"]
