"""A Nextcloud's addresses, capabilities, names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.unit.dav_kit import CUT, Server, client, sabre

from paperfleet.errors import (
    ConfigurationError,
    CredentialsError,
    MaintenanceError,
    NameRefusedError,
    UnavailableError,
)
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.nextcloud.server import Cloud, NameRules, cloud_address

if TYPE_CHECKING:
    from collections.abc import Mapping

URL = "https://cloud.example/remote.php/dav/files/alice/Archiv%20%C3%A4/x"
ADDRESS = cloud_address(parse_root(URL), "alice")


def capabilities(files: Mapping[str, object], dav: Mapping[str, object]) -> httpx.Response:
    found = {"files": files, "dav": dav}
    return httpx.Response(200, json={"ocs": {"data": {"capabilities": found}}})


@pytest.mark.parametrize(
    ("url", "base", "user", "folder"),
    [
        (URL, "", "alice", "Archiv ä/x"),
        ("https://c.example/remote.php/dav/files/alice", "", "alice", ""),
        ("https://c.example/cloud/remote.php/dav/files/al%40ice/F", "/cloud", "al@ice", "F"),
        ("https://c.example/remote.php/webdav/F", "", "login", "F"),
        ("https://c.example/remote.php/webdav", "", "login", ""),
        ("https://c.example/index.php/remote.php/dav/files/a/", "/index.php", "a", ""),
        ("https://c.example/remote.php/dav/files/a/Cafe%CC%81", "", "a", "Café"),
    ],
)
def test_addresses(url: str, base: str, user: str, folder: str) -> None:
    address = cloud_address(parse_root(url), "login")
    assert (address.base, address.user, address.folder) == (base, user, folder)
    assert address.root.path.startswith(f"{base}/remote.php/dav/files/")
    assert address.uploads.startswith(f"{base}/remote.php/dav/uploads/")
    assert address.bulk == f"{base}/remote.php/dav/bulk"


def test_a_name_within_the_files_of_the_user() -> None:
    assert ADDRESS.path_in_files("a ü/b") == "/Archiv ä/x/a ü/b"
    everything = cloud_address(parse_root("https://c.example/remote.php/dav/files/a"), None)
    assert everything.path_in_files("b") == "/b"


@pytest.mark.parametrize(
    "url",
    [
        "https://c.example/",
        "https://c.example/dav/files/alice",
        "https://c.example/remote.php/dav/files",
        "https://c.example/remote.php/dav/uploads/alice/x",
        "https://c.example/remote.php/webdav/x",
        "https://c.example/public.php/webdav/x",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the WebDAV address of a Nextcloud"):
        cloud_address(parse_root(url), None)


@pytest.mark.parametrize(
    "name",
    ["a\\b", "a\nb", "a\tb", "\x01", ".htaccess", ".HTACCESS", "a.part", "A.PART", "ü" * 126],
)
def test_names_that_nextcloud_never_takes(name: str) -> None:
    cloud = Cloud(client(Server([]), URL), ADDRESS)
    for whole in (name, f"folder/{name}", f"{name}/file"):
        with pytest.raises(NameRefusedError) as caught:
            cloud.check_new(whole, "save")
        assert caught.value.name == whole


@pytest.mark.parametrize(
    "name", ["a.pdf", "ü" * 125, " a", "a ", "a.", 'a:*?"<>|', "CON", "a.part.pdf", "part"]
)
def test_names_that_nextcloud_takes(name: str) -> None:
    Cloud(client(Server([]), URL), ADDRESS).check_new(name, "save")


def test_versions_are_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app can be switched on and off at any time."""
    on, off = capabilities({"versioning": True}, {}), capabilities({}, {})
    server = Server([on, off, on])
    with client(server, URL) as dav:
        cloud = Cloud(dav, ADDRESS)
        assert [cloud.keeps_versions(), cloud.keeps_versions()] == [True, True]
        assert len(server.requests) == 1
        monkeypatch.setattr("paperfleet.storage.nextcloud.server.BELIEVED", 0.0)
        assert [cloud.keeps_versions(), cloud.keeps_versions()] == [False, True]


