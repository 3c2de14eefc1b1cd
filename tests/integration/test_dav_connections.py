"""Connections: idle ones that the server closed, certificates, names, ports, redirects."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.servers.base import free_port
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.wsgidav_server import wsgidav_server

from paperfleet.errors import ConfigurationError, NotAStorageError, UnavailableError
from paperfleet.model import ABSENT, Upload
from paperfleet.secret import Secret
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.nextcloud.backend import NextcloudBackend
from paperfleet.storage.transport.exchange import HttpResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.base import WebDavServer

    from paperfleet.storage.transport.exchange import HttpRequest

LISTING = (
    b'<d:multistatus xmlns:d="DAV:"><d:response><d:href>/a</d:href><d:propstat><d:prop>'
    b"<d:resourcetype/><d:getcontentlength>3</d:getcontentlength></d:prop>"
    b"<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
)


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


MADE = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
FOUND = answer("207 Multi-Status", LISTING)


@contextlib.contextmanager
def raw_server(
    serve: Callable[[socket.socket, int], None], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Hand each connection, with its number, to ``serve``; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def run() -> None:
        for number in range(100):
            try:
                connection, _ = listener.accept()
                connection.settimeout(10)
                if context is not None:
                    connection = shaken(context, connection)
                with connection:
                    serve(connection, number)
            except OSError:
                if listener.fileno() < 0:
                    return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def shaken(context: ssl.SSLContext, connection: socket.socket) -> ssl.SSLSocket:
    """Return the server's side of TLS; what it refuses is read to its end, as servers do.

    Closed at once, the alert that says why would be lost with the reset.
    """
    with connection.dup() as spare:
        try:
            return context.wrap_socket(connection, server_side=True)
        except ssl.SSLError:
            while spare.recv(65536):
                pass
            raise


def request_of(connection: socket.socket) -> bytes:
    """Read one request, its body by its length; b'' when the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def backend(port: int, scheme: str = "http", **options: str) -> WebDavBackend:
    return WebDavBackend(
        f"{scheme}://127.0.0.1:{port}/",
        username="alice",
        password=Secret("s"),
        timeout=5,
        **options,  # type: ignore[arg-type]  # verify alone
    )


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again() -> None:
    with nextcloud_double() as server:
        server.idle_timeout = 0.1
        server.write("a", b"x")
        storage = NextcloudBackend(
            server.url, username=server.user, password=Secret(server.password)
        )
        with storage:
            for _ in range(3):
                assert storage.stat("a").size == 1
                storage.save_with("b", Upload(lambda: io.BytesIO(b"x"), 1), ABSENT)
                storage.move("b", "c")
                storage.delete("c")
                time.sleep(0.25)


def closes_at_the_second_request(connection: socket.socket, number: int) -> None:
    """Answer once, then take a request and hang up: the race that no look at the socket finds."""
    if request_of(connection):
        connection.sendall(FOUND)
    if number == 0:
        request_of(connection)
        return
    while request_of(connection):
        connection.sendall(FOUND)


def test_a_safe_request_on_a_stale_connection_is_sent_again() -> None:
    with raw_server(closes_at_the_second_request) as port, backend(port) as storage:
        for _ in range(3):
            assert storage.stat("a").size == 3


def test_an_unsafe_request_on_a_stale_connection_is_not_sent_again() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket, _: int) -> None:
        while request := request_of(connection):
            seen.append(request.partition(b" ")[0])
            if seen[-1] == b"MOVE":
                return
            connection.sendall(FOUND if seen[-1] == b"PROPFIND" else MADE)

    with (
        raw_server(serve) as port,
        backend(port) as storage,
        pytest.raises(UnavailableError, match="cut"),
    ):
        storage.move("a", "b")
    assert seen.count(b"MOVE") == 1


def test_a_fresh_connection_that_is_cut_is_not_tried_again() -> None:
    count: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        request_of(connection)
        count.append(number)

    with (
        raw_server(serve) as port,
        backend(port) as storage,
        pytest.raises(UnavailableError),
    ):
        storage.stat("a")
    assert len(count) == 1


