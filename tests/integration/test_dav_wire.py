"""HTTP on plain sockets: answers of every form, refusals in the middle, bodies that are wrong."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.integration.test_dav_connections import raw_server, request_of

from paperfleet.storage.dav.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = dict.fromkeys(("connect", "read", "write"), 5.0)


def exchange(
    answers: bytes | Callable[[socket.socket], None],
    *requests: httpx.Request,
    method: str = "GET",
) -> tuple[list[tuple[int, bytes]], int]:
    """Send requests (two GETs by default); return what came back and how many connections."""
    opened: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        opened.append(number)
        if callable(answers):
            answers(connection)
            return
        while request_of(connection):
            connection.sendall(answers)
            if b"close" in answers or b"HTTP/1.0" in answers:
                return

    got = []
    with raw_server(serve) as port:
        url = f"http://127.0.0.1:{port}/a%20b"
        wire = Wire(url, connections=2)
        for request in requests or [httpx.Request(method, url)] * 2:
            request.extensions["timeout"] = TIMEOUT
            answer = wire.handle_request(request)
            try:
                got.append((answer.status_code, b"".join(answer.iter_bytes())))
            finally:
                answer.close()
        wire.close()
    return got, len(opened)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"
CLOSED = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde"
OLD = b"HTTP/1.0 200 OK\r\n\r\nabcde"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + SIZED


@pytest.mark.parametrize(
    ("answer", "connections"),
    [(SIZED, 1), (CHUNKED, 1), (INTERIM, 1), (CLOSED, 2), (OLD, 2)],
    ids=["sized", "chunked", "interim", "closed", "old"],
)
def test_forms_of_answers(answer: bytes, connections: int) -> None:
    assert exchange(answer) == ([(200, b"abcde")] * 2, connections)


def test_answers_without_a_body() -> None:
    assert exchange(b"HTTP/1.1 204 No Content\r\n\r\n") == ([(204, b"")] * 2, 1)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
    assert exchange(head, method="HEAD") == ([(200, b"")] * 2, 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n9\r\nabc",
    ],
    ids=["sized", "chunked"],
)
def test_an_answer_that_ends_too_early(answer: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        exchange(answer)


def test_an_answer_that_is_not_read_to_its_end_costs_the_connection() -> None:
    def serve(connection: socket.socket) -> None:
        while request_of(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b"x" * 900000)

    def first_bytes(wire: Wire, url: str) -> bytes:
        answer = wire.handle_request(httpx.Request("GET", url, extensions={"timeout": TIMEOUT}))
        try:
            return next(answer.iter_bytes(10))
        finally:
            answer.close()

    with raw_server(lambda connection, _: serve(connection)) as port:
        url = f"http://127.0.0.1:{port}/"
        wire = Wire(url, connections=2)
        assert [first_bytes(wire, url) for _ in range(3)] == [b"x" * 10] * 3
        wire.close()


def test_a_refusal_in_the_middle_of_a_body_is_read() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1)
        while connection.recv(1 << 20):
            pass

    request = httpx.Request("PUT", "http://127.0.0.1/", content=b"x" * 20_000_000)
    assert exchange(serve, request) == ([(413, b"big")], 1)


@pytest.mark.parametrize("pieces", [[b"abc"], [b"abcdefg"], []], ids=["short", "long", "none"])
def test_a_body_of_another_length_than_announced_is_cut_off(pieces: list[bytes]) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while piece := connection.recv(1000):
            seen.append(piece)

    headers = {"Content-Length": "5"}
    request = httpx.Request("PUT", "http://127.0.0.1/", content=iter(pieces), headers=headers)
    with pytest.raises(httpx.LocalProtocolError):
        exchange(serve, request)
    assert not b"".join(seen).endswith(b"abcde")


def test_what_goes_wrong_in_a_body_is_told_and_cuts_it_off() -> None:
    def body() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ZeroDivisionError

    got = 0

    def serve(connection: socket.socket) -> None:
        nonlocal got
        while piece := connection.recv(1 << 20):
            got += len(piece)

    headers = {"Content-Length": "200000"}
    request = httpx.Request("PUT", "http://127.0.0.1/", content=body(), headers=headers)
    with pytest.raises(ZeroDivisionError):
        exchange(serve, request)
    assert got < 200_000


def test_a_header_with_a_line_end_is_not_sent() -> None:
    request = httpx.Request("GET", "http://127.0.0.1/", headers={"X-Name": "a\r\nX-Other: b"})
    with pytest.raises(httpx.LocalProtocolError):
        exchange(SIZED, request)


def test_headers_of_answers_may_hold_any_byte() -> None:
    answer = b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9 \xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    assert exchange(answer) == ([(200, b"")] * 2, 1)