def test_a_server_that_says_nothing_of_versions_keeps_none() -> None:
    with client(Server([httpx.Response(200, text="<html>")]), URL) as dav:
        assert not Cloud(dav, ADDRESS).keeps_versions()


def test_the_rules_of_the_server_count_once_they_are_known() -> None:
    files = {
        "blacklisted_files": [".htaccess", "Thumbs.db"],
        "forbidden_filenames": ["desktop.ini"],
        "forbidden_filename_characters": ["\\", "/", ":"],
        "forbidden_filename_basenames": ["con"],
        "forbidden_filename_extensions": [".exe", " "],
    }
    server = Server([capabilities(files, {"bulkupload": "1.0"})])
    refused = ["thumbs.db", "Desktop.ini", "a:b", "con", "CON.txt", "a.exe", "a ", "x.part"]
    with client(server, URL) as dav:
        cloud = Cloud(dav, ADDRESS)
        for name in refused[:-1]:
            cloud.check_new(name, "save")
        assert cloud.capability("dav", "bulkupload") == "1.0"
        for name in refused:
            with pytest.raises(NameRefusedError):
                cloud.check_new(name, "save")
        cloud.check_new("a/b", "save")
        assert cloud.capability("dav", "missing") is None
        assert cloud.capability("missing", "missing") is None
    assert server.log == ["GET /ocs/v1.php/cloud/capabilities?format=json"], "asked once"
    assert server.requests[0].headers["ocs-apirequest"] == "true"


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b'{"ocs": {"data": []}}', b'{"ocs": 1}', b"null"]
)
def test_capabilities_that_cannot_be_read_are_none(content: bytes) -> None:
    server = Server([httpx.Response(200, content=content)])
    with client(server, URL) as dav:
        assert Cloud(dav, ADDRESS).capability("dav", "bulkupload") is None


def test_an_empty_list_from_php_is_an_empty_table() -> None:
    found: dict[str, list[str]] = {"files": [], "dav": []}
    answer = httpx.Response(200, json={"ocs": {"data": {"capabilities": found}}})
    with client(Server([answer]), URL) as dav:
        assert Cloud(dav, ADDRESS).capability("dav", "bulkupload") is None


@pytest.mark.parametrize(
    ("status_page", "expected"),
    [
        (httpx.Response(200, json={"maintenance": True}), MaintenanceError),
        (httpx.Response(200, json={"maintenance": False}), UnavailableError),
        (httpx.Response(200, json=[]), UnavailableError),
        (httpx.Response(200, content=b"<html>"), UnavailableError),
        (httpx.Response(503), UnavailableError),
        (httpx.Response(404), UnavailableError),
        (CUT, UnavailableError),
    ],
)
def test_status_php_explains_a_503(
    status_page: httpx.Response | Exception, expected: type[UnavailableError]
) -> None:
    away = httpx.Response(503)
    server = Server([httpx.Response(503, headers={"Retry-After": "9"}), status_page, away])
    with client(server, URL) as dav:
        dav.explain = Cloud(dav, ADDRESS).explain
        with pytest.raises(UnavailableError) as caught:
            dav.ask(Request("PUT", "/x", operation="save", name="a"), {201})
    assert type(caught.value) is expected
    assert caught.value.retry_after == 9
    assert server.log[:2] == ["PUT /x", "GET /status.php"]
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (sabre(503, "OCA\\DAV\\Exception\\ServerMaintenanceMode"), MaintenanceError),
        (sabre(503, "X", "Account disabled"), CredentialsError),
        (sabre(500), UnavailableError),
    ],
)
def test_what_is_clear_is_not_asked(answer: httpx.Response, expected: type[Exception]) -> None:
    server = Server([answer])
    with client(server, URL) as dav:
        dav.explain = Cloud(dav, ADDRESS).explain
        with pytest.raises(expected):
            dav.ask(Request("PUT", "/x"), {201})
    assert len(server.requests) == 1


def test_rules_say_what_is_wrong() -> None:
    rules = NameRules()
    assert "'\\\\'" in rules.fault("a\\b")
    assert ".htaccess" in rules.fault(".htaccess")
    assert "250" in rules.fault("x" * 251)
    assert rules.fault("x" * 250) == ""
