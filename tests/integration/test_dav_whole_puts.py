"""One PUT for a file where the server is proven to take it whole or not at all, and only there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, get_args

import httpx
import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import ServerPlace
from tests.servers.apache_server import apache_missing, apache_server
from tests.servers.kinds import KINDS
from tests.servers.quirky_server import Putting, Quirks, quirky_server
from tests.servers.wsgidav_server import wsgidav_server
from tests.wide import first_of

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.journal.journal import Journal
from paperfleet.mirror.status import FINDINGS
from paperfleet.model import ABSENT, ANYTHING, BegunSave, FileStat, Precondition, Upload
from paperfleet.secret import Secret
from paperfleet.storage.dav import arrivals, client, puttrial, trials, wholeputs
from paperfleet.storage.dav.content import SMALL
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tests.servers.apache_server import ApacheServer
    from tests.servers.base import WebDavServer
    from tests.servers.quirky_server import QuirkyServer

    Several = tuple[QuirkyServer, WebDavBackend]


TIME = 1_500_000_000 * 10**9
TEARING = [how for how in get_args(Putting) if how not in {"late", "whole", "a part in the end"}]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try with the first file, and do not wait long: these servers tell all that has arrived."""
    monkeypatch.setattr(wholeputs, "AFTER", 0)
    monkeypatch.setattr(wholeputs, "REST", 0.0)
    monkeypatch.setattr(puttrial, "UNDER_WAY", 0.1)
    monkeypatch.setattr(puttrial, "SETTLED", 0.1)
    monkeypatch.setattr(trials, "WORKING", ())
    monkeypatch.setattr(client, "UNLOCKING", (0.01,))


@contextlib.contextmanager
def quirky(quirks: Quirks) -> Iterator[tuple[QuirkyServer, WebDavBackend]]:
    with quirky_server(quirks) as server, WebDavBackend(server.url, timeout=10) as storage:
        yield server, storage


@pytest.fixture(scope="module")
def whole() -> Iterator[tuple[QuirkyServer, WebDavBackend]]:
    """Run a server of which it is found out that one PUT is enough."""
    with (
        pytest.MonkeyPatch.context() as patch,
        quirky(Quirks(putting="whole")) as (server, storage),
    ):
        patch.setattr(wholeputs, "AFTER", 0)
        patch.setattr(puttrial, "SETTLED", 0.1)
        save(storage, "warm", b"", ANYTHING)
        assert storage.findings() == {"server": [server.url, "quirky/1", ""], "whole": True}
        yield server, storage


@pytest.fixture
def direct(whole: tuple[QuirkyServer, WebDavBackend]) -> tuple[QuirkyServer, WebDavBackend]:
    """Return that server with nothing in it."""
    server, storage = whole
    server.quirks = Quirks(putting="whole")
    server.files.clear()
    server.folders.clear()
    server.requests.clear()
    storage._whole._found = wholeputs.PutFinding((server.url, "quirky/1", ""), whole=True)
    return whole


def upload(content: bytes) -> Upload:
    sha256 = hashlib.sha256(content).hexdigest()
    return Upload(lambda: io.BytesIO(content), len(content), None, sha256)


def save(storage: WebDavBackend, name: str, content: bytes, expect: Precondition = ABSENT) -> None:
    storage.save_with(name, upload(content), expect)


def methods(server: QuirkyServer) -> list[str]:
    return [request.method for request in server.requests]


def on(server: WebDavServer) -> WebDavBackend:
    secret = Secret(server.password)
    return WebDavBackend(server.url, username=server.user, password=secret, verify=server.verify)


def is_whole(storage: WebDavBackend) -> object:
    found = storage.findings()
    return None if found is None else found["whole"]


