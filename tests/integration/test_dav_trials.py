"""What a server does is found out by trying once, with files of our own, and proven by effect.

Each server here does one thing otherwise than RFC 4918 asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.servers.kinds import KINDS
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.quirky_server import Quirks, quirky_server
from tests.servers.rclone_server import rclone_binary, rclone_server
from tests.wide import first_of

from paperfleet.errors import (
    AlreadyExistsError,
    NameRefusedError,
    NotAStorageError,
    QuotaExceededError,
    UnavailableError,
)
from paperfleet.model import ABSENT, ANYTHING, Upload
from paperfleet.secret import Secret
from paperfleet.storage.dav import accepted, arrivals, trials, webdav
from paperfleet.storage.dav.temporary import temporary_beside
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.base import WebDavServer
    from tests.servers.quirky_server import QuirkyServer

TIME = 1_500_000_000 * 10**9


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepted, "PAUSES", (0.0,) * 5)
    monkeypatch.setattr(trials, "WORKING", ())
    monkeypatch.setattr(trials, "REST", 0.0)


@contextmanager
def quirky(quirks: Quirks) -> Iterator[tuple[QuirkyServer, WebDavBackend]]:
    with quirky_server(quirks) as server, WebDavBackend(server.url, timeout=10) as storage:
        yield server, storage


def put(storage: WebDavBackend, name: str, content: bytes = b"ours") -> str:
    return storage.save(name, io.BytesIO(content))


def dated(content: bytes) -> Upload:
    sha256 = hashlib.sha256(content).hexdigest()
    return Upload(lambda: io.BytesIO(content), len(content), TIME, sha256)


def methods(server: QuirkyServer) -> list[str]:
    return [request.method for request in server.requests]


def on(server: WebDavServer) -> WebDavBackend:
    secret = Secret(server.password)
    return WebDavBackend(server.url, username=server.user, password=secret, verify=server.verify)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_folder_of_a_trial_that_stays_is_told_and_swept(status: int) -> None:
    with nextcloud_double() as double, on(double) as storage:
        double.faults.add("DELETE", status=status, times=1)
        with pytest.raises(UnavailableError, match="a folder in which the server was tried stays"):
            put(storage, "a.pdf")
        put(storage, "a.pdf")
        assert storage.sweep(0.0) >= 1
        assert double.tree() == {"a.pdf": b"ours"}


class TestHiddenNames:
    """A server that does not list names with a leading dot."""

    def test_a_folder_with_a_hidden_file_of_others_stays(self) -> None:
        with quirky(Quirks(hides_dots=True)) as (server, storage):
            put(storage, "folder/a.pdf")
            server.files["folder/.notes"] = b"theirs"
            storage.delete("folder/a.pdf")
            assert storage.remove_folder("folder") is False
            assert server.files == {"folder/.notes": b"theirs"}

    def test_an_empty_folder_stays_too(self) -> None:
        """Nobody can know that it is empty."""
        with quirky(Quirks(hides_dots=True)) as (server, storage):
            storage.make_folder("folder")
            assert storage.remove_folder("folder") is False
            assert server.folders == {"folder"}

    def test_an_empty_folder_goes_where_all_names_are_listed(self) -> None:
        with quirky(Quirks()) as (server, storage):
            storage.make_folder("folder")
            server.files["folder/.notes"] = b"theirs"
            assert storage.remove_folder("folder") is False
            del server.files["folder/.notes"]
            assert storage.remove_folder("folder") is True
            assert server.folders == set()

    def test_temporary_files_are_listed_and_swept(self) -> None:
        with quirky(Quirks(hides_dots=True)) as (server, storage):
            put(storage, "folder/a.pdf")
            server.quirks.refusals = {"MOVE": 403, "DELETE": 403}
            with pytest.raises(PermissionError):
                put(storage, "folder/b.pdf")
            server.quirks.refusals = {}
            assert list(storage.list_files()) == ["folder/a.pdf"], "not a document"
            assert len(server.files) == 2
            with WebDavBackend(server.url) as later:
                assert later.sweep(-1) == 1
            assert list(server.files) == ["folder/a.pdf"]

    def test_what_this_process_left_is_swept_also_where_it_is_not_listed(self) -> None:
        with quirky(Quirks(hides_dots=True)) as (server, storage):
            left = temporary_beside("a.pdf")
            server.files[left] = b"half"
            server.quirks.refusals = {"DELETE": 403}
            assert storage._temporaries.discard(left) is False
            server.quirks.refusals = {}
            assert storage.sweep(3600) == 0
            assert storage.sweep(-1) == 1
            assert server.files == {}

    def test_a_document_that_no_listing_would_show_is_refused(self) -> None:
        with quirky(Quirks(hides_dots=True)) as (server, storage):
            put(storage, "a.pdf")
            for name in (".hidden.pdf", ".folder/a.pdf"):
                with pytest.raises(NameRefusedError, match="begin with a dot"):
                    put(storage, name)
                with pytest.raises(NameRefusedError, match="begin with a dot"):
                    storage.move("a.pdf", name)
            assert server.files == {"a.pdf": b"ours"}

    def test_it_is_said_once(self, caplog: pytest.LogCaptureFixture) -> None:
        with quirky(Quirks(hides_dots=True)) as (_, storage):
            for number in range(3):
                put(storage, f"{number}.pdf")
        said = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(said) == 1
        assert "does not list names that begin with a dot" in said[0].getMessage()

    def test_nginx_keeps_the_hidden_file_of_others(self) -> None:
        if reason := KINDS["nginx"].missing():
            pytest.skip(reason)
        with KINDS["nginx"].start() as server, on(server) as storage:
            put(storage, "folder/a.pdf")
            server.write("folder/.notes", b"theirs")
            storage.delete("folder/a.pdf")
            assert storage.remove_folder("folder") is False
            assert server.tree() == {"folder/.notes": b"theirs"}


class TestOverwriteF:
    """A server that does not honour ``Overwrite: F``, or honours it in its own words."""

    def test_nothing_is_replaced_where_it_is_ignored(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with quirky(Quirks(conflict=None)) as (server, storage):
            put(storage, "a.pdf")
            server.files["theirs.pdf"] = b"theirs"
            with pytest.raises(AlreadyExistsError):
                storage.move("a.pdf", "theirs.pdf")
            with pytest.raises(AlreadyExistsError):
                storage.save_with("theirs.pdf", dated(b"ours"), ABSENT)
            assert server.files == {"a.pdf": b"ours", "theirs.pdf": b"theirs"}
        said = [r.getMessage() for r in caplog.records if "ignores Overwrite: F" in r.getMessage()]
        assert len(said) == 1

    @pytest.mark.parametrize("status", [400, 403, 405, 409, 412])
    def test_a_name_that_is_taken_is_taken_whatever_the_status(self, status: int) -> None:
        with quirky(Quirks(conflict=status)) as (server, storage):
            put(storage, "a.pdf")
            server.files["theirs.pdf"] = b"theirs"
            with pytest.raises(AlreadyExistsError):
                storage.move("a.pdf", "theirs.pdf")
            with pytest.raises(AlreadyExistsError):
                storage.save_with("theirs.pdf", dated(b"ours"), ABSENT)
            storage.save_with("theirs.pdf", dated(b"new"), ANYTHING)
            assert server.files == {"a.pdf": b"ours", "theirs.pdf": b"new"}

    def test_a_file_never_goes_into_a_folder_of_its_name(self) -> None:
        with quirky(Quirks(enters_folders=True)) as (server, storage):
            put(storage, "a.pdf")
            put(storage, "name/x.pdf")
            attempts: tuple[Callable[[], object], ...] = (
                lambda: storage.move("a.pdf", "name"),
                lambda: storage.save_with("name", dated(b"ours"), ABSENT),
                lambda: storage.save_with("name", dated(b"ours"), ANYTHING),
            )
            for attempt in attempts:
                with pytest.raises(AlreadyExistsError):
                    attempt()
            assert server.files == {"a.pdf": b"ours", "name/x.pdf": b"ours"}

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "nextcloud"])
    def test_no_server_replaces_what_is_there(self, kind: str) -> None:
        if reason := KINDS[kind].missing():
            pytest.skip(reason)
        with KINDS[kind].start() as server, on(server) as storage:
            put(storage, "ours/a.pdf")
            server.write("theirs.pdf", b"theirs")
            server.write("folder/theirs.pdf", b"theirs")
            for name in ("theirs.pdf", "folder"):
                with pytest.raises(AlreadyExistsError):
                    storage.move("ours/a.pdf", name)
                with pytest.raises(AlreadyExistsError):
                    storage.save_with(name, dated(b"ours"), ABSENT)
            with pytest.raises(AlreadyExistsError):
                storage.move_folder("ours", "folder")
            assert server.tree() == {
                "ours/a.pdf": b"ours",
                "theirs.pdf": b"theirs",
                "folder/theirs.pdf": b"theirs",
            }


class TestDestination:
    """A server that takes one form of ``Destination`` only."""

    @pytest.mark.parametrize("scheme", ["", "http"])
    def test_the_form_that_works_is_found_once(self, scheme: str) -> None:
        with quirky(Quirks(schemes=frozenset({scheme}))) as (server, storage):
            for number in range(3):
                put(storage, f"{number}.pdf")
            assert server.files == dict.fromkeys(("0.pdf", "1.pdf", "2.pdf"), b"ours")
            refused = [r for r in server.requests if r.method == "MOVE" and r.status in {400, 502}]
            assert len(refused) == (1 if not scheme else 0)

    def test_where_no_form_works_the_proxy_and_the_header_are_named(self) -> None:
        with quirky(Quirks(schemes=frozenset())) as (server, storage):
            for _ in range(2):
                with pytest.raises(NotAStorageError, match="no form of the header") as caught:
                    put(storage, "a.pdf")
                assert "proxy" in caught.value.hint
                assert "Destination" in caught.value.hint
            assert (server.files, server.folders) == ({}, set()), "nothing of the trial is left"

    def test_apache_behind_a_proxy_that_ends_tls(self) -> None:
        if reason := KINDS["apache behind TLS"].missing():
            pytest.skip(reason)
        with KINDS["apache behind TLS"].start() as server, on(server) as storage:
            put(storage, "a/b.pdf")
            storage.move("a/b.pdf", "c.pdf")
            assert server.tree() == {"c.pdf": b"ours"}


class TestStatus:
    """Success in other words, and failures of what is an extra."""

    def use(self, storage: WebDavBackend) -> None:
        put(storage, "folder/a.pdf")
        put(storage, "folder/a.pdf", b"second")
        storage.move("folder/a.pdf", "other/b.pdf")
        assert storage.remove_folder("folder") is True
        storage.move_folder("other", "third")
        storage.delete("third/b.pdf")
        put(storage, "third/c.pdf")

    @pytest.mark.parametrize("status", [200, 202])
    @pytest.mark.parametrize("method", ["PUT", "MOVE", "MKCOL", "DELETE"])
    def test_success_is_success(self, method: str, status: int) -> None:
        with quirky(Quirks(statuses={method: status})) as (server, storage):
            self.use(storage)
            assert server.files == {"third/c.pdf": b"ours"}
            assert server.folders == {"third"}

    @pytest.mark.parametrize("method", ["PUT", "MOVE", "MKCOL", "DELETE"])
    def test_what_was_accepted_and_is_not_done_is_no_success(self, method: str) -> None:
        with quirky(Quirks()) as (server, storage):
            put(storage, "old/a.pdf")
            server.quirks.statuses, server.quirks.late = {method: 202}, 0
            actions: dict[str, Callable[[], object]] = {
                "PUT": lambda: put(storage, "b.pdf"),
                "MOVE": lambda: storage.move("old/a.pdf", "b.pdf"),
                "MKCOL": lambda: storage.make_folder("new"),
                "DELETE": lambda: storage.delete("old/a.pdf"),
            }
            with pytest.raises(UnavailableError, match="not done it yet"):
                actions[method]()

    @pytest.mark.parametrize("status", [400, 403, 405, 500, 501, 503])
    def test_a_file_is_saved_also_where_its_time_cannot_be_set(self, status: int) -> None:
        with quirky(Quirks(refusals={"PROPPATCH": status})) as (server, storage):
            for number in range(6):
                storage.save_with(f"{number}.pdf", dated(b"ours"), ABSENT)
            assert len(server.files) == 6
            assert methods(server).count("PROPPATCH") <= 3
            assert storage.capabilities.keeps_modified is False


class TestTrial:
    """Each server is tried once, and nothing is concluded from what says nothing."""

    def test_once_and_nothing_is_left(self) -> None:
        with quirky(Quirks()) as (server, storage):
            put(storage, "a.pdf")
            first = len(server.requests)
            put(storage, "b.pdf")
            storage.move("b.pdf", "c.pdf")
            assert not any("paperfleet-try" in r.path for r in server.requests.all()[first:])
            assert (set(server.files), server.folders) == ({"a.pdf", "c.pdf"}, set())

    @pytest.mark.parametrize("method", ["MKCOL", "PUT", "MOVE", "PROPFIND"])
    def test_no_answer_says_nothing(self, method: str) -> None:
        with quirky(Quirks(conflict=None, mute={method})) as (server, storage):
            with pytest.raises(UnavailableError):
                put(storage, "a.pdf")
            server.quirks.mute = set()
            put(storage, "a.pdf")
            server.files["theirs.pdf"] = b"theirs"
            with pytest.raises(AlreadyExistsError):
                storage.move("a.pdf", "theirs.pdf")
            assert server.files["theirs.pdf"] == b"theirs"

    @pytest.mark.parametrize("method", ["MKCOL", "PUT", "MOVE"])
    @pytest.mark.parametrize("status", first_of([503, 500]))
    def test_a_failing_server_says_nothing(
        self, method: str, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (arrivals, trials, webdav):  # a 503 may mean that it works on the file
            monkeypatch.setattr(module, "WORKING", (0.1, 0.2))
        with quirky(Quirks(refusals={method: status})) as (server, storage):
            with contextlib.suppress(UnavailableError):  # it may speak of the file of the trial
                put(storage, "a.pdf")
            server.quirks.refusals = {}
            put(storage, "a.pdf")
            storage.delete("a.pdf")
            storage.make_folder("empty")
            assert storage.remove_folder("empty") is True, "that dot files are listed was found"

    def test_where_no_folder_can_be_made_all_is_done_with_care(self) -> None:
        with quirky(Quirks(conflict=None)) as (server, storage):
            server.folders.add("folder")
            server.quirks.refusals = {"MKCOL": 403}
            server.files["theirs.pdf"] = b"theirs"
            put(storage, "a.pdf")
            with pytest.raises(AlreadyExistsError):
                storage.move("a.pdf", "theirs.pdf")
            assert storage.remove_folder("folder") is False
            assert server.files == {"a.pdf": b"ours", "theirs.pdf": b"theirs"}

    def test_a_full_server_does_not_keep_deletes_from_making_room(self) -> None:
        with quirky(Quirks(refusals={"PUT": 507})) as (server, storage):
            server.files["old/a.pdf"], server.folders = b"old", {"old"}
            with pytest.raises(QuotaExceededError):
                put(storage, "b.pdf")
            storage.move("old/a.pdf", "c.pdf")
            assert storage.remove_folder("old") is False, "later, when more is known"
            storage.delete("c.pdf")
            server.quirks.refusals = {}
            assert storage.remove_folder("old") is True

    def test_nothing_is_made_where_there_is_nothing_to_do(self) -> None:
        with quirky(Quirks()) as (server, storage):
            with pytest.raises(FileNotFoundError):
                storage.move("none", "other")
            with pytest.raises(FileNotFoundError):
                storage.delete("none")
            assert storage.remove_folder("none") is True
            assert {*methods(server)} == {"PROPFIND"}

    def test_what_a_kill_left_of_a_trial_is_swept(self) -> None:
        with quirky(Quirks()) as (server, storage):
            folder = "paperfleet-try-65000000-0123456789abcdef"
            server.folders |= {folder, f"{folder}/d"}
            server.files |= dict.fromkeys((f"{folder}/.a", f"{folder}/b"), b"x")
            server.files["paperfleet-try.pdf"] = b"a document"
            assert list(storage.list_files()) == ["paperfleet-try.pdf"]
            assert storage.sweep(3600) == 1
            assert (set(server.files), server.folders) == ({"paperfleet-try.pdf"}, set())


@pytest.mark.parametrize("name", ["tab\tbed.pdf", "one\x01.pdf", "deleted\x7f.pdf"])
def test_a_name_that_a_server_changes_and_remembers_is_refused(name: str) -> None:
    if rclone_binary() is None:
        pytest.skip("rclone is missing")
    with rclone_server(remembers="5m") as server:
        options: dict[str, Any] = {"username": server.user, "password": Secret(server.password)}
        with WebDavBackend(f"{server.url}store/", **options) as storage:
            with pytest.raises(NameRefusedError):
                put(storage, name, b"bytes")
            put(storage, "plain.pdf", b"bytes")
        assert [path.name for path in (server.root / "store").iterdir()] == ["plain.pdf"]