def test_keep_alive_is_on() -> None:
    with wsgidav_server() as server, plain(server) as storage:
        storage.exists("a")
        with own_socket_to(int(server.url.split(":")[2].rstrip("/"))) as connection:
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def own_socket_to(port: int) -> socket.socket:
    """Return a copy of a socket of this process that is connected to a port of this machine."""
    for entry in Path("/proc/self/fd").iterdir():
        try:
            copy = os.dup(int(entry.name))
        except OSError:  # what listed them is closed by now
            continue
        if stat.S_ISSOCK(os.fstat(copy).st_mode):
            found = socket.socket(fileno=copy)
            with contextlib.suppress(OSError):  # it has no peer
                if found.getpeername() == ("127.0.0.1", port):
                    return found
            found.close()
        else:
            os.close(copy)
    raise AssertionError("there is no connection")


def plain(server: WebDavServer, path: str = "") -> WebDavBackend:
    return WebDavBackend(server.url + path, username=server.user, password=Secret(server.password))


def test_one_connection_serves_one_thread() -> None:
    opened: list[int] = []

    def serve(connection: socket.socket, number: int) -> None:
        opened.append(number)
        while request_of(connection):
            connection.sendall(FOUND)

    with raw_server(serve) as port, backend(port) as storage:
        for _ in range(20):
            storage.stat("a")
    assert opened == [0]


def test_nothing_listens() -> None:
    with (
        backend(free_port()) as storage,
        pytest.raises(UnavailableError, match="nothing listens") as caught,
    ):
        storage.stat("a")
    assert caught.value.hint


def test_a_host_that_is_not_known() -> None:
    storage = WebDavBackend("https://cloud.invalid/dav/")
    with storage, pytest.raises(UnavailableError, match="cannot be resolved") as caught:
        storage.stat("a")
    assert "DNS" in caught.value.hint


def test_an_answer_that_never_comes() -> None:
    with (
        raw_server(lambda *_: time.sleep(1.5)) as port,
        WebDavBackend(f"http://127.0.0.1:{port}/", timeout=0.3) as storage,
        pytest.raises(UnavailableError, match="no answer within"),
    ):
        storage.stat("a")


