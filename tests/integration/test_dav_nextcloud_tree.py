"""What looking, moving and removing cost on a Nextcloud, and what they never do."""

from __future__ import annotations

import io
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

from paperfleet.errors import (
    AlreadyExistsError,
    CredentialsError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.secret import Secret
from paperfleet.storage.dav.temporary import temporary_beside
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.nextcloud.backend import NextcloudBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.nextcloud_faults import Cut


@pytest.fixture
def server() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as double:
        for name in ("a/1.pdf", "a/2.pdf", "b/c/3.pdf", "d.pdf"):
            double.write(name, name.encode())
        double.make_folder("empty")
        double.requests.clear()
        yield double


@pytest.fixture
def cloud(server: NextcloudDouble) -> Iterator[NextcloudBackend]:
    with backend(server) as storage:
        yield storage


def backend(server: NextcloudDouble, path: str = "", **changes: str) -> NextcloudBackend:
    given = {"user": server.user, "password": server.password} | changes
    return NextcloudBackend(
        server.url + path, username=given["user"], password=Secret(given["password"]), timeout=10
    )


def log(server: NextcloudDouble) -> list[str]:
    return [f"{r.method} {r.path} {r.status}" for r in server.requests]


def test_to_know_that_nothing_changed_costs_one_request(server: NextcloudDouble) -> None:
    with backend(server) as cloud:
        etag = cloud.folder_etag()
    assert log(server) == ["PROPFIND  207"]
    with backend(server) as cloud:
        assert cloud.folder_etag("") == etag
    server.write("b/c/3.pdf", b"changed")
    with backend(server) as cloud:
        assert cloud.folder_etag() != etag


def test_what_it_can_do_is_known_without_a_request(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    can = cloud.capabilities
    assert can.folder_etags
    assert can.save_batch
    assert can.unicode_form == "NFC"
    assert cloud.label == server.url
    assert repr(cloud) == f"<NextcloudBackend {server.url}>"
    assert len(server.requests) == 0


@pytest.mark.parametrize(
    ("call", "requests"),
    [
        (lambda c: c.stat("a/1.pdf"), ["PROPFIND a/1.pdf 207"]),
        (lambda c: c.exists("a/1.pdf"), ["PROPFIND a/1.pdf 207"]),
        (lambda c: list(c.list_stats()), ["PROPFIND  207"]),
        (lambda c: list(c.list_files("b")), ["PROPFIND b 207"]),
        (lambda c: c.list_folder("a"), ["PROPFIND a 207"]),
        (lambda c: c.content_sha256("d.pdf"), ["PATCH d.pdf 204"]),
        (lambda c: c.make_folder("new"), ["MKCOL new 201"]),
        (lambda c: c.open("d.pdf").read(), ["PROPFIND d.pdf 207", "GET d.pdf 200"]),
        (lambda c: c.move("d.pdf", "a/d.pdf"), ["PROPFIND d.pdf 207", "MOVE d.pdf 201"]),
        (
            lambda c: c.move_folder("b", "x", c.folder_etag("b")),
            ["PROPFIND b 207", "PROPFIND b 207", "MOVE b 201"],
        ),
        (lambda c: c.move_folder("b", "x"), ["PROPFIND b 207", "MOVE b 201"]),
        (lambda c: c.delete("d.pdf"), ["PROPFIND d.pdf 207", "DELETE d.pdf 204"]),
        (
            lambda c: c.delete_if("d.pdf", c.stat("d.pdf").etag or ""),
            ["PROPFIND d.pdf 207", "DELETE d.pdf 204"],
        ),
        (lambda c: c.remove_folder("empty"), ["PROPFIND empty 207", "DELETE empty 204"]),
        (lambda c: c.remove_folder("a"), ["PROPFIND a 207"]),
    ],
)
def test_costs(
    server: NextcloudDouble,
    cloud: NextcloudBackend,
    call: Callable[[NextcloudBackend], object],
    requests: list[str],
) -> None:
    call(cloud)
    assert log(server) == requests


def test_only_the_first_request_pays_for_the_password(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    for _ in range(3):
        cloud.folder_etag()
    with cloud:
        cloud.save("new.pdf", io.BytesIO(b"x"))
    assert [request.login for request in server.requests] == ["app"] + ["session"] * 3
    assert server.login.session_files == 1


def test_an_ended_session_costs_one_more_password(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    cloud.folder_etag()
    server.login.log_out()
    cloud.folder_etag()
    cloud.folder_etag()
    assert [request.login for request in server.requests] == ["app", "app", "session"]


def test_a_wrong_password_is_tried_once(server: NextcloudDouble) -> None:
    with backend(server, password="wrong") as cloud:
        for _ in range(5):
            with pytest.raises(CredentialsError):
                cloud.folder_etag()
    assert len(server.login.failures) == 1


def test_the_old_address_is_the_same_place(server: NextcloudDouble) -> None:
    url = f"{server.base_url}/remote.php/webdav/a"
    storage = NextcloudBackend(url, username=server.user, password=Secret(server.password))
    with storage:
        assert list(storage.list_files()) == ["1.pdf", "2.pdf"]
        assert storage.label == f"{server.base_url}/remote.php/dav/files/{server.user}/a/"


def test_a_move_keeps_all_that_belongs_to_a_file(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.write("a/1.pdf", b"second version")
    before = cloud.stat("a/1.pdf")
    cloud.move("a/1.pdf", "new/folder/1.pdf")
    assert cloud.stat("new/folder/1.pdf") == before._replace(name="new/folder/1.pdf")
    assert server.versions("new/folder/1.pdf") == [b"a/1.pdf"]


def test_a_rename_by_case_alone(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    cloud.move("d.pdf", "D.pdf")
    assert "D.pdf" in server.tree()
    cloud.move_folder("a", "A")
    assert "A/1.pdf" in server.tree()


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_move_without_an_answer_is_not_repeated(
    server: NextcloudDouble, cloud: NextcloudBackend, cut: Cut
) -> None:
    server.faults.add("MOVE", "d.pdf", cut=cut)
    with pytest.raises(UnavailableError):
        cloud.move("d.pdf", "e.pdf")
    assert server.requests.count("MOVE") == 1
    assert ("e.pdf" in server.tree()) is (cut == "after")


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_delete_without_an_answer_is_not_repeated(
    server: NextcloudDouble, cloud: NextcloudBackend, cut: Cut
) -> None:
    server.faults.add("DELETE", "d.pdf", cut=cut)
    with pytest.raises(UnavailableError):
        cloud.delete("d.pdf")
    assert server.requests.count("DELETE") == 1
    assert ("d.pdf" in server.tree()) is (cut == "before")


def test_a_folder_that_changed_is_not_moved(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    etag = cloud.folder_etag("a")
    server.write("a/theirs.pdf", b"theirs")
    with pytest.raises(PreconditionFailedError):
        cloud.move_folder("a", "x", etag)
    assert "a/theirs.pdf" in server.tree()


def test_a_folder_is_not_moved_onto_another(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    for etag in (None, cloud.folder_etag("a")):
        with pytest.raises(AlreadyExistsError):
            cloud.move_folder("a", "b", etag)
    with pytest.raises(NotFoundError):
        cloud.move_folder("missing", "x", '"1"')
    assert {"a/1.pdf", "b/c/3.pdf"} <= set(server.tree())


@pytest.mark.parametrize("kind", [NextcloudBackend, WebDavBackend])
def test_a_foreign_edit_of_a_file_stays_also_after_a_folder_was_removed(
    server: NextcloudDouble, kind: type[NextcloudBackend | WebDavBackend]
) -> None:
    """What the server makes of a condition on a folder says nothing of those on files."""
    with kind(server.url, username=server.user, password=Secret(server.password)) as cloud:
        assert cloud.remove_folder("empty")
        theirs = partial(server.write, "d.pdf", b"theirs", mtime=1)
        server.faults.add("DELETE", "d.pdf", meanwhile=theirs)
        with pytest.raises(PreconditionFailedError):
            cloud.delete("d.pdf")
    assert server.read("d.pdf") == b"theirs"


def test_a_folder_with_anything_in_it_stays(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.write(f"x/{temporary_beside('y')}", b"being saved by somebody")
    assert not cloud.remove_folder("x")
    server.make_folder("y/z")
    assert not cloud.remove_folder("y")
    assert cloud.remove_folder("y/z")
    assert cloud.remove_folder("missing")
    assert not cloud.remove_folder("d.pdf"), "a file is no folder"
    assert "d.pdf" in server.tree()


def test_what_is_put_into_a_folder_at_this_moment_goes_to_the_trash_with_it(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    """No condition of a folder holds at a Nextcloud, so the look right before is all there is."""
    theirs = partial(server.write, "empty/theirs.pdf", b"theirs")
    server.faults.add("DELETE", "empty", meanwhile=theirs)
    assert cloud.remove_folder("empty")
    assert [entry.origin for entry in server.files.trash.entries.values()] == ["empty"]


def test_what_is_put_into_a_folder_before_the_look_keeps_it(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    theirs = partial(server.write, "empty/theirs.pdf", b"theirs")
    server.faults.add("PROPFIND", "empty", meanwhile=theirs)
    assert not cloud.remove_folder("empty")
    assert "empty/theirs.pdf" in server.tree()


@pytest.mark.parametrize(
    "call", [lambda c: c.delete("a"), lambda c: c.delete_if("a", c.folder_etag("b"))]
)
def test_delete_never_takes_a_folder(
    server: NextcloudDouble, cloud: NextcloudBackend, call: Callable[[NextcloudBackend], None]
) -> None:
    with pytest.raises(StorageError):
        call(cloud)
    assert {"a/1.pdf", "a/2.pdf"} <= set(server.tree())


def test_a_file_that_becomes_a_folder_at_this_moment_is_not_deleted(
    server: NextcloudDouble, cloud: NextcloudBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = cloud._listing.look

    def slow(name: str, *, operation: str) -> object:
        found = look(name, operation=operation)
        if server.files.find("d.pdf/theirs") is None:
            server.delete("d.pdf")
            server.write("d.pdf/theirs", b"theirs")
        return found

    monkeypatch.setattr(cloud._listing, "look", slow)
    with pytest.raises(PreconditionFailedError):
        cloud.delete("d.pdf")
    assert server.read("d.pdf/theirs") == b"theirs"


def test_a_sweep_takes_old_temporary_files_of_saves_alone(
    server: NextcloudDouble, cloud: NextcloudBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("paperfleet.storage.dav.temporary.time.time", lambda: now - 1000)
    old = temporary_beside("a/x")
    monkeypatch.undo()
    fresh, step = temporary_beside("a/x"), "a/.paperfleet-0123456789abcdef0123456789abcdef"
    for name in (old, fresh, step):
        server.write(name, b"x")
    assert not {old, fresh, step} & set(cloud.list_files())
    assert not {old, fresh, step} & {file.name for file in cloud.list_folder("a").files}
    assert cloud.sweep(500) == 1
    assert old not in server.tree()
    assert {fresh, step} <= set(server.tree())


def test_reading_a_part(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    content = bytes(range(256)) * 8000
    server.write("big.bin", content)
    server.requests.clear()
    with cloud.open("big.bin") as stream:
        stream.seek(-100, io.SEEK_END)
        assert stream.read() == content[-100:]
        stream.seek(1000)
        assert stream.read(50) == content[1000:1050]
    assert log(server)[1:] == ["GET big.bin 206", "GET big.bin 206"]


@pytest.mark.parametrize("cut", ["before", "middle"])
def test_a_cut_answer_is_an_error_and_no_short_file(
    server: NextcloudDouble, cloud: NextcloudBackend, cut: Cut
) -> None:
    server.write("big.bin", bytes(500_000))
    server.faults.add("GET", "big.bin", cut=cut, times=2)
    with cloud.open("big.bin") as stream, pytest.raises(UnavailableError):
        stream.read()
