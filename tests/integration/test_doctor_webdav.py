"""``paperfleet doctor`` on WebDAV servers: what is well, and each thing that goes wrong."""

from __future__ import annotations

import base64
import os
import time
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.integration.doctor_kit import Patient, Said
from tests.servers.base import free_port
from tests.servers.certificates import make_certificate, openssl_missing, server_context
from tests.servers.kinds import KINDS
from tests.servers.wire import Wire, deaf_port, wire_server
from tests.servers.wsgidav_server import PASSWORD, USER, wsgidav_server
from tests.wide import first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tests.servers.base import WebDavServer

AS_USER = {"PAPERFLEET_USERNAME": USER, "PAPERFLEET_PASSWORD": PASSWORD}
AFTER_LOGIN = ("folder", "listing", "names", "room")


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def server() -> Iterator[WebDavServer]:
    with wsgidav_server() as running:
        yield running


def asked(patient: Patient, server: WebDavServer, *more: str, **environ: str) -> Said:
    login = {"PAPERFLEET_USERNAME": server.user, "PAPERFLEET_PASSWORD": server.password}
    return patient.asks(*more, patient.source, server.url, **(login | environ))


def test_all_is_well_and_nothing_is_written(patient: Patient, server: WebDavServer) -> None:
    server.write("there.pdf", b"somebody's")
    said = asked(patient, server)
    assert (said.code, said.not_ok()) == (0, [])
    assert {"GET", "HEAD", "OPTIONS", "PROPFIND"} >= {one.method for one in server.requests}
    assert server.tree() == {"there.pdf": b"somebody's"}
    assert not (patient.base / "state").exists(), "no journal is made"
    tried = [row["check"] for row in said.results if row["verdict"] == "not tried"]
    assert set(tried) == {"certificate", "moves", "uploads", "a file there and back"}


def test_it_reads_like_a_table(patient: Patient, server: WebDavServer) -> None:
    done = patient.run(patient.source, server.url, **AS_USER)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["ok", "target", "login", "user"] in [line[:4] for line in lines]
    assert done.stdout.splitlines()[-1].endswith("not tried")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "kind", first_of([kind for kind in KINDS if kind not in {"nextcloud", "wsgidav"}])
)
def test_what_is_tried_by_writing_is_gone_afterwards(kind: str, patient: Patient) -> None:
    if reason := KINDS[kind].missing():
        pytest.skip(reason)
    with KINDS[kind].start() as server:
        server.write("there.pdf", b"somebody's")
        more = {"PAPERFLEET_CA_FILE": server.verify} if isinstance(server.verify, str) else {}
        said = asked(patient, server, "--write-probe", **more)
        assert server.tree() == {"there.pdf": b"somebody's"}
    assert (said.code, said.problems()) == (0, [])
    assert said.verdicts("target", "a file there and back") == ["ok"]
    assert "Destination" in said.text("target", "moves")
    if kind == "apache behind TLS":
        assert "proxy before it ends TLS" in said.text("target", "moves")
        assert said.verdicts("target", "certificate") == ["warning"]
        assert "1 days" in said.text("target", "certificate")
    if kind == "nginx":
        assert "dot are not listed" in said.text("target", "moves")


def test_a_wrong_password_is_tried_once(patient: Patient, server: WebDavServer) -> None:
    said = asked(patient, server, "--write-probe", PAPERFLEET_PASSWORD="wrong")
    assert (said.code, said.problems()) == (1, [("target", "login")])
    assert "does not accept user and password" in said.text("target", "login")
    assert "app password" in said.remedy("target", "login")
    for check in AFTER_LOGIN:
        assert said.verdicts("target", check) == ["not tried"]
    assert [one.method for one in server.requests] == ["HEAD", "PROPFIND"]
    assert said.verdicts("source", "files") == ["ok"], "the others are made all the same"


def test_a_server_that_is_down(patient: Patient) -> None:
    said = patient.asks(patient.source, f"http://127.0.0.1:{free_port()}/", **AS_USER)
    assert (said.code, said.problems()) == (1, [("target", "connection")])
    assert said.of("target", "connection") == [("problem", "nothing listens at this address")]
    for check in ("clock", "login", *AFTER_LOGIN):
        assert said.verdicts("target", check) == ["not tried"]