def test_no_http_at_all() -> None:
    with (
        raw_server(lambda connection, _: connection.sendall(b"220 mail.example ESMTP\r\n")) as port,
        backend(port) as storage,
        pytest.raises(UnavailableError),
    ):
        storage.stat("a")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a key and a certificate that it signed itself, for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(
        [openssl, "req", "-x509", *curve, *subject, "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
        timeout=30,
    )
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


@contextlib.contextmanager
def tls_server(certificate: Path, *, wants_one: bool = False) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if wants_one:
        context.verify_mode = ssl.CERT_REQUIRED

    def serve(connection: socket.socket, _: int) -> None:
        while request_of(connection):
            connection.sendall(FOUND)

    with raw_server(serve, context) as port:
        yield port


def test_a_certificate_that_nobody_vouches_for(certificate: Path) -> None:
    with (
        tls_server(certificate) as port,
        backend(port, "https") as storage,
        pytest.raises(NotAStorageError, match="certificate is not trusted") as caught,
    ):
        storage.stat("a")
    assert "authority" in caught.value.hint


def test_a_certificate_of_an_authority_that_is_named(certificate: Path) -> None:
    trusted = str(certificate.with_name("cert.pem"))
    with tls_server(certificate) as port, backend(port, "https", verify=trusted) as storage:
        assert storage.stat("a").size == 3


def test_a_certificate_for_another_host(certificate: Path) -> None:
    trusted = str(certificate.with_name("cert.pem"))
    with tls_server(certificate) as port:
        storage = WebDavBackend(f"https://localhost:{port}/", verify=trusted, timeout=5)
        with storage, pytest.raises(NotAStorageError, match="not trusted"):
            storage.stat("a")


def test_a_certificate_that_the_server_wants_of_us_is_told(certificate: Path) -> None:
    trusted = str(certificate.with_name("cert.pem"))
    with (
        tls_server(certificate, wants_one=True) as port,
        backend(port, "https", verify=trusted) as storage,
        pytest.raises(NotAStorageError, match="wants a certificate of the client") as caught,
    ):
        storage.stat("a")
    assert "proxy" in caught.value.hint


def test_a_certificate_need_not_be_checked(certificate: Path) -> None:
    with tls_server(certificate) as port:
        storage = WebDavBackend(f"https://127.0.0.1:{port}/", verify=False, timeout=5)
        with storage:
            assert storage.stat("a").size == 3


def test_https_to_a_port_without_tls() -> None:
    with wsgidav_server() as server:
        storage = WebDavBackend(server.url.replace("http:", "https:"), timeout=5)
        with storage, pytest.raises((NotAStorageError, UnavailableError)) as caught:
            storage.stat("a")
    assert "TLS" in str(caught.value) or "cut" in str(caught.value)


def test_http_that_is_sent_on_to_https() -> None:
    moved = answer("301 Moved", b"", "Location: https://127.0.0.1/remote.php/dav/")

    def serve(connection: socket.socket, _: int) -> None:
        while request_of(connection):
            connection.sendall(moved)

    with (
        raw_server(serve) as port,
        backend(port) as storage,
        pytest.raises(
            NotAStorageError, match=r"redirects to https://127\.0\.0\.1/remote\.php/dav/"
        ),
    ):
        list(storage.list_files())


def test_a_web_page_where_webdav_should_be() -> None:
    page = answer("200 OK", b"<html>Please log in</html>", "Content-Type: text/html")

    def serve(connection: socket.socket, _: int) -> None:
        while request_of(connection):
            connection.sendall(page)

    with (
        raw_server(serve) as port,
        backend(port) as storage,
        pytest.raises(NotAStorageError) as caught,
    ):
        list(storage.list_files())
    assert "web page" in str(caught.value)


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket, _: int) -> None:
        while request := request_of(connection):
            seen.append(request)
            listing = LISTING.replace(b"/a</d:href>", b"/dav/a</d:href>")
            connection.sendall(answer("207 Multi-Status", listing))

    with raw_server(serve) as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "localhost")
        storage = WebDavBackend("http://cloud.invalid/dav/", allow_plain_http=True, timeout=5)
        with storage:
            assert storage.exists("a")
    assert seen[0].startswith(b"PROPFIND http://cloud.invalid/dav/a ")


def test_what_goes_to_this_machine_does_not_pass_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with wsgidav_server() as server, plain(server) as storage:
        assert not storage.exists("a")


def test_a_proxy_that_cannot_be_used_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://proxy.invalid")
    with (
        pytest.raises(ConfigurationError, match="proxy"),
        WebDavBackend("https://cloud.invalid/dav/"),
    ):
        pytest.fail("it opened")


def test_many_streams_do_not_starve_each_other() -> None:
    with wsgidav_server() as server:
        server.write("a", bytes(1_000_000))
        storage = WebDavBackend(
            server.url, username=server.user, password=Secret(server.password), connections=1
        )
        with storage, contextlib.ExitStack() as stack:
            streams = [stack.enter_context(storage.open("a")) for _ in range(4)]
            assert [len(stream.read(10)) for stream in streams] == [10] * 4
            assert storage.exists("a")


def test_the_transport_may_be_given() -> None:
    class Given:
        """Answers everything with a listing."""

        def send(self, _request: HttpRequest) -> HttpResponse:
            return HttpResponse(207, {}, pieces=[LISTING])

        def end_within(self, seconds: float) -> None:
            """Nothing is under way."""

        def close(self) -> None:
            """There is no connection."""

    with WebDavBackend("https://cloud.example/", transport=Given()) as storage:
        assert storage.stat("a").size == 3
