"""Every way in which an exchange fails, on servers that do exactly that.

What it means to us, and whether the request may have had its effect ("sent").
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.servers.base import HOST, free_port
from tests.servers.certificates import make_certificate, openssl_missing, server_context
from tests.servers.wire import Wire, deaf_port, wire_server

from paperfleet.errors import (
    CredentialsError,
    NotAStorageError,
    StorageError,
    TooLargeError,
    UnavailableError,
)
from paperfleet.storage.dav.client import DavClient, Request
from paperfleet.storage.dav.transport import was_sent
from paperfleet.storage.dav.urls import parse_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TIMEOUT = 0.8
SOON = 8.0
"""Seconds within which anything ends, on a busy machine too: several times the timeout."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MADE = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
BIG = b"x" * (8 << 20)
"""More than what fits between two sockets, so that it cannot be on its way before it is read."""

PUT = Request("PUT", "/dav/a", operation="save", name="a", body=lambda: b"body")
MOVE = Request("MOVE", "/dav/a", operation="move", name="a", headers={"Destination": "/dav/b"})
GET = Request("GET", "/dav/a", operation="open", name="a")
DONE = {200, 201, 204}


def big(body: Callable[[], bytes | Iterator[bytes]]) -> Request:
    """Return a PUT of ``BIG``."""
    length = {"Content-Length": str(len(BIG))}
    return Request("PUT", "/dav/a", operation="save", name="a", headers=length, body=body)


def in_pieces() -> Iterator[bytes]:
    for at in range(0, len(BIG), 1 << 16):
        yield BIG[at : at + (1 << 16)]


def client(port: int, scheme: str = "http", host: str = HOST, **options: object) -> DavClient:
    given = {"timeout": TIMEOUT, **options}
    root = parse_root(f"{scheme}://{host}:{port}/dav/", allow_plain_http=True)
    return DavClient(root, **given)  # type: ignore[arg-type]  # of a table


def failed(dav: DavClient, request: Request) -> StorageError:
    """Send a request that fails; it has to fail soon."""
    began = time.monotonic()
    with dav, pytest.raises(StorageError) as caught:
        dav.ask(request, DONE)
    assert time.monotonic() - began < SOON
    error = caught.value
    assert (error.operation, error.name) == (request.operation, "a")
    assert error.storage == dav.root.url
    return error


class Row(NamedTuple):
    """What a server does once it has a connection, and what that means."""

    serve: Callable[[Wire], None]
    request: Request
    kind: type[StorageError]
    words: str


def reset_in_the_head(wire: Wire) -> None:
    wire.socket.recv(1)
    wire.reset()


def reset_after_a_hello(wire: Wire) -> None:
    wire.socket.recv(100)
    wire.reset()


def answers_heads(wire: Wire, answer: bytes) -> None:
    wire.head()
    wire.send(answer)


def close_after_the_head(wire: Wire) -> None:
    wire.head()


def reset_in_the_body(wire: Wire) -> None:
    wire.head()
    wire.socket.recv(1000)
    wire.reset()


def close_after_the_body(wire: Wire) -> None:
    wire.request()


def reset_after_the_body(wire: Wire) -> None:
    wire.request()
    wire.reset()


def silence(wire: Wire) -> None:
    wire.request()
    wire.wait()


def silence_before_the_body(wire: Wire) -> None:
    wire.head()
    wire.socket.settimeout(None)
    wire._server.closing.wait(20)


def says(*pieces: bytes, then: Callable[[Wire], None] | None = None) -> Callable[[Wire], None]:
    """Return a server that reads a request, sends something, and closes or does what follows."""

    def serve(wire: Wire) -> None:
        wire.request()
        for piece in pieces:
            wire.send(piece)
        if then is not None:
            then(wire)

    return serve


def drips(data: bytes, first: bytes = b"") -> Callable[[Wire], None]:
    return says(first, then=lambda wire: wire.drip(data, 0.02))


def answers_early(answer: bytes, *, reset: bool = False) -> Callable[[Wire], None]:
    """Return a server that answers when it has the head and a little, and reads no more."""

    def serve(wire: Wire) -> None:
        wire.head()
        wire.send(answer)
        if reset:
            time.sleep(0.05)  # the answer arrives first
            wire.reset()
        else:
            wire.socket.shutdown(socket.SHUT_WR)
            wire.wait()

    return serve


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TOLD_5 = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
WHO = b"HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"