def test_a_server_that_never_answers(patient: Patient) -> None:
    with deaf_port() as port:
        began = time.monotonic()
        said = patient.asks(patient.source, f"http://127.0.0.1:{port}/", **AS_USER)
        assert time.monotonic() - began < 60
    assert said.problems() == [("target", "connection")]
    assert "within the time allowed" in said.text("target", "connection")


def test_a_name_that_nobody_knows(patient: Patient) -> None:
    said = patient.asks(patient.source, "https://nowhere.invalid/dav/", **AS_USER)
    assert said.problems() == [("target", "name of the host")]
    assert "cannot be resolved" in said.text("target", "name of the host")
    assert said.verdicts("target", "connection") == ["not tried"]


@pytest.mark.parametrize(
    ("kind", "words"), [("expired", "expired"), ("another", "match"), ("good", "self")]
)
def test_a_certificate_that_is_not_to_be_trusted(
    kind: str, words: str, patient: Patient, tmp_path: Path
) -> None:
    if reason := openssl_missing():
        pytest.skip(reason)
    name = "DNS:other.example" if kind == "another" else "IP:127.0.0.1"
    both = make_certificate(tmp_path, name=name, expired=kind == "expired")
    trusted = {} if kind == "good" else {"PAPERFLEET_CA_FILE": str(both.with_suffix(".crt"))}
    with wire_server(lambda wire, _: wire.head(), server_context(both)) as server:
        url = f"https://127.0.0.1:{server.port}/"
        said = patient.asks(patient.source, url, **AS_USER, **trusted)
    assert said.problems() == [("target", "connection")]
    assert "TLS: the server's certificate is not trusted" in said.text("target", "connection")
    assert words in said.text("target", "connection")
    assert said.verdicts("target", "certificate") == ["not tried"]


def shifted(seconds: float) -> Callable[[WSGIApplication, Path], WSGIApplication]:
    """Return what lets the clock of a server be off."""

    def around(application: WSGIApplication, _root: Path) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *more: object) -> object:
                date = formatdate(time.time() + seconds, usegmt=True)
                others = [row for row in headers if row[0].lower() != "date"]
                return start_response(status, [*others, ("Date", date)], *more)  # type: ignore[arg-type]  # passed on

            return application(environ, start)  # type: ignore[arg-type]  # passed on

        return answer

    return around


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (0, "ok", "as far as a second tells"),
        (3600, "problem", "60 min behind"),
        (-3600, "problem", "60 min ahead of"),
        (90, "warning", "behind"),
    ],
)
def test_clocks(seconds: float, verdict: str, words: str, patient: Patient) -> None:
    with wsgidav_server(around=shifted(seconds)) as server:
        said = asked(patient, server)
    assert said.verdicts("target", "clock") == [verdict]
    assert words in said.text("target", "clock")
    assert said.code == (verdict == "problem")
    assert said.verdicts("target", "login") == ["ok"]


def test_no_folder_at_the_address(patient: Patient, server: WebDavServer) -> None:
    server.url += "a/b/c/"
    said = asked(patient, server)
    assert said.problems() == [("target", "folder")]
    assert "no WebDAV folder" in said.text("target", "folder")


def test_a_folder_that_the_first_save_makes(patient: Patient, server: WebDavServer) -> None:
    server.url += "new/"
    said = asked(patient, server, "--write-probe")
    assert (said.code, said.not_ok()) == (0, [])
    assert "first save makes it" in said.text("target", "folder")


def test_a_file_at_the_address(patient: Patient, server: WebDavServer) -> None:
    server.write("file", b"x")
    server.url += "file/"
    assert asked(patient, server).problems() == [("target", "login")]


def test_a_web_page_is_no_webdav(patient: Patient) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nPage"

    def serve(wire: Wire, _number: int) -> None:
        while head := wire.head():
            wire.send(page[:-4] if head.startswith(b"HEAD") else page)

    with wire_server(serve) as server:
        said = patient.asks(patient.source, f"http://127.0.0.1:{server.port}/", **AS_USER)
    assert said.problems() == [("target", "login")]
    assert "web page" in said.remedy("target", "login")
    assert said.verdicts("target", "clock") == ["not tried"], "it tells no time"


