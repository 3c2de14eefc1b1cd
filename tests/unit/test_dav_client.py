"""Requests: redirects, logins, cookies, locks, bounds, and that nothing of a secret shows."""

from __future__ import annotations

import base64
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.unit.dav_kit import CUT, URL, Server, client, listing, sabre

from paperfleet.errors import (
    ConfigurationError,
    CredentialsError,
    IntegrityError,
    LockedError,
    NotAStorageError,
    NotFoundError,
    StorageError,
    UnavailableError,
)
from paperfleet.secret import Secret
from paperfleet.storage.dav import client as client_module
from paperfleet.storage.dav import login
from paperfleet.storage.dav.client import MOST_BODY, DavClient, Request
from paperfleet.storage.dav.transport import was_sent
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.transport import exchange

PASSWORD = "pässword:with colon"
GET = Request("GET", "/dav/Folder/a", operation="open", name="a")


def put(body: bytes = b"body") -> Request:
    return Request("PUT", "/dav/Folder/a", operation="save", name="a", body=lambda: body)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "UNLOCKING", (0.0, 0.0))


def test_user_and_password_go_with_every_request() -> None:
    server = Server([httpx.Response(200)])
    with client(server, username="älice", password=Secret(PASSWORD)) as dav:
        dav.ask(GET, {200})
    scheme, _, encoded = server.requests[0].headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded).decode() == f"älice:{PASSWORD}"


def test_without_a_user_nothing_is_sent() -> None:
    server = Server([httpx.Response(200)])
    with client(server, username=None) as dav:
        dav.ask(GET, {200})
    assert "authorization" not in server.requests[0].headers


def test_one_jar_for_all_requests_and_all_blocks() -> None:
    server = Server([httpx.Response(200, headers={"Set-Cookie": "session=1; path=/; HttpOnly"})])
    dav = client(server)
    for _ in range(2):
        with dav:
            dav.ask(GET, {200})
    assert [request.headers.get("cookie") for request in server.requests] == [None, "session=1"]


@pytest.mark.parametrize("identity", ["password", "none"])
def test_some_requests_neither_send_nor_keep_cookies(identity: str) -> None:
    fresh = httpx.Response(200, headers={"Set-Cookie": "session=2; path=/"})
    first = httpx.Response(200, headers={"Set-Cookie": "session=1; path=/"})
    server = Server([first, fresh, httpx.Response(200)])
    other = Request("POST", "/bulk", identity=identity)  # type: ignore[arg-type]  # a parameter
    with client(server, password=Secret(PASSWORD)) as dav:
        for request in (GET, other, GET):
            dav.ask(request, {200})
    assert [r.headers.get("cookie") for r in server.requests] == [None, None, "session=1"]
    assert ("authorization" in server.requests[1].headers) is (identity == "password")


def test_cookies_of_many_threads() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        number = request.url.path.rpartition("/")[2]
        return httpx.Response(200, headers={"Set-Cookie": f"c{number}=1; path=/"})

    server = Server(answer)
    with client(server) as dav, ThreadPoolExecutor(8) as pool:
        requests = [Request("GET", f"/dav/Folder/{number}") for number in range(300)]
        assert len(list(pool.map(lambda request: dav.ask(request, {200}), requests))) == 300
        dav.ask(GET, {200})
    assert server.requests[-1].headers["cookie"].count("=1") == 300


def test_used_outside_of_its_block() -> None:
    dav = client(Server([httpx.Response(200)]))
    with pytest.raises(RuntimeError, match="block"):
        dav.ask(GET, {200})


def test_the_outermost_block_closes() -> None:
    dav = client(Server([httpx.Response(200)]))
    with dav:
        with dav:
            pass
        dav.ask(GET, {200})
    with pytest.raises(RuntimeError):
        dav.ask(GET, {200})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["/new/a%20b", "https://cloud.example/new/a%20b"])
def test_a_redirect_within_the_server_is_followed_as_it_is(status: int, location: str) -> None:
    moved = httpx.Response(status, headers={"Location": location})
    server = Server([moved, httpx.Response(201)])
    with client(server, password=Secret(PASSWORD)) as dav:
        dav.ask(put(), {201})
    assert server.log == ["PUT /dav/Folder/a", "PUT /new/a%20b"]
    assert [request.content for request in server.requests] == [b"body", b"body"]
    assert "authorization" in server.requests[1].headers


@pytest.mark.parametrize(
    ("origin", "location"),
    [
        ("https://cloud.example/dav", "https://other.example/dav/x?token=geheim"),
        ("https://cloud.example/dav", "http://cloud.example/dav/x"),
        ("https://cloud.example/dav", "https://cloud.example:8443/dav/x"),
        ("http://localhost/dav", "https://localhost/dav/x"),
        ("https://cloud.example/dav", "https://alice:geheim@cloud.example.evil/dav/x"),
    ],
)
def test_a_redirect_elsewhere_is_refused_and_named(origin: str, location: str) -> None:
    server = Server([httpx.Response(301, headers={"Location": location})])
    dav = client(server, origin, password=Secret(PASSWORD))
    with dav, pytest.raises(NotAStorageError, match="redirects to") as caught:
        dav.ask(put(), {201})
    assert len(server.requests) == 1
    target = httpx.URL(location)
    assert f"{target.scheme}://{target.netloc.decode()}/dav/x" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_circle_of_redirects_ends() -> None:
    server = Server([httpx.Response(302, headers={"Location": "/dav/Folder/a"})])
    with client(server) as dav, pytest.raises(NotAStorageError, match="circle"):
        dav.ask(GET, {200})
    assert len(server.requests) == client_module.MOST_REDIRECTS + 1