ROWS = {
    "reset in the head": Row(reset_in_the_head, PUT, UnavailableError, "cut"),
    "closed before the body": Row(close_after_the_head, big(in_pieces), UnavailableError, "cut"),
    "reset in the body": Row(reset_in_the_body, big(in_pieces), UnavailableError, "cut"),
    "reset in a body of memory": Row(reset_in_the_body, big(lambda: BIG), UnavailableError, "cut"),
    "closed after the body": Row(close_after_the_body, PUT, UnavailableError, "cut"),
    "closed after a request without body": Row(close_after_the_body, MOVE, UnavailableError, "cut"),
    "reset after the body": Row(reset_after_the_body, PUT, UnavailableError, "cut"),
    "no answer": Row(silence, MOVE, UnavailableError, "no answer within"),
    "body not taken": Row(silence_before_the_body, big(in_pieces), UnavailableError, "within"),
    "half a status line": Row(says(b"HTTP/1.1 2"), PUT, UnavailableError, "cut|no HTTP"),
    "half a head": Row(says(b"HTTP/1.1 201 Made\r\nX: 1\r\n"), PUT, UnavailableError, "cut"),
    "head alone": Row(says(TOLD_5), GET, UnavailableError, "cut"),
    "head, then silence": Row(says(TOLD_5, then=Wire.wait), GET, UnavailableError, "within"),
    "cut body": Row(says(TOLD_5, b"hel"), GET, UnavailableError, "cut"),
    "reset body": Row(says(TOLD_5, b"hel", then=Wire.reset), GET, UnavailableError, "cut"),
    "cut in a chunk": Row(says(CHUNKED, b"5\r\nhel"), GET, UnavailableError, "cut"),
    "cut between chunks": Row(says(CHUNKED, b"5\r\nhello\r\n"), GET, UnavailableError, "cut"),
    "no chunk": Row(says(CHUNKED, b"zz\r\nhello\r\n"), GET, UnavailableError, "cut|damaged"),
    "damaged packing": Row(says(PACKED), GET, UnavailableError, "damaged"),
    "no HTTP": Row(says(b"220 mail.example ESMTP\r\n"), PUT, UnavailableError, "cut|no HTTP"),
    "a head without end": Row(
        drips(b"X-More: " + b"y" * 100_000 + b"\r\n", b"HTTP/1.1 200 OK\r\n"),
        GET,
        UnavailableError,
        "within|too long|cut",
    ),
    "a large head": Row(
        says(b"HTTP/1.1 200 OK\r\n", b"X-More: 12345\r\n" * 1_000_000),
        GET,
        UnavailableError,
        "too long|cut",
    ),
    "an answer that trickles": Row(
        drips(b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        MOVE,
        UnavailableError,
        "within",
    ),
    "an answer in chunks that trickles": Row(
        drips(b"1\r\nx\r\n", CHUNKED), GET, UnavailableError, "within"
    ),
    "a status line that trickles": Row(
        drips(b"HTTP/1.1 200 " + b"O" * 5000), MOVE, UnavailableError, "within"
    ),
    "1xx without end": Row(
        drips(b"HTTP/1.1 102 Processing\r\n\r\n"), MOVE, UnavailableError, "within"
    ),
    "1xx without pause": Row(
        says(then=lambda wire: wire.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 400_000)),
        MOVE,
        UnavailableError,
        "within|too long|cut",
    ),
    "a body that is taken too slowly": Row(
        lambda wire: wire.sip(100, 0.05), big(in_pieces), UnavailableError, "within"
    ),
    "413 before the body": Row(
        answers_early(TOO_LARGE), big(in_pieces), TooLargeError, "body of this size"
    ),
    "413 before a body of memory": Row(
        answers_early(TOO_LARGE), big(lambda: BIG), TooLargeError, "body of this size"
    ),
    "401 before the body": Row(answers_early(WHO), big(in_pieces), CredentialsError, "password"),
    "done before the body was read": Row(
        answers_early(MADE), big(in_pieces), UnavailableError, "before"
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_what_failed_after_it_was_sent_may_be_done(case: str) -> None:
    row = ROWS[case]
    small = 4096 if row.request.method == "PUT" else 0
    with wire_server(lambda wire, _: row.serve(wire), receive_buffer=small) as server:
        error = failed(client(server.port), row.request)
    assert type(error) is row.kind
    assert re.search(row.words, error.reason), error.reason
    assert was_sent(error)
    assert server.connections == 1


def test_nothing_listens() -> None:
    error = failed(client(free_port()), MOVE)
    assert type(error) is UnavailableError
    assert "nothing listens" in error.reason
    assert "port" in error.hint
    assert not was_sent(error)


def test_a_host_that_is_not_known() -> None:
    error = failed(client(443, "https", "cloud.invalid", timeout=5), MOVE)
    assert type(error) is UnavailableError
    assert "cannot be resolved" in error.reason
    assert "DNS" in error.hint
    assert not was_sent(error)


def test_a_port_that_does_not_answer() -> None:
    with deaf_port() as port:
        error = failed(client(port), MOVE)
    assert type(error) is UnavailableError
    assert "no connection within" in error.reason
    assert not was_sent(error)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with certificates: good, expired, another (of another host)."""
    if missing := openssl_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, stem="good")
    make_certificate(folder, stem="expired", expired=True)
    make_certificate(folder, stem="another", name="DNS:other.example")
    return folder


def answers(wire: Wire) -> None:
    while wire.request():
        wire.send(OK)


@pytest.mark.parametrize(
    ("served", "trusted", "words"),
    [
        ("good", None, "not trusted"),
        ("expired", "expired", "not trusted.*expired"),
        ("another", "another", "not trusted.*(match|127)"),
    ],
)
def test_a_server_that_cannot_prove_who_it_is(
    certificates: Path, served: str, trusted: str | None, words: str
) -> None:
    context = server_context(certificates / f"{served}.pem")
    verify = str(certificates / f"{trusted}.crt") if trusted else True
    with wire_server(lambda wire, _: answers(wire), context) as server:
        error = failed(client(server.port, "https", verify=verify, timeout=5), MOVE)
        assert not server.heads
    assert type(error) is NotAStorageError
    assert re.search(words, error.reason), error.reason
    assert "authority" in error.hint
    assert not was_sent(error)


def test_a_server_that_proves_who_it_is(certificates: Path) -> None:
    context = server_context(certificates / "good.pem")
    with wire_server(lambda wire, _: answers(wire), context) as server:
        with client(server.port, "https", verify=str(certificates / "good.crt"), timeout=5) as dav:
            for _ in range(3):
                assert dav.ask(GET, DONE).body == b"ok"
        assert server.connections == 1


def test_a_port_without_tls() -> None:
    with wire_server(lambda wire, _: says(b"HTTP/1.1 400 Bad\r\n\r\n")(wire)) as server:
        error = failed(client(server.port, "https", timeout=5), MOVE)
    assert not error.transient or "TLS" not in error.reason
    assert not was_sent(error)


def test_a_handshake_that_is_cut() -> None:
    with wire_server(lambda wire, _: reset_after_a_hello(wire)) as server:
        error = failed(client(server.port, "https", timeout=5), MOVE)
    assert type(error) is UnavailableError
    assert not was_sent(error)


def test_a_handshake_that_hangs() -> None:
    with wire_server(lambda wire, _: wire.wait()) as server:
        error = failed(client(server.port, "https"), MOVE)
    assert type(error) is UnavailableError
    assert "within" in error.reason
    assert not was_sent(error)


class Proxied(NamedTuple):
    """What a proxy answers to CONNECT, and what that means."""

    answer: bytes
    kind: type[StorageError]
    words: str


PROXIES = {
    "wants a password": Proxied(
        b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        CredentialsError,
        "proxy wants a password",
    ),
    "forbids it": Proxied(
        b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", UnavailableError, "proxy.*403"
    ),
    "reaches nobody": Proxied(
        b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", UnavailableError, "proxy.*502"
    ),
    "hangs up": Proxied(b"", UnavailableError, "proxy|cut|no connection"),
}


@pytest.mark.parametrize("case", PROXIES)
def test_a_proxy_that_lets_nothing_through(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = PROXIES[case]
    with wire_server(lambda wire, _: answers_heads(wire, row.answer)) as server:
        monkeypatch.setenv("https_proxy", f"http://user:geheim@{HOST}:{server.port}")
        error = failed(client(443, "https", "cloud.invalid", timeout=5), MOVE)
    assert server.heads[0].startswith(b"CONNECT cloud.invalid:443 ")
    assert type(error) is row.kind
    assert re.search(row.words, error.reason), error.reason
    assert "geheim" not in str(error)
    assert not was_sent(error)


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://{HOST}:{free_port()}")
    error = failed(client(443, "https", "cloud.invalid", timeout=5), MOVE)
    assert type(error) is UnavailableError
    assert "nothing listens" in error.reason
    assert not was_sent(error)


def test_a_proxy_of_plain_http_that_wants_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = PROXIES["wants a password"].answer
    with wire_server(lambda wire, _: answers_heads(wire, answer)) as server:
        monkeypatch.setenv("http_proxy", f"http://{HOST}:{server.port}")
        error = failed(client(80, host="cloud.invalid"), MOVE)
    assert type(error) is CredentialsError
    assert "proxy wants a password" in error.reason


def test_an_idle_connection_that_was_closed_is_not_used_again() -> None:
    def one_each(wire: Wire, _: int) -> None:
        wire.request()
        wire.send(OK)

    with wire_server(one_each) as server, client(server.port) as dav:
        for request in (GET, MOVE, PUT, MOVE):
            seen = server.connections
            server.left.clear()
            dav.ask(request, DONE)
            assert server.connections == seen + 1
            assert server.left.wait(10)


@pytest.mark.parametrize("how", [Wire.reset, lambda _wire: None], ids=["reset", "closed"])
@pytest.mark.parametrize("request_", [GET, PUT, MOVE], ids=["GET", "PUT", "MOVE"])
def test_a_used_connection_that_dies_under_a_request(
    request_: Request, how: Callable[[Wire], None]
) -> None:
    """What can be repeated is, once, on a new connection; what can not is in doubt."""

    def dies_at_the_second(wire: Wire, number: int) -> None:
        wire.request()
        wire.send(OK)
        if number == 0:
            wire.request()
            how(wire)
        else:
            answers(wire)

    with wire_server(dies_at_the_second) as server, ExitStack() as stack:
        dav = stack.enter_context(client(server.port))
        dav.ask(GET, DONE)
        if request_.may_repeat:
            assert dav.ask(request_, DONE).body == b"ok"
            assert len(server.heads) == 3
        else:
            with pytest.raises(UnavailableError, match="cut") as caught:
                dav.ask(request_, DONE)
            assert was_sent(caught.value)
            assert len(server.heads) == 2
            assert server.connections == 1


def test_slow_but_steady_is_well() -> None:
    """A body that takes several times the timeout and moves on is no failure, in both ways."""

    def slowly(wire: Wire, _: int) -> None:
        head = wire.head()
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        taken = len(wire._read)
        while taken < length:
            time.sleep(0.05)
            taken += len(wire.socket.recv(200_000))
        wire.send(MADE)

    def gives_slowly(wire: Wire, _: int) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n")
        for _piece in range(30):
            time.sleep(0.1)
            wire.send(b"x" * 20_000)

    with wire_server(slowly, receive_buffer=100_000) as server, client(server.port) as dav:
        assert dav.ask(big(in_pieces), DONE).status == 201
    with wire_server(gives_slowly) as server, client(server.port) as dav:
        assert len(dav.ask(GET, DONE).body) == 600_000


def test_a_reader_that_takes_its_time_is_well() -> None:
    def gives(wire: Wire, _: int) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000))

    with wire_server(gives) as server, client(server.port) as dav:
        got = 0
        with dav.stream(GET, DONE) as response:
            for piece in response.iter_bytes():
                if not got:
                    time.sleep(2.5 * TIMEOUT)
                got += len(piece)
        assert got == 4_000_000


def test_a_body_that_turns_out_wrong_is_cut_off() -> None:
    def wrong() -> Iterator[bytes]:
        for _ in range(4):
            yield BIG[: 1 << 18]
        raise ValueError("it changed")

    bodies: list[int] = []
    counted = threading.Event()

    def counts(wire: Wire, _: int) -> None:
        wire.head()
        size = len(wire._read)
        while piece := wire.socket.recv(65536):
            size += len(piece)
        bodies.append(size)
        counted.set()

    with wire_server(counts) as server, client(server.port) as dav:
        with pytest.raises(ValueError, match="it changed"):
            dav.ask(big(wrong), DONE)
        assert counted.wait(10)
    assert bodies[0] < 1 << 20


@pytest.mark.parametrize("size", [len(BIG) - 1, len(BIG) + 1], ids=["shorter", "longer"])
def test_a_body_of_another_size_than_announced_is_never_taken_for_whole(size: int) -> None:
    def other() -> Iterator[bytes]:
        yield from in_pieces() if size > len(BIG) else iter([BIG[:-1]])
        if size > len(BIG):
            yield b"x"

    with wire_server(lambda wire, _: says(MADE)(wire)) as server:
        dav = client(server.port)
        with dav, pytest.raises((StorageError, RuntimeError)):
            dav.ask(big(other), DONE)