def test_a_folder_that_may_not_be_written(patient: Patient) -> None:
    if reason := KINDS["apache"].missing():
        pytest.skip(reason)
    with KINDS["apache"].start() as server:
        server.root.chmod(0o555)
        if os.geteuid() == 0:
            os.chown(server.root, 0, 0)
        said = asked(patient, server, "--write-probe")
    assert said.code == 1
    assert ("target", "a file there and back") in said.problems()


def refusing(status: str, reason: str = "") -> Callable[[WSGIApplication, Path], WSGIApplication]:
    """Return what lets a server refuse each PUT, or everything after HEAD for a 429."""

    def around(application: WSGIApplication, _root: Path) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            method = environ["REQUEST_METHOD"]
            if method == "PUT" or (status.startswith("429") and method == "PROPFIND"):
                start_response(status, [("Content-Length", str(len(reason))), ("Retry-After", "9")])
                return [reason.encode()]
            return application(environ, start_response)

        return answer

    return around


def test_a_full_server(patient: Patient) -> None:
    with wsgidav_server(around=refusing("507 Insufficient Storage")) as server:
        said = asked(patient, server, "--write-probe")
        assert server.tree() == {}
    assert ("target", "a file there and back") in said.problems()
    assert "the storage is full" in said.text("target", "a file there and back")


def test_a_server_that_wants_fewer_requests(patient: Patient) -> None:
    with wsgidav_server(around=refusing("429 Too Many Requests")) as server:
        said = asked(patient, server)
    assert said.problems() == [("target", "login")]
    assert "fewer requests" in said.text("target", "login")


SECRET = "geh€im :/@?&<%41>\"'+ " + "x" * 40


@pytest.mark.parametrize("status", [500, 403, 302])
def test_a_server_that_repeats_the_password_gives_nothing_away(
    status: int, patient: Patient
) -> None:
    forms = [
        SECRET,
        quote(SECRET),
        base64.b64encode(f"{USER}:{SECRET}".encode()).decode(),
        SECRET.replace("&", "&amp;").replace("<", "&lt;"),
    ]
    body = "<e xmlns:s='http://sabredav.org/ns'><s:message><![CDATA[{}]]></s:message></e>"

    def serve(wire: Wire, number: int) -> None:
        told = body.format("y" * (270 if number % 2 else 0) + " ".join(forms)).encode()
        there = f"https://u:{quote(SECRET, safe='')}@elsewhere.example/{quote(SECRET)}?p={SECRET}"
        head = f"HTTP/1.1 {status} No {SECRET}\r\nServer: {SECRET}\r\nLocation: {there}\r\n"
        head += "Content-Length: "
        while request := wire.request():
            wire.send(head.encode() + str(len(told)).encode() + b"\r\n\r\n")
            if not request.startswith(b"HEAD"):
                wire.send(told)

    with wire_server(serve) as server:
        url = f"http://127.0.0.1:{server.port}/"
        for arguments in ([], ["--json"], ["--write-probe", "--names"]):
            login = {"PAPERFLEET_USERNAME": USER, "PAPERFLEET_PASSWORD": SECRET}
            done = patient.run(*arguments, patient.source, url, **login)
            printed = done.stdout + done.stderr
            assert done.returncode == 1
            for form in forms:
                assert form[:6] not in printed, form
            if status == 500:
                assert "y" * 200 in printed or "***" in printed, "it repeats what the server says"


@pytest.mark.parametrize("target", ["https://u:geheim1@host/", "https://host/?token=geheim1"])
def test_a_secret_in_an_address_is_refused_and_not_shown(target: str, patient: Patient) -> None:
    said = patient.asks(patient.source, target)
    assert (said.code, said.problems()) == (1, [("settings", "settings")])
    assert "geheim1" not in said.printed


def test_wrong_settings_are_a_problem_too(patient: Patient) -> None:
    said = patient.asks(patient.source, "nextcloud:/x", PAPERFLEET_POLL_SECONDS="never")
    assert said.problems() == [("settings", "settings")]
    assert "PAPERFLEET_POLL_SECONDS" in said.text("settings", "settings")


def test_an_address_of_no_kind(patient: Patient) -> None:
    said = patient.asks(patient.source, "gopher://host/")
    assert said.problems() == [("target", "address")]
    assert said.verdicts("source", "files") == ["ok"]
