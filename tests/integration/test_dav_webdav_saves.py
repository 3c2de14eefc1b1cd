"""How files come to any WebDAV server: whole or not at all, whatever happens on the way.

The Nextcloud double serves as a plain server here, as it can be told to fail.
"""

from __future__ import annotations

import hashlib
import io
import random
from typing import TYPE_CHECKING

import pytest
from tests.servers.kinds import KINDS
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    CredentialsError,
    FileAccessError,
    IntegrityError,
    LockedError,
    NameRefusedError,
    NotAStorageError,
    PreconditionFailedError,
    QuotaExceededError,
    StorageError,
    TooLargeError,
    UnavailableError,
)
from paperfleet.model import ABSENT, ANYTHING, FileStat, Precondition, Upload
from paperfleet.secret import Secret
from paperfleet.storage.dav import client as client_module
from paperfleet.storage.dav import webdav
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.base import WebDavServer
    from tests.servers.nextcloud_faults import Cut

CONTENT = random.Random(6).randbytes(400_000)  # noqa: S311 (test data, no secret)
TIME = 1_500_000_000 * 10**9


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NextcloudDouble]:
    monkeypatch.setattr(client_module, "UNLOCKING", (0.01,))
    with nextcloud_double() as double:
        double.make_folder("a")
        yield double


@pytest.fixture
def storage(server: NextcloudDouble) -> Iterator[WebDavBackend]:
    with backend(server) as dav:
        dav.save_with("warm", upload(b"x"), ANYTHING)  # learns what the server can
        server.delete("warm")
        server.requests.clear()
        yield dav


def backend(server: WebDavServer) -> WebDavBackend:
    return WebDavBackend(
        server.url,
        username=server.user,
        password=Secret(server.password),
        timeout=10,
        verify=server.verify,
    )


def upload(content: bytes) -> Upload:
    sha256 = hashlib.sha256(content).hexdigest()
    return Upload(lambda: io.BytesIO(content), len(content), TIME, sha256)


def methods(server: NextcloudDouble) -> list[str]:
    return [request.method for request in server.requests]


def left(server: NextcloudDouble) -> dict[str, bytes]:
    """Return the documents; there must be nothing else."""
    server.wait_until_idle()
    return server.tree()


def test_a_new_file_costs_three_requests(server: NextcloudDouble, storage: WebDavBackend) -> None:
    saved = storage.save_with("a/b", upload(CONTENT), ABSENT)
    assert methods(server) == ["PUT", "HEAD", "MOVE"]
    assert saved == storage.stat("a/b")
    assert left(server) == {"a/b": CONTENT}


def test_a_file_that_is_replaced_costs_five(
    server: NextcloudDouble, storage: WebDavBackend
) -> None:
    server.write("a/b", b"old")
    storage.save_with("a/b", upload(CONTENT), ANYTHING)
    assert methods(server) == ["PUT", "HEAD", "MOVE", "PROPFIND", "MOVE"]
    assert left(server) == {"a/b": CONTENT}


def test_a_state_that_is_known_costs_four(server: NextcloudDouble, storage: WebDavBackend) -> None:
    etag = storage.save_with("a/b", upload(b"old"), ABSENT).etag
    server.requests.clear()
    storage.save_with("a/b", upload(CONTENT), Precondition(etag=etag))
    assert methods(server) == ["PUT", "HEAD", "PROPFIND", "MOVE"]


@pytest.mark.parametrize("method", ["PUT", "HEAD", "PROPFIND", "MOVE"])
@pytest.mark.parametrize("cut", ["before", "middle", "after"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_cut_anywhere_leaves_the_old_file_or_the_new_one(
    server: NextcloudDouble,
    storage: WebDavBackend,
    method: str,
    cut: Cut,
    old: bytes | None,
) -> None:
    if old is not None:
        server.write("a/b", old)
    server.faults.add(method, "a/*", cut=cut, times=2)
    try:
        storage.save_with("a/b", upload(CONTENT), ANYTHING)
    except UnavailableError:
        assert left(server) in ({}, {"a/b": b"old"}, {"a/b": CONTENT})
        server.faults.clear()
        storage.save_with("a/b", upload(CONTENT), ANYTHING)
    assert left(server) == {"a/b": CONTENT}


@pytest.mark.parametrize("cut", ["middle", "after"])
def test_a_move_without_an_answer_that_took_effect_is_a_success(
    server: NextcloudDouble, storage: WebDavBackend, cut: Cut
) -> None:
    server.faults.add("MOVE", "a/*", cut=cut)
    saved = storage.save_with("a/b", upload(CONTENT), ABSENT)
    assert saved.size == len(CONTENT)
    assert methods(server).count("MOVE") == 1
    assert left(server) == {"a/b": CONTENT}


def test_a_move_that_did_not_happen_leaves_nothing(
    server: NextcloudDouble, storage: WebDavBackend
) -> None:
    server.faults.add("MOVE", "a/*", cut="before")
    with pytest.raises(UnavailableError):
        storage.save_with("a/b", upload(CONTENT), ABSENT)
    assert left(server) == {}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, CredentialsError),
        (403, FileAccessError),
        (413, TooLargeError),
        (415, NameRefusedError),
        (423, LockedError),
        (429, BusyError),
        (500, BusyError),
        (501, NotAStorageError),
        (507, QuotaExceededError),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "MOVE"])