class TestTrial:
    """What is concluded of a server, and that nothing of it is left."""

    @pytest.mark.parametrize("how", TEARING)
    def test_a_server_that_may_show_a_part_is_not_relied_upon(self, how: Putting) -> None:
        with quirky(Quirks(putting=how)) as (server, storage):
            save(storage, "a.pdf", b"a" * 70_000)
            assert is_whole(storage) is False
            server.requests.clear()
            save(storage, "b.pdf", b"b")
            assert ("PUT", "b.pdf") not in server.requests.pairs()
            assert "MOVE" in methods(server)
            assert (len(server.files), server.folders) == (2, set())

    @pytest.mark.parametrize("ignored", ["If-None-Match", "If-Match"])
    def test_a_server_that_ignores_a_condition_is_not_relied_upon(self, ignored: str) -> None:
        with quirky(Quirks(putting="whole", ignored=frozenset({ignored}))) as (server, storage):
            save(storage, "a.pdf", b"a")
            assert is_whole(storage) is False
            assert (server.files, server.folders) == ({"a.pdf": b"a"}, set())

    def test_what_holds_uploads_back_until_they_are_complete_proves_nothing(self) -> None:
        """As a proxy that buffers does: how the server behind takes them is not to be seen."""
        if reason := KINDS["apache behind TLS"].missing():
            pytest.skip(reason)
        with KINDS["apache behind TLS"].start() as server, on(server) as storage:
            save(storage, "a.pdf", b"a")
            assert is_whole(storage) is False
            assert server.tree() == {"a.pdf": b"a"}

    @pytest.mark.parametrize("kind", ["apache", "rclone", "lighttpd", "sabre", "nginx", "wsgidav"])
    def test_servers(self, kind: str) -> None:
        if reason := KINDS[kind].missing():
            pytest.skip(reason)
        with KINDS[kind].start() as server, on(server) as storage:
            save(storage, "a/b.pdf", b"b")
            assert is_whole(storage) is {"apache": True, "nginx": None}.get(kind, False)
            save(storage, "a/c.pdf", b"c")
            assert server.tree() == {"a/b.pdf": b"b", "a/c.pdf": b"c"}
            assert not list(server.root.rglob("*paperfleet-*"))

    @pytest.mark.parametrize("status", first_of([507, 403, 423, 503]))
    @pytest.mark.parametrize("name", ["tiny old", "raced"])
    def test_where_it_cannot_be_tried_files_go_the_other_way(self, status: int, name: str) -> None:
        def judge(method: str, path: str) -> int | None:
            return status if method == "PUT" and path.endswith(f"/{name}") else None

        with quirky(Quirks(putting="whole", judge=judge)) as (server, storage):
            for number in range(wholeputs.MOST_TRIALS + 2):
                save(storage, f"{number}.pdf", b"x")
            assert not is_whole(storage)
            tried = {r.path for r in server.requests if r.path.endswith("/tiny old")}
            assert 1 <= len(tried) <= wholeputs.MOST_TRIALS
            assert (len(server.files), server.folders) == (wholeputs.MOST_TRIALS + 2, set())

    def test_it_is_not_made_for_a_few_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wholeputs, "AFTER", 3)
        with quirky(Quirks(putting="whole")) as (server, storage):
            for number in range(3):
                save(storage, f"{number}.pdf", b"x")
            assert storage.findings() is None
            assert "OPTIONS" not in methods(server)

    def test_what_a_kill_leaves_of_it_is_swept(self) -> None:
        """The process dies while uploads of the trial are under way."""
        under_way = threading.Event()
        with quirky(Quirks(putting="whole")) as (server, storage):

            def judge(method: str, path: str) -> None:
                if method == "GET" and path.endswith("/raced"):
                    under_way.set()  # what came after the first upload of it began
                    under_way_seen.wait(10)

            under_way_seen = threading.Event()
            server.quirks.judge = judge
            server.files["theirs.pdf"] = b"theirs"
            child = subprocess.Popen([sys.executable, "-c", _CHILD, server.url])
            try:
                assert under_way.wait(30)
                os.kill(child.pid, signal.SIGKILL)
            finally:
                child.kill()
                child.wait(10)
                under_way_seen.set()
            server.take_all()
            assert any("paperfleet-try" in name for name in server.folders)
            assert list(storage.list_files()) == ["theirs.pdf"]
            assert storage.sweep(-1) == 1
            assert (server.files, server.folders) == ({"theirs.pdf": b"theirs"}, set())


