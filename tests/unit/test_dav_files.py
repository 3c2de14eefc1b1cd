"""Reading a remote file: positions, ranges, and every way in which it may not be what it was."""

from __future__ import annotations

import io
import random
import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.dav_kit import CUT, Server, client, sabre

from paperfleet.errors import (
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.model import FileStat
from paperfleet.storage.dav.files import BUFFER, SKIPPED_BY_READING, open_file

CONTENT = random.Random(5).randbytes(1_500_000)  # noqa: S311 (test data, no secret)
STAT = FileStat("a", len(CONTENT), None, '"1"')
PATH = "/dav/Folder/a"


class File:
    """A server of one file, with ranges or without."""

    def __init__(self, content: bytes = CONTENT, etag: str = '"1"', *, ranges: bool = True) -> None:
        self.content, self.etag, self.ranges = content, etag, ranges

    def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = {"ETag": self.etag} if self.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        if asked is None or not self.ranges:
            return httpx.Response(200, content=self.content, headers=headers)
        first, size = int(asked[1]), len(self.content)
        if first >= size:
            return sabre(416)
        headers["Content-Range"] = f"bytes {first}-{size - 1}/{size}"
        return httpx.Response(206, content=self.content[first:], headers=headers)


def ranges(server: Server) -> list[str | None]:
    return [request.headers.get("range") for request in server.requests]


def test_opening_asks_nothing_and_reading_asks_once() -> None:
    server = Server(File())
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        assert server.requests == []
        assert stream.seekable()
        assert stream.readable()
        assert stream.read() == CONTENT
        assert stream.read() == b""
    assert ranges(server) == [None]


def test_an_empty_file_is_not_asked_for() -> None:
    server = Server(File(b""))
    with client(server) as dav, open_file(dav, PATH, STAT._replace(size=0)) as stream:
        assert stream.read() == b""
    assert server.requests == []


def test_the_end_without_the_rest() -> None:
    server = Server(File())
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        stream.seek(-10, io.SEEK_END)
        assert stream.read() == CONTENT[-10:]
    assert ranges(server) == [f"bytes={len(CONTENT) - 10}-"]


def test_a_short_way_forward_is_read_and_a_long_one_is_not() -> None:
    server = Server(File())
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        stream.read(10)
        stream.seek(BUFFER + 1000)
        assert stream.read(5) == CONTENT[BUFFER + 1000 : BUFFER + 1005]
        assert len(server.requests) == 1
        far = 2 * BUFFER + SKIPPED_BY_READING + 5000
        stream.seek(far)
        assert stream.read(5) == CONTENT[far : far + 5]
    assert ranges(server) == [None, f"bytes={far}-"]


def test_beyond_the_end() -> None:
    server = Server(File())
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        stream.seek(len(CONTENT) + 100)
        assert stream.read() == b""
        with pytest.raises(ValueError, match="negative"):
            stream.seek(-1)
    assert server.requests == []


@pytest.mark.parametrize("with_ranges", [True, False])
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 300_000)),
        min_size=1,
        max_size=6,
    )
)
def test_any_order_of_reading(with_ranges: bool, steps: list[tuple[int, int]]) -> None:
    server = Server(File(ranges=with_ranges))
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        for position, size in steps:
            assert stream.seek(position) == position
            assert stream.read(size) == CONTENT[position : position + size]
            assert stream.tell() == position + len(CONTENT[position : position + size])


@pytest.mark.parametrize("etag", ['"2"', ""])
def test_a_file_that_was_replaced_before_the_first_byte_is_read_as_it_is_now(etag: str) -> None:
    new = b"another content"
    server = Server(File(new, etag))
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        assert stream.read() == new


def test_a_file_that_is_replaced_while_it_is_read() -> None:
    served = File()
    with client(Server(served)) as dav, open_file(dav, PATH, STAT) as stream:
        stream.read(10)
        served.etag = '"2"'
        stream.seek(len(CONTENT) - 10)
        with pytest.raises(PreconditionFailedError, match="replaced"):
            stream.read()


def test_a_file_without_etag_that_gets_another_size_while_it_is_read() -> None:
    served = File(etag="")
    stat = STAT._replace(etag=None)
    with client(Server(served)) as dav, open_file(dav, PATH, stat) as stream:
        stream.read(10)
        served.content = CONTENT + b"more"
        stream.seek(len(CONTENT) - 10)
        with pytest.raises(PreconditionFailedError):
            stream.read()


def test_a_weak_etag_is_the_same_file() -> None:
    server = Server(File(etag='W/"1"'))
    with client(server) as dav, open_file(dav, PATH, STAT) as stream:
        stream.read(10)
        stream.seek(1_000_000)
        assert stream.read(10) == CONTENT[1_000_000:1_000_010]


def test_a_body_that_ends_too_early() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=httpx.ByteStream(CONTENT[:1000]))

    with client(Server(answer)) as dav:
        stream = open_file(dav, PATH, STAT)
        with stream, pytest.raises(IntegrityError, match="ends after 1000 of"):
            stream.read()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (sabre(404), NotFoundError),
        (sabre(503), UnavailableError),
        (CUT, UnavailableError),
        (httpx.Response(206, content=b"x", headers={"Content-Range": "nonsense"}), IntegrityError),
    ],
)
def test_errors_come_when_reading(
    answer: httpx.Response | Exception, expected: type[StorageError]
) -> None:
    with client(Server([answer])) as dav, open_file(dav, PATH, STAT) as stream:
        stream.seek(5)
        with pytest.raises(expected) as caught:
            stream.read()
    assert (caught.value.operation, caught.value.name) == ("open", "a")


def test_closing_ends_the_answer() -> None:
    answers = []

    def answer(_: httpx.Request) -> httpx.Response:
        answers.append(httpx.Response(200, content=CONTENT))
        return answers[-1]

    with client(Server(answer)) as dav:
        stream = open_file(dav, PATH, STAT)
        stream.read(10)
        stream.close()
        stream.close()
        with pytest.raises(ValueError, match="closed"):
            stream.read(1)
    assert answers[0].is_closed
