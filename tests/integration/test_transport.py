"""The transport beside failures: streams, threads, forks, certificates, proxies, and its end."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.servers.base import HOST
from tests.servers.certificates import make_certificate, openssl_missing, server_context
from tests.servers.wire import Wire, wire_server

from paperfleet.errors import ConfigurationError, NotAStorageError, StorageError, UnavailableError
from paperfleet.secret import Secret
from paperfleet.storage.bucket.backends import S3CompatibleBackend
from paperfleet.storage.bucket.copying import Service
from paperfleet.storage.bucket.raw import MOST_BYTES, RawListing
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.transport.curl import CurlTransport
from paperfleet.storage.transport.exchange import CutOffError, HttpRequest, TransportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from obstore.store import RetryConfig, S3Config

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PIECE = bytes(1 << 18)


def answers(wire: Wire, _: int = 0) -> None:
    while wire.request():
        wire.send(OK)


@contextlib.contextmanager
def transport(port: int, scheme: str = "http", **options: object) -> Iterator[CurlTransport]:
    made = CurlTransport(f"{scheme}://{HOST}:{port}", **options)  # type: ignore[arg-type]  # a table
    with contextlib.closing(made):
        yield made


def get(port: int, scheme: str = "http") -> HttpRequest:
    return HttpRequest("GET", f"{scheme}://{HOST}:{port}/a")


def read(sender: CurlTransport, request: HttpRequest) -> bytes:
    with contextlib.closing(sender.send(request)) as response:
        return b"".join(response.iter_bytes())


def test_threads_share_connections() -> None:
    with wire_server(answers) as server, transport(server.port) as sender:
        with ThreadPoolExecutor(8) as pool:
            asked = [get(server.port)] * 200
            assert set(pool.map(lambda request: read(sender, request), asked)) == {b"ok"}
        assert len(server.heads) == 200
        assert server.connections <= 8


def test_a_body_is_read_as_it_goes_out() -> None:
    taken = 0
    looked = threading.Event()

    def pieces() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(256):
            taken += 1
            yield PIECE

    def takes_nothing_for_a_while(wire: Wire, _: int) -> None:
        wire.head()
        looked.wait(10)
        left = 256 * len(PIECE) - len(wire._read)
        while left:
            left -= len(wire.socket.recv(1 << 20))
        wire.send(OK)

    with wire_server(takes_nothing_for_a_while, receive_buffer=65536) as server:
        length = {"Content-Length": str(256 * len(PIECE))}
        url = f"http://{HOST}:{server.port}/a"
        with transport(server.port) as sender, ThreadPoolExecutor(1) as pool:
            sent = pool.submit(read, sender, HttpRequest("PUT", url, length, pieces))
            while not (taken and _stands(lambda: taken)):
                pass
            assert taken < 64  # 16 MB: what two sockets hold
            looked.set()
            assert sent.result(30) == b"ok"
        assert taken == 256


def _stands(number: object) -> bool:
    """Say whether a count stays the same for a moment."""
    before = number()  # type: ignore[operator]  # a function
    time.sleep(0.3)
    return bool(number() == before)  # type: ignore[operator]  # a function


def test_an_answer_is_not_fetched_before_it_is_read() -> None:
    given = 0

    def gives(wire: Wire, _: int) -> None:
        nonlocal given
        wire.request()
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {256 * len(PIECE)}\r\n\r\n".encode())
        for _piece in range(256):
            wire.send(PIECE)
            given += 1

    with wire_server(gives) as server, transport(server.port) as sender:
        response = sender.send(get(server.port))
        pieces = response.iter_bytes()
        got = len(next(pieces))
        while not _stands(lambda: given):
            pass
        assert given < 128  # 32 MB: what two sockets hold at the very most
        got += sum(len(piece) for piece in pieces)
        assert got == 256 * len(PIECE)


def test_an_answer_that_was_closed_gives_nothing_of_another() -> None:
    with wire_server(answers) as server, transport(server.port) as sender:
        first = sender.send(get(server.port))
        pieces = first.iter_bytes()
        first.close()
        second = sender.send(get(server.port))
        first.close()
        with pytest.raises(CutOffError, match="closed"):
            next(pieces)
        assert b"".join(second.iter_bytes()) == b"ok"


@pytest.mark.parametrize("within", [0.0, 0.3])
def test_what_hangs_is_ended_from_outside(within: float) -> None:
    def hangs(wire: Wire, _: int) -> None:
        wire.request()
        wire.wait()

    with wire_server(hangs) as server, transport(server.port) as sender:
        with ThreadPoolExecutor(4) as pool:
            hanging = [pool.submit(read, sender, get(server.port)) for _ in range(4)]
            _wait_for(lambda: len(server.heads) == 4)
            began = time.monotonic()
            sender.end_within(within)
            for one in hanging:
                with pytest.raises(CutOffError, match="program ends") as caught:
                    one.result(10)
                assert caught.value.sent
        assert within <= time.monotonic() - began < within + 5
        with pytest.raises(TransportError) as refused:
            sender.send(get(server.port))
        assert not refused.value.sent
        assert len(server.heads) == 4


def _wait_for(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]  # a function
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_closing_ends_what_hangs() -> None:
    def hangs(wire: Wire, _: int) -> None:
        wire.request()
        wire.wait()

    with wire_server(hangs) as server, ThreadPoolExecutor(1) as pool:
        with transport(server.port) as sender:
            hanging = pool.submit(read, sender, get(server.port))
            _wait_for(lambda: server.heads)
        with pytest.raises(CutOffError):
            hanging.result(10)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the certificates of a server and of a client."""
    if missing := openssl_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, stem="server")
    make_certificate(folder, stem="client", name="DNS:client.example")
    return folder