_CHILD = """
import io, sys
from paperfleet.storage.dav import wholeputs
from paperfleet.storage.dav.webdav import WebDavBackend
wholeputs.AFTER = 0
with WebDavBackend(sys.argv[1], timeout=10) as storage:
    storage.save("a.pdf", io.BytesIO(b"a"))
"""


class TestSignature:
    """What was found holds for one server."""

    def test_another_server_is_tried_anew(self) -> None:
        with quirky(Quirks(putting="whole")) as (server, storage):
            save(storage, "a.pdf", b"a")
            server.quirks.putting, server.quirks.signature = "in place", "quirky/2"
            save(storage, "b.pdf", b"b")  # its answer tells
            assert is_whole(storage) is True
            save(storage, "c.pdf", b"c")
            assert storage.findings() == {"server": [server.url, "quirky/2", ""], "whole": False}
            assert not [r for r in server.requests if r.method == "PUT" and r.path == "c.pdf"]

    def test_an_address_with_many_servers_is_left(self) -> None:
        with quirky(Quirks(putting="whole")) as (server, storage):
            for number in range(2 * wholeputs.MOST_TRIALS):
                server.quirks.signature = f"quirky/{number}"
                save(storage, f"{number}.pdf", b"x")
                save(storage, f"{number}, too.pdf", b"x")
            tried = {r.path for r in server.requests if r.path.endswith("/raced")}
            assert len(tried) == wholeputs.MOST_TRIALS
            assert len(server.files) == 4 * wholeputs.MOST_TRIALS

    def test_what_was_found_is_taken_over(self, direct: tuple[QuirkyServer, WebDavBackend]) -> None:
        server, storage = direct
        with WebDavBackend(server.url) as later:
            later.adopt_findings(storage.findings())
            save(later, "a.pdf", b"a")
            assert [r.path for r in server.requests if r.method == "PUT"][-1] == "a.pdf"
            assert not [r for r in server.requests if r.path.endswith("/raced")]

    @pytest.mark.parametrize("kept", ["", [], {}, {"server": 1, "whole": True}, {"whole": "yes"}])
    def test_what_is_no_finding_counts_as_none(self, kept: object) -> None:
        with quirky(Quirks(putting="in place")) as (_, storage):
            storage.adopt_findings(kept)
            save(storage, "a.pdf", b"a")
            assert is_whole(storage) is False

    def test_what_was_found_of_another_version_is_tried_anew(self) -> None:
        with quirky(Quirks(putting="in place")) as (server, storage):
            storage.adopt_findings({"server": [server.url, "quirky/0", ""], "whole": True})
            save(storage, "a.pdf", b"a")
            assert storage.findings() == {"server": [server.url, "quirky/1", ""], "whole": False}
            assert not [r for r in server.requests if r.method == "PUT" and r.path == "a.pdf"]


