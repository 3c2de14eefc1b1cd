"""Reading listings: complete, exact, in bounds, or an error."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest
from tests.unit.dav_kit import entry
from tests.unit.dav_kit import multistatus as document

from paperfleet.errors import NotAStorageError, UnavailableError
from paperfleet.storage.dav import multistatus
from paperfleet.storage.dav.multistatus import DavEntry, clean_etag, read_entries, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = b'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">'
TIME = 1_500_000_000 * 10**9


def read(content: bytes, piece: int = 7) -> list[DavEntry]:
    return list(read_entries(content[i : i + piece] for i in range(0, len(content), piece)))


def test_files_and_folders() -> None:
    content = document(
        [entry("", folder=True), entry("a b", size=12, etag='"x"'), entry("ü", folder=True)]
    )
    assert read(content) == [
        DavEntry("/dav/Folder/", is_folder=True, size=1, modified_ns=TIME, etag='"e"'),
        DavEntry("/dav/Folder/a%20b", is_folder=False, size=12, modified_ns=TIME, etag='"x"'),
        DavEntry("/dav/Folder/%C3%BC/", is_folder=True, size=1, modified_ns=TIME, etag='"e"'),
    ]


def test_any_prefix_and_any_piece() -> None:
    content = document([entry("a")]).replace(b"d:", b"weird:").replace(b":d=", b":weird=")
    for piece in (1, 3, 10_000):
        assert [found.href for found in read(content, piece)] == ["/dav/Folder/a"]


def test_properties_that_were_not_found_count_for_nothing() -> None:
    content = HEAD + (
        b"<d:response><d:href>/a</d:href>"
        b"<d:propstat><d:prop><d:getetag/><d:getcontentlength>9</d:getcontentlength></d:prop>"
        b"<d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>"
        b"<d:propstat><d:prop><d:resourcetype/></d:prop>"
        b"<d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
        b"</d:response></d:multistatus>"
    )
    assert read(content) == [DavEntry("/a", is_folder=False)]


@pytest.mark.parametrize(
    ("xml", "status"),
    [
        ("<d:status>HTTP/1.1 403 Forbidden</d:status>", 403),
        ("<d:status>HTTP/2 507</d:status>", 507),
        ("<d:propstat><d:prop/><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>", 404),
        ("", 404),
    ],
)
def test_an_entry_may_be_an_error(xml: str, status: int) -> None:
    content = HEAD + f"<d:response><d:href>/a</d:href>{xml}</d:response>".encode()
    (found,) = read(content + b"</d:multistatus>")
    assert found.status == status


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>Log in</body></html>",
        b"<!DOCTYPE html><html><p>unclosed<br></html>",
        b"not xml",
        b"\x00\x01",
        HEAD + b"<d:response></d:response></d:multistatus>",
        b'<?xml version="1.0"?><!DOCTYPE d:multistatus [<!ENTITY x "y">]>'
        + HEAD[21:]
        + b"<d:response><d:href>/&x;</d:href></d:response></d:multistatus>",
        b'<?xml version="1.0"?><!DOCTYPE d:multistatus SYSTEM "file:///etc/passwd">'
        + HEAD[21:]
        + b"</d:multistatus>",
    ],
)
def test_what_is_no_listing_is_refused(content: bytes) -> None:
    with pytest.raises(NotAStorageError):
        read(content)


def test_a_bomb_of_entities_does_not_go_off() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    content = (
        f'<!DOCTYPE d:multistatus [<!ENTITY l0 "ha">{levels}]>'
        '<d:multistatus xmlns:d="DAV:"><d:response><d:href>&l9;</d:href></d:response>'
        "</d:multistatus>"
    )
    with pytest.raises(NotAStorageError):
        read(content.encode(), piece=100)


def test_a_listing_that_ends_early_is_not_taken_for_complete() -> None:
    content = document([entry(f"{number}") for number in range(20)])
    whole = len(read(content, 10_000))
    assert whole == 20
    for end in range(len(HEAD) + 5, len(content) - 1, 97):
        with pytest.raises((UnavailableError, NotAStorageError)):
            read(content[:end], 10_000)


def test_entries_come_while_the_answer_arrives() -> None:
    sent: list[str] = []

    def pieces() -> Iterator[bytes]:
        yield HEAD
        for name in ("a", "b", "c"):
            sent.append(name)
            yield entry(name).encode()
        yield b"</d:multistatus>"

    entries = read_entries(pieces())
    assert next(entries).href.endswith("a")
    assert sent == ["a"]


def test_memory_stays_flat() -> None:
    count = 20_000

    def pieces() -> Iterator[bytes]:
        yield HEAD
        for number in range(count):
            yield entry(f"folder/{number:06}").encode()
        yield b"</d:multistatus>"

    tracemalloc.start()
    try:
        found = sum(1 for _ in read_entries(pieces()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == count
    assert peak < 2_000_000


def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD
        while True:
            yield b"<d:x>" + b" " * 10_000 + b"</d:x>"

    with pytest.raises(NotAStorageError, match="too large"):
        list(read_entries(endless()))
    monkeypatch.setattr(multistatus, "MOST_BYTES", 100_000)
    with pytest.raises(NotAStorageError, match="too large"):
        read(HEAD + entry("a").encode() * 1000 + b"</d:multistatus>", 1000)


def test_entries_without_end_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multistatus, "MOST_ENTRIES", 999)
    with pytest.raises(NotAStorageError, match="too large"):
        read(HEAD + entry("a").encode() * 1000 + b"</d:multistatus>", 1000)


def test_very_long_text_is_refused() -> None:
    with pytest.raises(NotAStorageError):
        read(HEAD + b"<d:response><d:href>" + b"x" * 20_000_000, 1 << 20)


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        (None, None),
        ("", None),
        ('"abc"', '"abc"'),
        ("abc", '"abc"'),
        ('W/"abc"', '"abc"'),
        ('"abc-gzip"', '"abc"'),
        ('"abc--gzip"', '"abc-"'),
        (' "abc" ', '"abc"'),
    ],
)
def test_etags_in_one_form(text: str | None, etag: str | None) -> None:
    assert clean_etag(text) == etag


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("Fri, 14 Jul 2017 02:40:00 GMT", TIME),
        ("2017-07-14T02:40:00Z", None),
        ("yesterday", None),
    ],
)
def test_dates(text: str | None, expected: int | None) -> None:
    assert time_of(text) == expected