def test_a_forked_process_leaves_connections_alone(certificates: Path) -> None:
    """What the child does or ends must not say anything on the parent's connections."""
    context = server_context(certificates / "server.pem")
    trusted = str(certificates / "server.crt")
    with (
        wire_server(answers, context) as server,
        transport(server.port, "https", verify=trusted) as sender,
    ):
        assert read(sender, get(server.port, "https")) == b"ok"
        child = os.fork()
        if child == 0:  # pragma: no cover  # in the child
            code = 1
            with contextlib.suppress(BaseException):
                code = 0 if read(sender, get(server.port, "https")) == b"ok" else 2
                sender.close()
                gc.collect()
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        for _ in range(3):
            assert read(sender, get(server.port, "https")) == b"ok"
        assert server.connections == 2


def test_our_certificate_is_shown(certificates: Path) -> None:
    context = server_context(certificates / "server.pem", wants_of=certificates / "client.crt")
    shown = {
        "verify": str(certificates / "server.crt"),
        "certificate": str(certificates / "client.pem"),
    }
    with (
        wire_server(answers, context) as server,
        transport(server.port, "https", **shown) as sender,
    ):
        assert read(sender, get(server.port, "https")) == b"ok"


def test_a_certificate_of_ours_that_is_not_there_is_a_wrong_setting() -> None:
    storage = WebDavBackend("https://cloud.example/", certificate="/nowhere/client.pem")
    with pytest.raises(ConfigurationError, match="certificate"), storage:
        pass


@pytest.mark.parametrize("kept_out", ["other.invalid,cloud.invalid", "*", ".invalid"])
def test_a_host_of_no_proxy_is_asked_without(
    kept_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wire_server(answers) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{HOST}:{proxy.port}")
        monkeypatch.setenv("no_proxy", kept_out)
        sender = CurlTransport("http://cloud.invalid")
        with contextlib.closing(sender), pytest.raises(TransportError, match="resolved"):
            sender.send(HttpRequest("GET", "http://cloud.invalid/a"))
        assert not proxy.heads


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("bücher.invalid", "cannot be resolved"),
        ("straße.invalid", "host name cannot be used"),
        ("a" * 70 + "ü.invalid", "host name cannot be used"),
    ],
)
def test_a_host_name_beyond_ascii(host: str, words: str) -> None:
    storage = WebDavBackend(f"https://{host}/dav/")
    with storage, pytest.raises(StorageError, match=words):
        storage.exists("a")


def test_a_host_name_beyond_ascii_is_asked_for_as_the_dns_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gives(wire: Wire, _: int) -> None:
        wire.request()
        wire.send(OK)

    with wire_server(gives) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{HOST}:{proxy.port}")
        sender = CurlTransport("http://bücher.invalid:8080")
        with contextlib.closing(sender):
            assert read(sender, HttpRequest("GET", "http://bücher.invalid:8080/a")) == b"ok"
        assert proxy.heads[0].startswith(b"GET http://xn--bcher-kva.invalid:8080/a ")


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "MKCOL", "DELETE", "MOVE", "PROPFIND"])
@pytest.mark.parametrize("body", [None, b""], ids=["none", "empty"])
def test_what_takes_a_body_tells_its_length(method: str, body: bytes | None) -> None:
    with wire_server(answers) as server, transport(server.port) as sender:
        url = f"http://{HOST}:{server.port}/a"
        given = None if body is None else lambda: body
        assert read(sender, HttpRequest(method, url, {}, given)) == b"ok"
    head = server.heads[0].lower()
    told = b"content-length: 0" in head
    assert told is (body is not None or method in {"PUT", "POST", "PATCH"})
    assert b"content-type" not in head
    assert b"expect" not in head
    assert b"transfer-encoding" not in head