def test_after_a_refused_login_nothing_is_sent_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server([sabre(401, "NotAuthenticated"), httpx.Response(200)])
    with client(server, password=Secret(PASSWORD)) as dav:
        for _ in range(3):
            with pytest.raises(CredentialsError):
                dav.ask(GET, {200})
        assert len(server.requests) == 1
        monkeypatch.setattr(login, "PAUSE", 0.0)
        dav.ask(GET, {200})
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (401, {"WWW-Authenticate": 'Digest realm="a, b", nonce="x"'}, b"", "by Digest only"),
        (401, {"WWW-Authenticate": 'Bearer, Negotiate, Digest a="Basic"'}, b"", "Bearer or Digest"),
        (401, {"WWW-Authenticate": 'Digest a="b", Basic realm="x"'}, b"", "user and password"),
        (401, {}, b"", "user and password"),
        (400, {}, b"<h1>400</h1>No required SSL certificate was sent", "certificate of the client"),
        (400, {}, b"The SSL certificate error", "certificate of the client"),
    ],
)
def test_what_the_server_wants_instead_is_told(
    status: int, headers: dict[str, str], body: bytes, words: str
) -> None:
    server = Server([httpx.Response(status, headers=headers, content=body)])
    with client(server, password=Secret(PASSWORD)) as dav, pytest.raises(StorageError) as caught:
        dav.ask(GET, {200})
    assert words in caught.value.reason
    assert caught.value.hint
    assert not caught.value.transient


def test_a_lock_is_waited_for() -> None:
    server = Server([sabre(423), sabre(423), httpx.Response(201)])
    with client(server) as dav:
        assert dav.ask(put(), {201}).status == 201
    assert [request.content for request in server.requests] == [b"body"] * 3


def test_a_lock_that_stays_is_an_error() -> None:
    server = Server([sabre(423, "FileLocked", '"a" is locked')])
    with client(server) as dav, pytest.raises(LockedError, match="is locked"):
        dav.ask(put(), {201})
    assert len(server.requests) == 3


def test_a_lock_that_is_expected_is_not_waited_for() -> None:
    server = Server([sabre(423)])
    with client(server) as dav:
        assert dav.ask(put(), {201, 423}).status == 423
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (exchange.CutOffError, UnavailableError),
        (exchange.OverdueError, UnavailableError),
        (exchange.DamagedAnswerError, UnavailableError),
        (exchange.NotConnectedError, UnavailableError),
        (exchange.NotTrustedError, NotAStorageError),
        (exchange.UnusableAddressError, NotAStorageError),
        (exchange.ProxyLoginError, CredentialsError),
        (exchange.WrongSizeError, IntegrityError),
    ],
)
@pytest.mark.parametrize("sent", [True, False])
def test_failed_exchanges(
    kind: type[exchange.TransportError], expected: type[StorageError], *, sent: bool
) -> None:
    server = Server([kind("why", sent=sent, hint="what to do")])
    with client(server) as dav, pytest.raises(expected, match="why") as caught:
        dav.ask(GET, {200})
    assert (caught.value.operation, caught.value.name) == ("open", "a")
    assert (caught.value.storage, caught.value.hint) == (URL, "what to do")
    assert was_sent(caught.value) is sent


def test_an_answer_without_end_is_not_read() -> None:
    server = Server([httpx.Response(200, content=b"x" * (MOST_BODY + 1))])
    with client(server) as dav, pytest.raises(UnavailableError, match="too long"):
        dav.ask(GET, {200})


def test_of_a_long_refusal_only_the_beginning_is_read() -> None:
    server = Server([httpx.Response(404, content=b"x" * (MOST_BODY + 1))])
    with client(server) as dav, pytest.raises(NotFoundError):
        dav.ask(GET, {200})


def test_a_missing_file_of_authorities_is_a_wrong_setting() -> None:
    dav = DavClient(parse_root(URL), verify="/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match="certificate authorities"), dav:
        pass


def test_the_secret_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    encoded = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    server = Server([sabre(500, "E", "m"), CUT, sabre(401), listing()])
    texts = []
    with client(server, password=Secret(PASSWORD)) as dav:
        texts.append(repr(dav) + repr(vars(dav)))
        for _ in range(3):
            with pytest.raises(StorageError) as caught:
                dav.ask(put(), {201})
            error = caught.value
            texts += [str(error), repr(error), *traceback.format_exception(error)]
    texts += [record.getMessage() for record in caplog.records]
    for text in texts:
        assert PASSWORD not in text
        assert encoded not in text
