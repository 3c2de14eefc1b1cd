"""Storages are opened by URL, folder or dotted path; what is wrong is named, secrets are not."""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING

import pytest

from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret
from paperfleet.storage.addresses import (
    LOCAL,
    MEMORY,
    NEXTCLOUD,
    WEBDAV,
    meaning_of,
    redacted,
)
from paperfleet.storage.dav.client import DavClient
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.nextcloud.backend import NextcloudBackend
from paperfleet.storage.registry import accepted_options, open_storage

if TYPE_CHECKING:
    from pathlib import Path

HERE = "tests.unit.storage_examples"

MEANINGS = [
    ("/srv/archive", LOCAL, {"root": "/srv/archive"}),
    ("./archive.d", LOCAL, {"root": "./archive.d"}),
    ("archive", LOCAL, {"root": "archive"}),
    ("/srv/a:b@c#d?e", LOCAL, {"root": "/srv/a:b@c#d?e"}),
    ("file:///srv/archive", LOCAL, {"root": "/srv/archive"}),
    ("FILE:///srv/archive", LOCAL, {"root": "/srv/archive"}),
    ("file://localhost/srv", LOCAL, {"root": "/srv"}),
    ("file:///srv/%C3%BC%20%23?read_only=true", LOCAL, {"root": "/srv/ü #", "read_only": "true"}),
    ("memory:", MEMORY, {}),
    ("memory:?case_sensitive=no", MEMORY, {"case_sensitive": "no"}),
    ("webdavs://cloud.example/dav/x", WEBDAV, {"url": "https://cloud.example/dav/x"}),
    ("webdav://127.0.0.1:8080/a%20b", WEBDAV, {"url": "http://127.0.0.1:8080/a%20b"}),
    ("https://cloud.example/dav/x", WEBDAV, {"url": "https://cloud.example/dav/x"}),
    ("webdavs://[::1]:8443/", WEBDAV, {"url": "https://[::1]:8443/"}),
    (
        "webdavs://a%40b:s%3Acret@cloud.example/dav",
        WEBDAV,
        {"url": "https://cloud.example/dav", "username": "a@b", "password": Secret("s:cret")},
    ),
    (
        "nextclouds://user@cloud.example/Archive/2024",
        NEXTCLOUD,
        {
            "url": "https://cloud.example/remote.php/dav/files/user/Archive/2024",
            "username": "user",
        },
    ),
    (
        "nextcloud://a%40b@127.0.0.1:8080",
        NEXTCLOUD,
        {"url": "http://127.0.0.1:8080/remote.php/dav/files/a%40b", "username": "a@b"},
    ),
    (
        "nextclouds://cloud.example/sub/remote.php/dav/files/user/Folder",
        NEXTCLOUD,
        {"url": "https://cloud.example/sub/remote.php/dav/files/user/Folder", "username": "user"},
    ),
    (
        "https://cloud.example/remote.php/dav/files/a%40b/Folder",
        NEXTCLOUD,
        {"url": "https://cloud.example/remote.php/dav/files/a%40b/Folder", "username": "a@b"},
    ),
    (
        "https://login@cloud.example/remote.php/dav/files/user",
        NEXTCLOUD,
        {"url": "https://cloud.example/remote.php/dav/files/user", "username": "login"},
    ),
    (
        "https://cloud.example/nextcloud/remote.php/webdav/Folder",
        NEXTCLOUD,
        {"url": "https://cloud.example/nextcloud/remote.php/webdav/Folder"},
    ),
    (
        "https://cloud.example/remote.php/webdavx/Folder",
        WEBDAV,
        {"url": "https://cloud.example/remote.php/webdavx/Folder"},
    ),
    ("some.package.Backend", "some.package.Backend", {}),
]


@pytest.mark.parametrize(("spec", "backend", "options"), MEANINGS)
def test_meanings(spec: str, backend: str, options: dict[str, object]) -> None:
    assert meaning_of(spec) == (backend, options)


REFUSED = [
    ("", "no storage is named"),
    ("webdafs://cloud.example/", "Did you mean 'webdavs'?"),
    ("ftp://cloud.example/", "no kind of storage 'ftp'"),
    ("s4:bucket", "no kind of storage 's4'"),
    ("file://host/srv", "absolute path"),
    ("file:relative", "absolute path"),
    ("file:///srv/a#b", "%23"),
    ("file:///srv/a?b", "%3F"),
    ("file:///srv?a=1&a=2", "name=value"),
    ("memory://host/", "Write memory:"),
    ("https:///path", "no host"),
    ("nextclouds://cloud.example/Folder", "names no user"),
    ("https://cloud.example:port/", "not a URL"),
]