def test_a_line_break_in_a_header_is_not_sent() -> None:
    with wire_server(answers) as server, transport(server.port) as sender:
        url = f"http://{HOST}:{server.port}/a"
        with pytest.raises(TransportError, match="line break"):
            sender.send(HttpRequest("GET", url, {"If-Match": '"a"\r\nX: y'}))
        assert not server.heads


def test_an_entry_without_end_is_not_read() -> None:
    def gives(wire: Wire, _: int) -> None:
        wire.request()
        wire.send(b"HTTP/1.1 207 Multi-Status\r\nConnection: close\r\n\r\n")
        wire.send(b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>/dav/')
        for _piece in range(400):
            wire.send(b"x" * (1 << 18))

    with wire_server(gives) as server:
        storage = WebDavBackend(f"http://{HOST}:{server.port}/dav/", timeout=20)
        with storage, pytest.raises(NotAStorageError, match="too large"):
            list(storage.list_files())


def test_a_signal_ends_a_mirror_that_waits_for_an_answer(tmp_path: Path) -> None:
    """Well before the ten seconds after which a container is killed."""
    (tmp_path / "source").mkdir()

    def hangs(wire: Wire, _: int) -> None:
        wire.request()
        wire.drip(b"HTTP/1.1 102 Processing\r\n\r\n", 0.02)

    with wire_server(hangs) as server:
        command = [sys.executable, "-m", "paperfleet", "mirror", str(tmp_path / "source")]
        command += [f"http://{HOST}:{server.port}/dav/", "--journal", str(tmp_path / "journal")]
        program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            _wait_for(lambda: server.heads)
            began = time.monotonic()
            program.send_signal(signal.SIGTERM)
            _, said = program.communicate(timeout=20)
        finally:
            program.kill()
            program.wait()
    assert time.monotonic() - began < 8, said


def listing_of_s3(url: str) -> RawListing:
    config: S3Config = {"endpoint": url, "access_key_id": "k", "secret_access_key": "s"}
    return RawListing(Service("b", config, {"allow_http": True}, {}), "s3://b")


def page(rest: bytes) -> bytes:
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated>" + rest + b"</ListBucketResult>"
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page(b"<NextContinuationToken>t</NextContinuationToken>"), "no end"),
        (page(b"<Prefix>" + b" " * (MOST_BYTES + 1) + b"</Prefix>"), "too large"),
    ],
    ids=["the same page again", "a page without end"],
)
def test_a_listing_of_a_bucket_ends(answer: bytes, words: str) -> None:
    def gives(wire: Wire, _: int) -> None:
        while wire.request():
            wire.send(answer)

    with wire_server(gives) as server:
        listing = listing_of_s3(f"http://{HOST}:{server.port}/b")
        with contextlib.closing(listing), pytest.raises(NotAStorageError, match=words):
            list(listing.keys(""))
        assert len(server.heads) <= 3


@pytest.mark.parametrize(("retries", "requests"), [(0, 1), (2, 3)])
def test_a_look_into_a_silent_bucket_takes_as_long_as_its_options_say(
    retries: int, requests: int
) -> None:
    def is_silent(wire: Wire, _: int) -> None:
        wire.head()
        wire.wait()

    with wire_server(is_silent) as server:
        bucket = S3CompatibleBackend(
            "b",
            endpoint_url=f"http://{HOST}:{server.port}",
            access_key="k",
            secret_key=Secret("s"),
            timeout=0.3,
            retries=retries,
        )
        began = time.monotonic()
        with bucket, pytest.raises(UnavailableError, match=r"exists 'a.pdf' on .*no answer within"):
            bucket.entry("a.pdf")
        assert time.monotonic() - began < 20, "not a minute for each try"
        assert len(server.heads) == requests


def test_a_listing_of_a_bucket_is_not_tried_again_after_its_time() -> None:
    config: S3Config = {"access_key_id": "k", "secret_access_key": "s"}
    retry: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(0)}
    with wire_server(lambda wire, _: wire.head()) as server:
        config["endpoint"] = f"http://{HOST}:{server.port}/b"
        listing = RawListing(Service("b", config, {"allow_http": True}, retry), "s3://b")
        with contextlib.closing(listing), pytest.raises(UnavailableError):
            list(listing.keys(""))
        assert len(server.heads) == 1


def test_a_listing_of_a_bucket_says_what_failed() -> None:
    with wire_server(lambda wire, _: wire.head()) as server:
        listing = listing_of_s3(f"http://{HOST}:{server.port}/b")
        with contextlib.closing(listing), pytest.raises(UnavailableError, match="cut") as caught:
            list(listing.keys(""))
    assert (caught.value.operation, caught.value.storage) == ("list", "s3://b")