def test_refusals(
    server: NextcloudDouble,
    storage: WebDavBackend,
    method: str,
    status: int,
    expected: type[StorageError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webdav, "WORKING", ())
    server.write("a/b", b"old")
    server.faults.add(method, "a/*", status=status, times=None)
    with pytest.raises(StorageError) as caught:
        storage.save_with("a/b", upload(CONTENT), ANYTHING)
    assert type(caught.value) is expected
    documents = {
        name: content for name, content in left(server).items() if ".paperfleet-" not in name
    }
    assert documents == {"a/b": b"old"}
    kept = status == 401 or (method == "MOVE" and status in {423, 429})
    assert len(left(server)) <= 1 + kept, "what has only to wait is not sent again"


def test_what_a_refused_login_left_is_swept(
    server: NextcloudDouble, storage: WebDavBackend
) -> None:
    server.faults.add("MOVE", "a/*", status=401)
    with pytest.raises(CredentialsError):
        storage.save_with("a/b", upload(CONTENT), ABSENT)
    with backend(server) as later:
        assert list(later.list_files()) == []
        assert later.sweep(3600) == 0
        assert later.sweep(-1) == 1
    assert left(server) == {}


def test_an_upload_that_did_not_arrive_whole_never_replaces(
    server: NextcloudDouble, storage: WebDavBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.write("a/b", b"old")
    look = storage._arrivals.look

    def shorter(uploaded: str, name: str) -> FileStat:
        found = look(uploaded, name)
        return found._replace(size=found.size - 1)

    monkeypatch.setattr(storage._arrivals, "look", shorter)
    with pytest.raises(IntegrityError, match="399999 of 400000 bytes arrived"):
        storage.save_with("a/b", upload(CONTENT), ANYTHING)
    assert left(server) == {"a/b": b"old"}


def test_a_folder_is_never_replaced(server: NextcloudDouble, storage: WebDavBackend) -> None:
    """A MOVE with Overwrite: T would delete all that is in it (RFC 4918, 9.9.3)."""
    server.write("a/b/theirs", b"theirs")
    for expect in (ANYTHING, ABSENT, Precondition(exists=True), Precondition(etag='"1"')):
        with pytest.raises((AlreadyExistsError, PreconditionFailedError)):
            storage.save_with("a/b", upload(CONTENT), expect)
    assert left(server) == {"a/b/theirs": b"theirs"}


def test_a_server_that_cannot_replace_says_so(
    server: NextcloudDouble, storage: WebDavBackend
) -> None:
    server.write("a/b", b"old")
    server.faults.add("MOVE", "a/*", status=412, times=None)
    with pytest.raises(FileAccessError, match="cannot replace"):
        storage.save_with("a/b", upload(CONTENT), ANYTHING)
    assert left(server) == {"a/b": b"old"}


def test_a_server_that_changes_the_etag_with_the_move(server: NextcloudDouble) -> None:
    with backend(server) as storage:
        place = storage._listing.look

        def other_etag(name: str, *, operation: str) -> object:
            found = place(name, operation=operation)
            return found and found._replace(entry=found.entry._replace(etag=f'"{name}"'))

        storage._listing.look = other_etag  # type: ignore[method-assign,assignment]  # a stand-in
        for name in ("a/b", "a/c"):
            assert storage.save_with(name, upload(b"x"), ABSENT).etag == f'"{name}"'


def test_an_error_after_the_move_does_not_say_that_nothing_happened(
    server: NextcloudDouble,
) -> None:
    with backend(server) as storage:
        server.faults.add("PROPFIND", "a/b", status=429)
        with pytest.raises(UnavailableError, match="it was written") as caught:
            storage.save_with("a/b", upload(CONTENT), ABSENT)
    assert type(caught.value) in {UnavailableError, BusyError}
    assert left(server) == {"a/b": CONTENT}


@pytest.mark.parametrize("kind", list(KINDS))
def test_times(kind: str) -> None:
    chosen = KINDS[kind]
    if reason := chosen.missing():
        pytest.skip(reason)
    with chosen.start() as server, backend(server) as storage:
        storage.save_with("a", upload(b"x"), ABSENT)
        kept = storage.capabilities.keeps_modified
        assert kept is (kind in {"rclone", "nextcloud"})
        assert (storage.stat("a").modified_ns == TIME) is kept


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_new_folder_and_its_files_at_once(kind: str) -> None:
    """Many threads need the same missing folders, and none of them fails."""
    from concurrent.futures import ThreadPoolExecutor

    chosen = KINDS[kind]
    if reason := chosen.missing():
        pytest.skip(reason)
    names = [f"2024/{number % 3}/deep/{number}.pdf" for number in range(48)]
    with chosen.start() as server, backend(server) as storage, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.save_with(name, upload(name.encode()), ABSENT), names))
        assert sorted(storage.list_files()) == sorted(names)
        assert server.tree() == {name: name.encode() for name in names}
