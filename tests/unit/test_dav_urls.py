"""Addresses and names, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperfleet.errors import ConfigurationError, NameRefusedError, NotAStorageError
from paperfleet.storage.addresses import is_loopback
from paperfleet.storage.dav.urls import DavRoot, parse_root

ROOT = DavRoot("https://cloud.example", "/dav/Ordner%20%C3%A4/")


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://cloud.example", "https://cloud.example", "/"),
        ("https://cloud.example/", "https://cloud.example", "/"),
        ("https://Cloud.Example:443/a", "https://cloud.example", "/a/"),
        ("https://cloud.example:8443/a/", "https://cloud.example:8443", "/a/"),
        ("https://cloud.example/a//b", "https://cloud.example", "/a/b/"),
        ("https://cloud.example/Ordner ä", "https://cloud.example", "/Ordner%20%C3%A4/"),
        ("https://cloud.example/Ordner%20%c3%a4", "https://cloud.example", "/Ordner%20%C3%A4/"),
        ("https://cloud.example/a%2Bb+c", "https://cloud.example", "/a%2Bb%2Bc/"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080", "/x/"),
        ("http://[::1]:8080/x", "http://[::1]:8080", "/x/"),
        ("http://localhost/x", "http://localhost", "/x/"),
    ],
)
def test_a_url_gives_a_root(url: str, origin: str, path: str) -> None:
    assert parse_root(url) == DavRoot(origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cloud.example/dav",
        "ftp://cloud.example/",
        "https://",
        "https:///dav",
        "https://cloud.example:port/",
        "https://[::1/",
        "https://user@cloud.example/",
        "https://user:pass@cloud.example/",
        "https://cloud.example/a/../b",
        "https://cloud.example/a/%2e%2e/b",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_root(url)
    assert "pass" not in str(caught.value).replace("password", "")


def test_plain_http_is_refused_unless_it_is_allowed() -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        parse_root("http://cloud.example/dav")
    assert parse_root("http://cloud.example/dav", allow_plain_http=True).path == "/dav/"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 (compared only)
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("", "/dav/Ordner%20%C3%A4/"),
        ("a/b.pdf", "/dav/Ordner%20%C3%A4/a/b.pdf"),
        ("ü?#%/;+&", "/dav/Ordner%20%C3%A4/%C3%BC%3F%23%25/%3B%2B%26"),
        ("a%41b", "/dav/Ordner%20%C3%A4/a%2541b"),
    ],
)
def test_a_name_becomes_a_path(name: str, path: str) -> None:
    assert ROOT.path_of(name) == path
    assert ROOT.name_of(path) == name


def test_a_folder_ends_with_a_slash() -> None:
    assert ROOT.path_of("a", folder=True).endswith("/a/")
    assert ROOT.path_of("", folder=True) == ROOT.path


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(NameRefusedError):
        ROOT.path_of("\udcff")


@pytest.mark.parametrize(
    "href",
    [
        "/dav/Ordner%20%C3%A4/a%20b/c",
        "/dav/Ordner%20%c3%a4/a%20b/c",
        "/dav/Ordner ä/a b/c",
        "https://cloud.example/dav/Ordner%20%C3%A4/a%20b/c",
        "http://internal:8080/dav/Ordner%20%C3%A4/a%20b/c",
        "//internal/dav/Ordner%20%C3%A4/a%20b/c",
        "/dav//Ordner%20%C3%A4/a%20b/c/",
        "/%64av/Ordner%20%C3%A4/%61%20b/c",
        "  /dav/Ordner%20%C3%A4/a%20b/c\n",
        "//dav/Ordner%20%C3%A4/a%20b/c",
        "///dav/Ordner%20%C3%A4/a%20b/c",
        "//cloud.example/dav/Ordner%20%C3%A4/a%20b/c",
        "http://[::1]:80/dav/Ordner%20%C3%A4/a%20b/c",
    ],
)
def test_a_name_is_known_in_every_writing(href: str) -> None:
    assert ROOT.name_of(href) == "a b/c"


@pytest.mark.parametrize(
    "href",
    [
        "/",
        "/dav/",
        "/dav/Ordner/a",
        "/other/Ordner%20%C3%A4/a",
        "/dav/Ordner%20%C3%A4/../a",
        "/dav/Ordner%20%C3%A4/%2e%2e/a",
        "/dav/Ordner%20%C3%A4/a/./b",
        "/dav/Ordner%20%C3%A4/a%2Fb",
        "/dav/Ordner%20%C3%A4/a%00b",
        "https://cloud.example",
        "http://[::1",
        "http://[::1/dav/Ordner/a",
        "mailto:a@b.example",
        "a b/c",
        "//",
        "",
    ],
)
def test_what_is_not_below_the_root_is_refused(href: str) -> None:
    with pytest.raises(NotAStorageError):
        ROOT.name_of(href)


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("/dav/Ordner%20%C3%A4/a?b#c.pdf", "a?b#c.pdf"),
        ("https://cloud.example/dav/Ordner%20%C3%A4/#1/a.pdf", "#1/a.pdf"),
        ("/dav/Ordner%20%C3%A4/x//y.pdf", "x/y.pdf"),
        ("/dav/Ordner%20%C3%A4/http://x", "http:/x"),
    ],
)
def test_what_a_server_leaves_unencoded_belongs_to_the_name(href: str, name: str) -> None:
    assert ROOT.name_of(href) == name


def test_a_root_at_the_top_of_the_server_knows_its_own_host() -> None:
    top = DavRoot("https://cloud.example:8443", "/")
    assert top.name_of("//cloud.example:8443/a.pdf") == "a.pdf"
    assert top.name_of("//folder/a.pdf") == "folder/a.pdf"


def test_the_root_itself() -> None:
    assert ROOT.name_of("/dav/Ordner%20%C3%A4") == ""
    assert ROOT.name_of("/dav/Ordner%20%C3%A4/") == ""
    above = ROOT.parent()
    assert above is not None
    assert above.path == "/dav/"
    assert DavRoot("https://cloud.example", "/").parent() is None


SEGMENT = st.text(min_size=1, max_size=12).filter(
    lambda text: (
        not set(text) & {"/", "\0"}
        and text not in {".", ".."}
        and not any("\ud800" <= character <= "\udfff" for character in text)
    )
)


@given(st.lists(SEGMENT, min_size=1, max_size=4))
def test_every_name_comes_back(segments: list[str]) -> None:
    name = "/".join(segments)
    path = ROOT.path_of(name)
    assert path.isascii()
    assert ROOT.name_of(path) == name
