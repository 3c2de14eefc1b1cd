"""Answers that are none: damaged listings, absurd values, wrong JSON. No traceback, no wrong name.

The seeds in ``answers/`` are what servers answered to a PROPFIND of one folder with a file
``brief #1.pdf`` of 8 bytes and, in a folder ``a ü``, an empty one.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.dav_kit import Server, client

from paperfleet.errors import NameRefusedError, NotAStorageError, StorageError
from paperfleet.model import BatchFile
from paperfleet.storage.dav.answers import Answer, error_of, retry_after
from paperfleet.storage.dav.multistatus import clean_etag, read_entries, time_of
from paperfleet.storage.dav.urls import DavRoot, parse_root
from paperfleet.storage.dav.values import json_of, number_of
from paperfleet.storage.nextcloud.bulk import Bulk
from paperfleet.storage.nextcloud.server import Cloud, cloud_address

if TYPE_CHECKING:
    from paperfleet.storage.dav.multistatus import DavEntry

pytestmark = pytest.mark.property
SEEDS = {path.stem: path.read_bytes() for path in Path(__file__).parent.glob("answers/*.xml")}
WHOLE = {"brief #1.pdf", "a ü", ""}
CLOUD = "https://cloud.example/remote.php/dav/files/alice/Folder"

FOUL = st.sampled_from(
    [
        b"http://[::1",
        b"9" * 5000,
        b"-1",
        b"Fri, 27 Nov 99999999999999999999 06:42:06 GMT",
        b"Mon, 01 Jan 0001 00:00:00 +2359",
        b"\xff\xfe",
        b"&#0;",
        b"&amp;lt;",
        b"<!DOCTYPE d [<!ENTITY a 'b'>]>",
        b"</D:response>",
        b"<D:response><D:href/></D:response>",
        b"HTTP/1.1 99999999999",
        b'encoding="utf-16"',
        b"..",
        b"%2e%2e%2f",
        b"%00",
        b"<!-- -->",
        b"<?x?>",
    ]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return an answer of a real server, with some bytes cut out or replaced."""
    answer = draw(st.sampled_from(sorted(SEEDS.values())))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(answer)))
        end = draw(st.integers(start, min(len(answer), start + 40)))
        answer = answer[:start] + draw(FOUL | st.binary(max_size=8)) + answer[end:]
    return answer


def entries(answer: bytes, step: int = 65536) -> list[DavEntry]:
    return list(read_entries(answer[at : at + step] for at in range(0, len(answer), step)))


@pytest.mark.parametrize("kind", sorted(SEEDS))
def test_what_real_servers_send_is_read(kind: str) -> None:
    folder = "/remote.php/dav/files/tester/seed/" if kind == "nextcloud" else "/seed/"
    found = {DavRoot("", folder).name_of(entry.href): entry for entry in entries(SEEDS[kind], 7)}
    assert found.keys() >= WHOLE
    assert found["brief #1.pdf"].size == 8
    assert not found["brief #1.pdf"].is_folder
    assert found["a ü"].is_folder


@given(damaged(), st.integers(1, 400))
def test_a_damaged_listing_is_read_or_refused(answer: bytes, step: int) -> None:
    root = DavRoot("https://cloud.example", "/seed/")
    try:
        for entry in entries(answer, step):
            number = entry.modified_ns or 0
            assert -(2**63) <= number < 2**63
            assert (entry.size or 0) < 2**63
            name = root.name_of(entry.href)
            assert ".." not in name.split("/")
            assert "\0" not in name
    except StorageError:
        return


@given(st.sampled_from(sorted(SEEDS.values())), st.data())
def test_a_listing_that_is_cut_is_never_taken_for_all(answer: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(answer.rstrip()) - 1))
    with pytest.raises(StorageError):
        entries(answer[:cut])


@given(st.text() | st.from_regex(r"[a-z]{0,5}:?//?\[?[^/]*/dav/.*"))
def test_an_address_of_any_text_is_a_name_or_refused(href: str) -> None:
    try:
        name = DavRoot("https://cloud.example", "/dav/").name_of(href)
    except NotAStorageError:
        return
    assert not name.startswith("/")


YEARS = st.integers(0, 10**25).map(lambda year: f"Fri, 27 Nov {year} 06:42:06 GMT")
VALUES = st.text() | YEARS | st.integers(-(10**30), 10**30).map(str) | st.just("9" * 5000)


@given(VALUES)
def test_a_value_of_any_text_is_understood_or_left_out(text: str) -> None:
    assert (number_of(text) or 0) in range(2**63)
    assert -(2**63) <= (time_of(text) or 0) < 2**63
    assert (retry_after({"retry-after": text}) or 0.0) >= 0.0
    etag = clean_etag(text)
    assert etag is None or httpx.Headers({"If-Match": etag})["if-match"] == etag


@given(st.integers(100, 999), st.binary(max_size=200) | damaged(), VALUES)
def test_every_answer_has_a_meaning(status: int, body: bytes, value: str) -> None:
    answer = Answer(status, {"retry-after": value, "content-type": value}, body)
    for method in ("PUT", "PROPFIND", "MKCOL"):
        assert str(error_of(answer, method=method, operation="save", name="a"))


KEYS = st.sampled_from(
    [
        "ocs",
        "data",
        "capabilities",
        "files",
        "dav",
        "bulkupload",
        "blacklisted_files",
        "forbidden_filename_characters",
        "forbidden_filename_extensions",
        "maintenance",
        "error",
        "etag",
        "fileid",
        "message",
        "/Folder/a.pdf",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TOLD = JSON.map(lambda found: json.dumps(found).encode()) | st.sampled_from(
    [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff", b""]
)


@given(JSON, TOLD)
def test_a_cloud_that_says_nonsense_of_itself(inner: Any, raw: bytes) -> None:  # noqa: ANN401
    told = json.dumps({"ocs": {"data": {"capabilities": inner}}}).encode()
    for body in (told, raw):
        server = Server([httpx.Response(200, content=body)])
        root = parse_root(CLOUD)
        with client(server, CLOUD) as dav:
            cloud = Cloud(dav, cloud_address(root, "alice"))
            cloud.capability("dav", "bulkupload")
            with contextlib.suppress(NameRefusedError):
                cloud.check_new("a.pdf", "save")


@given(TOLD | st.dictionaries(KEYS, JSON).map(lambda found: json.dumps(found).encode()))
def test_a_batch_that_is_answered_with_nonsense_is_unknown_or_refused(body: bytes) -> None:
    server = Server([httpx.Response(200, content=body)])
    address = cloud_address(parse_root(CLOUD), "alice")
    with client(server, CLOUD) as dav:
        outcomes = Bulk(dav, Cloud(dav, address), address, wanted=True).send(
            [BatchFile("a.pdf", b"a", None)]
        )
    found = json_of(body)
    told = found.get("/Folder/a.pdf") if isinstance(found, dict) else None
    stored = outcomes is not None and outcomes[0].stat is not None
    assert not stored or (isinstance(told, dict) and told.get("error") is False)