class TestSaves:
    """One PUT keeps the promises of a save."""

    def test_a_new_file_and_one_that_is_replaced_cost_one_put(
        self, direct: tuple[QuirkyServer, WebDavBackend]
    ) -> None:
        server, storage = direct
        etag = storage.save_with("a.pdf", upload(b"a"), ABSENT).etag
        stored = storage.save_with("a.pdf", upload(b"second"), Precondition(etag=etag))
        storage.save("a.pdf", io.BytesIO(b"third"))
        assert stored.size == 6
        puts = [r.path for r in server.requests if r.method == "PUT"]
        assert puts == ["a.pdf"] * 3
        assert "MOVE" not in methods(server)
        assert server.files == {"a.pdf": b"third"}

    def test_conditions_hold(self, direct: tuple[QuirkyServer, WebDavBackend]) -> None:
        server, storage = direct
        server.files["a.pdf"] = b"theirs"
        server.folders.add("folder")
        attempts: tuple[tuple[str, Precondition, type[StorageError]], ...] = (
            ("a.pdf", ABSENT, AlreadyExistsError),
            ("a.pdf", Precondition(etag='"other"'), PreconditionFailedError),
            ("none.pdf", Precondition(etag='"other"'), PreconditionFailedError),
            ("none.pdf", Precondition(exists=True), PreconditionFailedError),
            ("folder", ABSENT, AlreadyExistsError),
            ("folder", ANYTHING, AlreadyExistsError),
        )
        for name, expect, error in attempts:
            with pytest.raises(error):
                save(storage, name, b"ours", expect)
        assert (server.files, server.folders) == ({"a.pdf": b"theirs"}, {"folder"})

    def test_a_state_that_the_server_does_not_know_of_yet_is_replaced(
        self, direct: tuple[QuirkyServer, WebDavBackend]
    ) -> None:
        """Apache calls the etag of a file of the last second a weak one."""
        server, storage = direct
        etag = storage.save_with("a.pdf", upload(b"a"), ABSENT).etag
        server.quirks.judge = lambda m, name: 412 if (m, name) == ("PUT", "a.pdf") else None
        save(storage, "a.pdf", b"second", Precondition(etag=etag))
        assert server.files == {"a.pdf": b"second"}

    def test_of_two_threads_that_save_a_new_name_one_does(
        self, direct: tuple[QuirkyServer, WebDavBackend]
    ) -> None:
        """A server that decides first, as Apache, would tell both that it is done."""
        server, storage = direct
        second, arrived = threading.Event(), list[str]()

        def decided(name: str) -> None:
            arrived.append(name)
            if len(arrived) > 1:
                second.set()
            second.wait(0.3)

        server.quirks.decided = decided

        def attempt(content: bytes) -> bytes | None:
            try:
                save(storage, "a.pdf", content)
            except AlreadyExistsError:
                return None
            return content

        with ThreadPoolExecutor(2) as pool:
            done = [content for content in pool.map(attempt, [b"one", b"other"]) if content]
        assert [server.files["a.pdf"]] == done

    def test_missing_folders_are_made(self, direct: tuple[QuirkyServer, WebDavBackend]) -> None:
        server, storage = direct
        save(storage, "2024/03/a.pdf", b"a")
        assert server.files == {"2024/03/a.pdf": b"a"}
        assert "MOVE" not in methods(server)

    @pytest.mark.parametrize("large", [True, False])
    def test_what_is_large_or_read_back_goes_by_a_temporary_name(
        self, direct: tuple[QuirkyServer, WebDavBackend], large: bool
    ) -> None:
        server, storage = direct
        content = b"a" * (SMALL + 1) if large else b"a"
        storage.save_with("a.pdf", upload(content)._replace(read_back=not large), ABSENT)
        assert "a.pdf" not in [r.path for r in server.requests if r.method == "PUT"]
        assert server.files == {"a.pdf": content}

    def test_wrong_content_sends_nothing(self, direct: tuple[QuirkyServer, WebDavBackend]) -> None:
        server, storage = direct
        server.files["a.pdf"] = b"old"
        wrong = upload(b"meant")._replace(open=lambda: io.BytesIO(b"other"))
        with pytest.raises(IntegrityError):
            storage.save_with("a.pdf", wrong, ANYTHING)
        assert methods(server) == []

    def test_what_is_torn_all_the_same_is_found(
        self, direct: tuple[QuirkyServer, WebDavBackend]
    ) -> None:
        """The server says that it is done, and is not: the size tells, and one PUT is over."""
        server, storage = direct
        server.quirks.putting = "a part in the end"
        with pytest.raises(IntegrityError, match="2 bytes are there, where 4 were sent"):
            save(storage, "a.pdf", b"ours")
        assert is_whole(storage) is False
        server.quirks.putting = "whole"
        save(storage, "a.pdf", b"ours", ANYTHING)
        assert server.files == {"a.pdf": b"ours"}
        assert [r.path for r in server.requests if r.method == "PUT"].count("a.pdf") == 1

    @pytest.mark.parametrize("done", [True, False])
    def test_a_put_without_an_answer_is_a_doubt(
        self, direct: tuple[QuirkyServer, WebDavBackend], done: bool
    ) -> None:
        """It is not sent again by itself: the first one may be what a condition then meets."""
        server, storage = direct
        server.quirks.mute = {"PUT, when it is done"} if done else {"PUT"}
        with pytest.raises(UnavailableError):
            save(storage, "a.pdf", b"ours")
        assert methods(server).count("PUT") == 1
        assert server.files == ({"a.pdf": b"ours"} if done else {})

    def test_what_is_only_accepted_is_a_doubt(
        self, direct: tuple[QuirkyServer, WebDavBackend]
    ) -> None:
        server, storage = direct
        server.quirks.statuses = {"PUT": 202}
        with pytest.raises(UnavailableError, match="202"):
            save(storage, "a.pdf", b"ours")
        assert is_whole(storage) is False

    def test_a_look_that_fails_does_not_say_that_nothing_happened(
        self, direct: tuple[QuirkyServer, WebDavBackend]
    ) -> None:
        server, storage = direct
        server.quirks.judge = lambda m, _: 403 if m in {"HEAD", "PROPFIND"} else None
        with pytest.raises(UnavailableError, match="it was written"):
            save(storage, "a.pdf", b"ours")


