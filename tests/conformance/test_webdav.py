"""Every WebDAV server at hand keeps the promises of the protocol, with the backend for any."""

from __future__ import annotations

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from tests.servers.kinds import KINDS

from paperfleet.errors import StorageError
from paperfleet.secret import Secret
from paperfleet.storage.dav import wholeputs
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.testing.storage_suite import FolderBypass, StorageSuite
from paperfleet.testing.suite_base import get, put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.base import WebDavServer

_folders = itertools.count()


@pytest.fixture(scope="class")
def server(request: pytest.FixtureRequest) -> Iterator[WebDavServer]:
    kind = KINDS[request.cls.kind]
    if reason := kind.missing():
        pytest.skip(reason)
    with kind.start() as server:
        yield server


class ServerBypass(FolderBypass):
    """The folder of a server, written in the way that this server needs."""

    def __init__(self, server: WebDavServer, folder: str) -> None:
        super().__init__(server.root / folder)
        self._server = server
        self._folder = folder

    def write(self, name: str, content: bytes) -> None:
        self._server.write(f"{self._folder}/{name}", content)


class WebDavSuite(StorageSuite):
    """One server for all tests of a class; each test has a folder that is still to be made."""

    kind: ClassVar[str]

    @pytest.fixture
    def folder(self) -> str:
        return f"root {next(_folders)}"

    @pytest.fixture
    def storage(self, server: WebDavServer, folder: str) -> WebDavBackend:
        url = server.url + folder.replace(" ", "%20")
        secret = Secret(server.password)
        return WebDavBackend(url, username=server.user, password=secret, verify=server.verify)

    @pytest.fixture
    def bypass(self, server: WebDavServer, folder: str) -> ServerBypass:
        return ServerBypass(server, folder)

    def test_readers_never_see_a_part(self, store: WebDavBackend) -> None:
        """What holds where the server deletes the old file first, too: a read may fail, no more."""
        if self.kind == "rclone":
            pytest.skip("rclone serve mixes old and new bytes while it replaces a file")
        contents = [bytes([number]) * 300_000 for number in range(6)]
        put(store, "a", contents[0])
        done, seen = threading.Event(), set[bytes]()

        def read() -> None:
            while not done.is_set():
                with contextlib.suppress(StorageError):
                    seen.add(get(store, "a"))

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            try:
                for content in contents[1:]:
                    put(store, "a", content)
            finally:
                done.set()
            for reader in readers:
                reader.result(30)
        assert seen <= set(contents)
        assert get(store, "a") == contents[-1]


BOTH_FORMS = "the server takes the two Unicode forms of a name for one"
NO_FOLDER_GOES = "the server hides names with a dot, so that no folder is known to be empty"
NO_ETAGS = dict.fromkeys(
    (
        "test_save_only_over_the_known_state",
        "test_save_over_a_state_that_is_gone",
        "test_delete_only_the_known_state",
    ),
    "the server's listings have no etags",
)
DELETES_FIRST = "the server deletes the old file before it moves the new one into its place"


class TestWsgiDav(WebDavSuite):
    kind = "wsgidav"
    exceptions: ClassVar = {
        "test_ordinary_name_comes_back[100% sicher?.txt]": "WsgiDAV cuts destinations at '?'",
        "test_ordinary_name_comes_back[semi;colon=1,2@x!~$'()]": "WsgiDAV cuts them at ';' too",
        "test_readers_see_the_old_or_the_new": DELETES_FIRST,
        "test_saves_of_one_name_end_with_one_of_them": DELETES_FIRST,
    }


class TestRclone(WebDavSuite):
    kind = "rclone"
    exceptions: ClassVar = {
        "test_readers_see_the_old_or_the_new": DELETES_FIRST,
        "test_two_unicode_forms": BOTH_FORMS,
    }


@pytest.fixture(scope="class")
def signature(server: WebDavServer) -> Sequence[str]:
    """Find out that one PUT is enough, and return by what the server is known, past its address."""
    options: dict[str, Any] = {"username": server.user, "password": Secret(server.password)}
    with pytest.MonkeyPatch.context() as patch, WebDavBackend(server.url, **options) as storage:
        patch.setattr(wholeputs, "AFTER", 0)
        put(storage, "tries it out", b"")
        storage.delete("tries it out")
        found = storage.findings()
    assert found is not None
    assert found["whole"] is True
    return cast("Sequence[str]", found["server"])[1:]


class TestApache(WebDavSuite):
    """With one PUT for each small file; behind TLS it is the same with temporary names."""

    kind = "apache"

    @pytest.fixture
    def storage(self, server: WebDavServer, folder: str, signature: Sequence[str]) -> WebDavBackend:
        secret = Secret(server.password)
        url = server.url + folder.replace(" ", "%20")
        storage = WebDavBackend(url, username=server.user, password=secret)
        storage.adopt_findings({"server": [storage.label, *signature], "whole": True})
        return storage


class TestApacheBehindTls(WebDavSuite):
    kind = "apache behind TLS"
    exceptions: ClassVar = {"test_readers_see_the_old_or_the_new": DELETES_FIRST}


class TestNginx(WebDavSuite):
    kind = "nginx"
    exceptions: ClassVar = {
        "test_ordinary_name_comes_back[.hidden]": "no listing would show it, so it is refused",
        "test_remove_folder": NO_FOLDER_GOES,
        "test_file_becomes_folder_and_file_again": NO_FOLDER_GOES,
        "test_folders_that_come_and_go": NO_FOLDER_GOES,
        **NO_ETAGS,
    }


class TestLighttpd(WebDavSuite):
    kind = "lighttpd"


class TestSabre(WebDavSuite):
    kind = "sabre"
    exceptions: ClassVar = NO_ETAGS | {"test_readers_see_the_old_or_the_new": DELETES_FIRST}


class TestNextcloudAsPlainWebDav(WebDavSuite):
    kind = "nextcloud"
    exceptions: ClassVar = {
        "test_readers_see_the_old_or_the_new": DELETES_FIRST,
        "test_two_unicode_forms": BOTH_FORMS,
        r"test_ordinary_name_comes_back[e\u0301te\u0301 decomposed.pdf]": BOTH_FORMS,
    }
