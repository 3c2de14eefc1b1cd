"""Dialects of WebDAV: one small server for each, and what is promised with all of them."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import ServerPlace, storage_on
from tests.servers.dialect_server import Dialect, DialectServer, dialect_server

from paperfleet import errors
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = {
    "a.pdf": b"a",
    "empty.pdf": b"",
    "folder/b #1?.pdf": b"bb",
    "folder/deep/c.pdf": b"ccc",
    "other/d.pdf": b"dddd",
}


def changed(**fields: object) -> Dialect:
    dialect = Dialect()
    for key, value in fields.items():
        setattr(dialect, key, value)
    return dialect


LISTINGS = {
    "one propstat for each property": changed(propstats=True),
    "no length in a listing": changed(lengths=False),
    "no length at all": changed(lengths=False, head_lengths=False),
    "two slashes in front": changed(slashes="//"),
    "an href as it is typed": changed(raw="#?"),
    "another etag with each request": changed(fresh_etags=True),
    "a tree that is cut": changed(most_entries=3),
}


@contextmanager
def storage(server: DialectServer) -> Iterator[WebDavBackend]:
    backend = storage_on(server)
    assert isinstance(backend, WebDavBackend)
    with backend:
        yield backend


@pytest.fixture(params=LISTINGS)
def dialect(request: pytest.FixtureRequest) -> Iterator[DialectServer]:
    with dialect_server(LISTINGS[request.param]) as server:
        yield server


def test_a_listing_is_whole_and_true(dialect: DialectServer) -> None:
    for name, content in FILES.items():
        dialect.write(name, content)
    with storage(dialect) as store:
        for _ in range(2):
            assert {s.name: s.size for s in store.list_stats()} == {
                name: len(content) for name, content in FILES.items()
            }
            assert list(store.list_files()) == sorted(FILES)
        for name, content in FILES.items():
            assert store.size(name) == len(content)
            with store.open(name) as stream:
                assert stream.read() == content


def test_a_file_is_saved_replaced_moved_and_deleted(dialect: DialectServer) -> None:
    with storage(dialect) as store:
        for content in (b"first", b"second, longer"):
            assert store.save("new/x.pdf", io.BytesIO(content)) == "new/x.pdf"
        store.move("new/x.pdf", "moved/y.pdf")
        assert dialect.tree() == {"moved/y.pdf": b"second, longer"}
        store.delete("moved/y.pdf")
        assert dialect.tree() == {}


def test_a_mirror_is_at_rest_with_it(dialect: DialectServer, tmp_path: Path) -> None:
    rig = Rig(tmp_path, ServerPlace(dialect), storage=storage_on(dialect))
    rig.write(FILES)
    rig.sync()
    rig.path("a.pdf").unlink()
    rig.path("other/d.pdf").rename(rig.path("e.pdf"))
    rig.sync()
    dialect.requests.clear()
    rig.sync()
    assert dialect.requests.count("PUT") == dialect.requests.count("DELETE") == 0


def test_a_folder_that_is_listed_in_part_is_told_and_never_taken_for_all() -> None:
    with dialect_server(changed(most_entries=2, most_children=2)) as server:
        for name, content in FILES.items():
            server.write(name, content)
        with storage(server) as store:
            with pytest.raises(errors.NotAStorageError, match="only a part") as caught:
                list(store.list_stats())
            assert "full" not in str(caught.value)
            with pytest.raises(errors.NotAStorageError, match="only a part"):
                store.remove_folder("folder")
        assert server.tree() == FILES


def test_a_seek_in_a_file_whose_etag_changes_with_each_request() -> None:
    content = bytes(range(256)) * 4096
    with dialect_server(changed(fresh_etags=True)) as server:
        server.write("large.pdf", content)
        with storage(server) as store, store.open("large.pdf") as stream:
            assert stream.read(10) == content[:10]
            stream.seek(900_000)
            assert stream.read(10) == content[900_000:900_010]