class TestSeveral:
    """Of files that are saved one after the other a listing shows what arrived."""

    NAMES = ("f/a.pdf", "f/b.pdf", "f/c.pdf", "f/d.pdf")

    @staticmethod
    def begin(storage: WebDavBackend, *names: str) -> list[BegunSave]:
        begun = [storage.begin_save(name, upload(name.encode()), ABSENT) for name in names]
        left = [one for one in begun if isinstance(one, BegunSave)]
        assert left == begun
        return left

    @pytest.fixture
    def in_folder(self, direct: tuple[QuirkyServer, WebDavBackend]) -> Several:
        server, _storage = direct
        server.folders.add("f")
        return direct

    def test_one_listing_shows_the_files_of_a_folder(self, in_folder: Several) -> None:
        server, storage = in_folder
        begun = self.begin(storage, *self.NAMES)
        seen = storage.end_saves(begun)
        assert methods(server) == ["PUT"] * 4 + ["PROPFIND"]
        assert seen == [storage.stat(name) for name in self.NAMES]
        assert server.files == {name: name.encode() for name in self.NAMES}

    def test_few_files_are_looked_at_alone(self, in_folder: Several) -> None:
        server, storage = in_folder
        server.folders.add("g")
        begun = self.begin(storage, "f/a.pdf", "g/b.pdf")
        server.requests.clear()
        assert [type(one) for one in storage.end_saves(begun)] == [FileStat, FileStat]
        assert [request.path for request in server.requests] == ["f/a.pdf", "g/b.pdf"]

    def test_a_folder_with_many_others_is_listed_once(self, in_folder: Several) -> None:
        server, storage = in_folder
        server.files |= {f"f/old {number}.pdf": b"old" for number in range(100)}
        begun = self.begin(storage, *self.NAMES)
        for _ in range(2):
            assert all(isinstance(one, FileStat) for one in storage.end_saves(begun))
        assert [request.path.rstrip("/") for request in server.requests] == [
            *self.NAMES,
            "f",
            *self.NAMES,
        ]

    def test_what_is_torn_is_told_of_its_file_alone(self, in_folder: Several) -> None:
        server, storage = in_folder
        begun = self.begin(storage, "f/a.pdf", "f/b.pdf")
        server.quirks.putting = "a part in the end"
        begun += self.begin(storage, "f/torn.pdf")
        seen = storage.end_saves(begun)
        assert [type(one) for one in seen] == [FileStat, FileStat, IntegrityError]
        assert is_whole(storage) is False

    def test_what_is_gone_again_is_told_of_its_file_alone(
        self, in_folder: Several, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server, storage = in_folder
        monkeypatch.setattr(arrivals, "APPEARING", (0.01,))
        begun = self.begin(storage, *self.NAMES)
        del server.files["f/b.pdf"]
        server.folders.add("f/c.pdf")
        del server.files["f/c.pdf"]
        kinds = [type(one) for one in storage.end_saves(begun)]
        assert kinds[0] is kinds[3] is FileStat
        assert issubclass(kinds[1], UnavailableError)
        assert issubclass(kinds[2], StorageError)

    @pytest.mark.parametrize("status", [403, 503])
    def test_a_look_that_fails_does_not_say_that_nothing_happened(
        self, in_folder: Several, status: int
    ) -> None:
        server, storage = in_folder
        begun = self.begin(storage, *self.NAMES)
        server.quirks.judge = lambda m, _: status if m in {"HEAD", "PROPFIND"} else None
        seen = storage.end_saves(begun)
        assert all(isinstance(one, UnavailableError) for one in seen), seen
        assert [getattr(one, "name", "") for one in seen] == list(self.NAMES)
        assert all("it was written" in str(one) for one in seen), seen

    def test_where_a_folder_may_not_be_listed_each_file_is_looked_at(
        self, in_folder: Several
    ) -> None:
        server, storage = in_folder
        begun = self.begin(storage, *self.NAMES)
        server.quirks.judge = lambda m, name: 403 if (m, name) == ("PROPFIND", "f") else None
        assert all(isinstance(one, FileStat) for one in storage.end_saves(begun))

    def test_conditions_hold(self, in_folder: Several) -> None:
        server, storage = in_folder
        server.files["f/a.pdf"] = b"theirs"
        with pytest.raises(AlreadyExistsError):
            storage.begin_save("f/a.pdf", upload(b"ours"), ABSENT)
        assert server.files == {"f/a.pdf": b"theirs"}

    def test_what_goes_by_a_temporary_name_has_been_seen(self, in_folder: Several) -> None:
        _, storage = in_folder
        read_back = upload(b"a")._replace(read_back=True)
        assert isinstance(storage.begin_save("f/a.pdf", read_back, ABSENT), FileStat)


@pytest.fixture
def apache() -> Iterator[ApacheServer]:
    if reason := apache_missing():
        pytest.skip(reason)
    with apache_server() as server:
        yield server


class TestApache:
    """The real one, with all the mirror does."""

    def test_one_put_and_one_look_for_each_file(self, apache: ApacheServer) -> None:
        with on(apache) as storage:
            storage.make_folder("f")
            save(storage, "f/warm.pdf", b"x")
            for number in range(1, 21):
                save(storage, f"f/{number}.pdf", b"x" * (number * 1000))
            storage.exists("f/end.pdf")
            wanted = [f"{m} /f/{n}.pdf" for n in range(1, 21) for m in ("PUT", "HEAD")]
            asked = apache.logged()  # Apache writes a line after its answer
            begun = asked.index(wanted[0])
            assert asked[begun : begun + 40] == wanted
            assert apache.read("f/7.pdf") == b"x" * 7000

    def test_the_mirror_lists_a_folder_for_many_files(
        self, apache: ApacheServer, tmp_path: Path, quick: None
    ) -> None:
        del quick
        storage = on(apache)
        told = httpx.options(apache.url, auth=apache.auth).headers
        known = [storage.label, told["server"], told["dav"]]
        storage.adopt_findings({"server": known, "whole": True})
        rig = Rig(tmp_path, ServerPlace(apache), storage=storage, verify="size")
        names = [f"f{number % 10}/{number:03}.pdf" for number in range(200)]
        rig.write(dict.fromkeys(["warm.pdf", *names], b"content"))
        for name in names:
            os.utime(rig.path(name), ns=(TIME, TIME))
        before = len(apache.logged())
        rig.sync()
        asked = apache.logged()[before:]
        looks = [line for line in asked if line.startswith(("HEAD", "PROPFIND"))]
        assert len([line for line in asked if line.startswith("PUT /f")]) == 200
        assert len(looks) < 150, looks
        assert all(row.sure and row.target_etag for row in rig.known().values())

    def test_three_requests_where_it_is_not_proven(self) -> None:
        with wsgidav_server() as server, on(server) as storage:
            storage.make_folder("f")
            save(storage, "f/warm.pdf", b"x")
            server.requests.clear()
            for number in range(3):
                save(storage, f"f/{number}.pdf", b"x")
            assert [r.method for r in server.requests] == ["PUT", "HEAD", "MOVE"] * 3

    def test_the_mirror_keeps_what_was_found(
        self, apache: ApacheServer, tmp_path: Path, quick: None
    ) -> None:
        del quick
        rig = Rig(tmp_path, ServerPlace(apache), storage=on(apache), verify="size")
        files = {f"{n % 3}/{n}.pdf": bytes([n]) * 500 * n for n in range(1, 25)}
        rig.write(files)
        rig.sync()
        with Journal.read(rig.journal) as view:
            found = view.get_fact(FINDINGS)
        assert isinstance(found, dict)
        assert found["whole"] is True
        again = Rig(tmp_path, ServerPlace(apache), storage=on(apache), verify="size")
        before = len(apache.logged())
        again.write({"0/3.pdf": b"changed", "1/new.pdf": b"new"})
        again.path("2/2.pdf").rename(again.path("1/2.pdf"))
        again.path("1/4.pdf").unlink()
        again.sync()
        asked = apache.logged()[before:]
        assert not [line for line in asked if "paperfleet-try" in line and "raced" in line]
        assert "PUT /1/new.pdf" in asked, asked


@pytest.mark.parametrize("how", ["a part and 500", "a part and 201"])
def test_the_mirror_mends_what_is_torn_after_a_wrong_finding(
    how: str, tmp_path: Path, quick: None
) -> None:
    """Whatever was believed of the server: what a save left behind is looked at."""
    del quick
    torn: list[str] = []

    def around(application: WSGIApplication, folder: Path) -> WSGIApplication:
        def serve(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            name = environ["PATH_INFO"].strip("/")
            if torn or (environ["REQUEST_METHOD"], name) != ("PUT", "a.pdf"):
                return application(environ, start)
            content = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            (folder / name).write_bytes(content[: len(content) // 2])
            torn.append(name)
            start("500 Gone wrong" if how.endswith("500") else "201 Created", [])
            return [b""]

        return serve

    with wsgidav_server(around=around) as server:
        storage = on(server)
        told = httpx.options(server.url, auth=server.auth).headers
        known = [storage.label, told["server"], told["dav"]]
        storage.adopt_findings({"server": known, "whole": True})
        rig = Rig(tmp_path, ServerPlace(server), storage=storage, verify="size")
        rig.write({"a.pdf": b"the whole content", "b.pdf": b"b"})
        rig.once()
        assert torn == ["a.pdf"]
        tree = server.tree()
        assert (tree.pop("a.pdf"), tree.pop("b.pdf")) == (b"the whole content", b"b")
        assert set(tree.values()) <= {b"the whol"}, "nobody can say whose the part is: it is kept"
        assert all(row.sure for row in rig.known().values())
        assert is_whole(storage) is how.endswith("500"), "a cut says nothing, a lie does"