@pytest.mark.parametrize(("spec", "text"), REFUSED)
def test_refused(spec: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        meaning_of(spec)
    assert text in str(caught.value)


def test_opens_a_folder(tmp_path: Path) -> None:
    for spec in (str(tmp_path / "a b"), (tmp_path / "a b").as_uri(), LOCAL):
        options = {"root": str(tmp_path / "a b")} if spec == LOCAL else None
        storage = open_storage(spec, options)
        assert isinstance(storage, LocalBackend)
        assert storage.root == tmp_path / "a b"
        assert not storage.root.exists(), "nothing happens before the block is entered"


def test_texts_become_what_the_backend_asks_for() -> None:
    storage = open_storage("memory:?case_sensitive=No&unicode_form=NFC")
    assert isinstance(storage, MemoryBackend)
    assert not storage.capabilities.case_sensitive
    assert storage.capabilities.unicode_form == "NFC"


def test_options_win_over_the_address_unless_they_are_none() -> None:
    storage = open_storage("memory:?case_sensitive=no", {"case_sensitive": True})
    assert isinstance(storage, MemoryBackend)
    assert storage.capabilities.case_sensitive
    storage = open_storage("memory:?case_sensitive=no", {"case_sensitive": None})
    assert isinstance(storage, MemoryBackend)
    assert not storage.capabilities.case_sensitive


def test_wrong_values_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"'case_sensitive'.*no bool"):
        open_storage("memory:?case_sensitive=perhaps")
    with pytest.raises(ConfigurationError, match=r"'number'.*no int"):
        open_storage(f"{HERE}.Complete", {"number": "many"})


def test_unknown_options_are_named_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"'readonly'.*Did you mean 'read_only'\?"):
        open_storage("/srv", {"readonly": "yes"})


def test_missing_options_are_named() -> None:
    with pytest.raises(ConfigurationError, match="needs the option root"):
        open_storage(LOCAL)


def test_accepted_options() -> None:
    assert accepted_options("/srv") == {"root", "follow_links", "create", "read_only"}
    assert {"bulk", "password"} <= accepted_options("nextclouds://u@cloud.example/")
    assert "bulk" not in accepted_options("webdavs://cloud.example/")


def test_options_of_a_connection_are_the_same_on_every_webdav_server() -> None:
    """They stand in each constructor, where users and ``open_storage`` read them."""
    plain, cloud, client = (
        dict(inspect.signature(one).parameters)
        for one in (WebDavBackend, NextcloudBackend, DavClient)
    )
    assert {name: cloud[name] for name in plain} == plain
    assert plain.keys() - client.keys() == {"url", "allow_plain_http"}
    assert {name: client[name] for name in plain.keys() & client.keys()}.items() <= plain.items()


def test_a_backend_of_the_users_own() -> None:
    storage = open_storage(
        f"{HERE}.Complete", {"number": "7", "ratio": "0.5", "text": "true", "key": "k3y"}
    )
    assert vars(storage)["given"] == (7, 0.5, "true", Secret("k3y"), {})
    storage = open_storage(f"{HERE}.make", {"anything": "goes"})
    assert vars(storage)["given"] == (1, 1.0, "", None, {"anything": "goes"})


@pytest.mark.parametrize(
    ("dotted", "text"),
    [
        (f"{HERE}.Incomplete", "lacks move, list_files, size"),
        (f"{HERE}.make_incomplete", "lacks move, list_files, size"),
        (f"{HERE}.Complet", "Did you mean 'Complete'?"),
        (f"{HERE}.NUMBER", "no storage 'NUMBER'"),
        ("no_such_package.module.Storage", "no module no_such_package"),
        ("paperfleet.storage.locla.LocalBackend", "no module"),
    ],
)
def test_what_is_no_backend(dotted: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_storage(dotted)
    assert text in str(caught.value)


SECRET = "hunter2secret"


@pytest.mark.parametrize(
    "spec",
    [
        f"webdavz://user:{SECRET}@cloud.example/",
        f"webdavs://user:{SECRET}@cloud.example:port/",
        f"webdavs://user:{SECRET}@cloud.example/?nonsense",
        f"webdavs://user:{SECRET}@cloud.example/?wrong={SECRET}",
        f"webdavs://user:{SECRET}#@cloud.example/",
        f"webdavs://user:{SECRET}[@cloud.example/",
        f"webdavs://user:{SECRET}@/x",
        f"file://user:{SECRET}@host/",
        f"memory://user:{SECRET}@host/",
        f"webdavs://cloud.example/?password={SECRET}&timeout=soon",
    ],
)
def test_no_error_shows_a_password(spec: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_storage(spec)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_password_is_an_option_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="the URL has a password in it"):
        open_storage(f"nextclouds://user:{SECRET}@cloud.example/Folder")
    storage = open_storage("nextclouds://user@cloud.example/Folder", {"password": SECRET})
    assert SECRET not in repr(storage) + str(getattr(storage, "label", ""))
    assert SECRET not in repr(meaning_of(f"webdavs://user:{SECRET}@cloud.example/"))


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        (f"webdavs://user:{SECRET}@cloud.example/a b", "webdavs://user@cloud.example/a b"),
        (f"webdavs://user:{SECRET}@x@cloud.example/", "webdavs://user@cloud.example/"),
        (f"https://cloud.example/a?password={SECRET}", "https://cloud.example/a"),
        ("https://user@cloud.example/a", "https://user@cloud.example/a"),
        ("/srv/archive?x@y", "/srv/archive?x@y"),
        ("memory:", "memory:"),
    ],
)
def test_redacted(spec: str, shown: str) -> None:
    assert redacted(spec) == shown
