"""The Nextcloud double against the measured facts: logins, throttling, refusals, faults."""

from __future__ import annotations

import base64
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.servers.base import HOST
from tests.servers.client import DavClient, multipart
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

if TYPE_CHECKING:
    from collections.abc import Iterator

OCS = {"OCS-APIRequest": "true"}
CAPABILITIES = "/ocs/v1.php/cloud/capabilities?format=json"


@pytest.fixture
def double() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as running:
        yield running


@pytest.fixture
def client(double: NextcloudDouble) -> Iterator[DavClient]:
    with DavClient(double) as http:
        yield http


def status_of_login(double: NextcloudDouble, password: str) -> int:
    return httpx.head(double.url, auth=(double.user, password)).status_code


# --- logins


def test_what_lets_in(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a")
    client.store("b")
    client.cookies.clear()
    client.auth = httpx.BasicAuth(double.user, double.account_password)
    client.store("c")
    assert [request.login for request in double.requests] == ["app", "session", "account"]


def test_every_login_without_cookies_leaves_a_session_file(double: NextcloudDouble) -> None:
    for _ in range(3):
        httpx.head(double.url, auth=double.auth)
    assert double.login.session_files == 3


def test_the_account_password_is_slow(client: DavClient, double: NextcloudDouble) -> None:
    double.login.account_delay = 0.3
    client.auth = httpx.BasicAuth(double.user, double.account_password)
    durations = [client.store("a").elapsed.total_seconds() for _ in range(2)]
    assert durations[0] >= 0.3 > durations[1]


def test_strangers(double: NextcloudDouble) -> None:
    answer = httpx.get(double.url)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert double.login.attempts() == 0
    assert status_of_login(double, "wrong") == 401
    assert double.login.attempts() == 1


def test_throttling(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a")
    codes = [status_of_login(double, "wrong") for _ in range(13)]
    assert codes == [401] * 11 + [429] * 2
    refused = httpx.get(double.url, auth=double.auth)
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert client.get("a").status_code == 200
    now = time.time()
    double.clock = lambda: now + 31 * 60
    assert status_of_login(double, double.password) == 200
    assert double.login.delay() == 25


def test_delays_double(double: NextcloudDouble) -> None:
    delays = [double.login.delay()]
    for _ in range(4):
        status_of_login(double, "wrong")
        delays.append(double.login.delay())
    assert delays == [0, 0.2, 0.4, 0.8, 1.6]


def test_a_revoked_app_password_is_a_failure_each_time(
    client: DavClient, double: NextcloudDouble
) -> None:
    client.store("a")
    double.login.revoke(double.password)
    assert [client.get("a").status_code for _ in range(2)] == [401, 401]
    assert double.login.attempts() == 2


def test_a_disabled_account_is_503(client: DavClient, double: NextcloudDouble) -> None:
    double.login.disabled = True
    answer = client.get("")
    assert (answer.status_code, "Account disabled" in answer.text) == (503, True)
    assert not httpx.get(f"{double.base_url}/status.php").json()["maintenance"]


# --- status and capabilities


def capabilities(double: NextcloudDouble, auth: tuple[str, str] | None = None) -> dict[str, object]:
    answer = httpx.get(double.base_url + CAPABILITIES, headers=OCS, auth=auth)
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()["ocs"]["data"]["capabilities"]
    return found


def test_capabilities(double: NextcloudDouble) -> None:
    found = capabilities(double, double.auth)
    assert found["dav"] == {"chunking": "1.0", "bulkupload": "1.0"}
    files = found["files"]
    assert isinstance(files, dict)
    assert {"forbidden_filename_characters", "blacklisted_files"} <= set(files)


def test_a_stranger_sees_only_the_delay(double: NextcloudDouble) -> None:
    for _ in range(12):
        status_of_login(double, "wrong")
    found = capabilities(double)
    assert found["bruteforce"] == {"delay": 25000, "allow-listed": False}
    assert "dav" not in found


def test_pages(double: NextcloudDouble) -> None:
    login = httpx.get(f"{double.base_url}/index.php/login")
    assert (login.status_code, login.headers["Content-Type"][:9]) == (200, "text/html")
    assert httpx.get(f"{double.base_url}/status.php").json()["productname"] == "Nextcloud"
    v2 = httpx.get(double.base_url + CAPABILITIES.replace("v1", "v2"), headers=OCS)
    assert v2.json()["ocs"]["meta"]["statuscode"] == 200
    user = f"{double.base_url}/ocs/v2.php/cloud/user?format=json"
    assert httpx.get(user, headers=OCS, auth=double.auth).json()["ocs"]["data"]["id"] == "alice"
    assert httpx.get(user, headers=OCS).status_code == 401
    assert httpx.get(user, auth=double.auth).status_code == 412
    legacy = httpx.get(f"{double.base_url}/remote.php/webdav/", auth=double.auth)
    assert legacy.status_code == 200


# --- refusals


def test_maintenance(client: DavClient, double: NextcloudDouble) -> None:
    double.maintenance = True
    answer = client.get("a")
    assert answer.status_code == 503
    assert "ServerMaintenanceMode" in answer.text
    assert answer.headers["Connection"] == "close"
    assert "Retry-After" not in answer.headers
    assert httpx.get(f"{double.base_url}/status.php").json()["maintenance"]


def test_an_untrusted_domain_is_400_html(client: DavClient, double: NextcloudDouble) -> None:
    double.state.untrusted = True
    answer = client.get("a")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (400, "text/html")


def test_quota(client: DavClient, double: NextcloudDouble) -> None:
    double.quota = 5
    assert client.store("a", b"123456").status_code == 507
    assert client.put("a", content=iter([b"123", b"456"])).status_code == 507
    assert client.store("a", b"12345").status_code == 201
    assert client.dav("MKCOL", "b").status_code == 403
    assert double.tree() == {"a": b"12345"}


LOCKED = [
    ("PUT", "folder/a", 423), ("GET", "folder/a", 423), ("PATCH", "folder/a", 423),
    ("DELETE", "folder/a", 423), ("DELETE", "folder", 423), ("MOVE", "folder/a", 500),
    ("MOVE", "folder", 500), ("PROPFIND", "folder/a", 207), ("PUT", "folder/b", 201),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), LOCKED)
def test_locks(
    client: DavClient, double: NextcloudDouble, method: str, path: str, status: int
) -> None:
    client.dav("MKCOL", "folder")
    client.store("folder/a", b"1")
    with double.locked("folder/a"):
        headers = {"Destination": client.root + "new", "X_Recalculate_Hash": "sha256"}
        answer = client.dav(method, path, **headers)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert ("LockedException" in answer.text) is (status == 500)
    assert double.read("folder/a") == b"1"
    assert client.store("folder/a").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("LOCK", "a", 501),
        ("PUT", "../bob/a", 403),
        ("PROPFIND", "../../files/bob/", 403),
        ("MKCOL", "../../uploads/bob/x", 403),
        ("GET", "../../nowhere", 404),
        ("OPTIONS", "", 200),
    ],
)
def test_other_refusals(double: NextcloudDouble, method: str, path: str, status: int) -> None:
    with httpx.Client(auth=double.auth) as http:
        assert http.request(method, httpx.URL(double.url).join(path)).status_code == status


# --- faults


def test_a_fault_hits_method_path_and_times(client: DavClient, double: NextcloudDouble) -> None:
    double.faults.add("PUT", "a/*.pdf", status=503, headers={"X-A": "1"}, body=b"no", times=2)
    double.make_folder("a")
    assert client.get("a/b.pdf").status_code == 404
    answers = [client.store("a/b.pdf") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert (answers[0].headers["X-A"], answers[0].content) == ("1", b"no")


@pytest.mark.parametrize(("cut", "there"), [("before", b"old"), ("after", b"12"), ("middle", b"1")])
def test_cuts(client: DavClient, double: NextcloudDouble, cut: str, there: bytes) -> None:
    client.store("a", b"old")
    double.faults.add("PUT", "a", cut=cut)  # type: ignore[arg-type]
    with pytest.raises(httpx.RemoteProtocolError):
        client.store("a", b"12")
    assert double.read("a") == there
    assert double.requests[-1].status == 0


def test_a_killed_worker_leaves_a_lock(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a", b"old")
    double.faults.add("PUT", "a", cut="killed")
    with pytest.raises(httpx.RemoteProtocolError):
        client.store("a", b"12")
    assert client.store("a").status_code == 423
    now = time.time()
    double.clock = lambda: now + 3601
    assert client.store("a").status_code == 204


def test_an_answer_may_be_lost_after_the_effect(client: DavClient, double: NextcloudDouble) -> None:
    double.faults.add("PUT", status=504, effect=True)
    assert client.store("a", b"1").status_code == 504
    assert double.read("a") == b"1"


def test_a_delay(client: DavClient, double: NextcloudDouble) -> None:
    double.faults.add("GET", delay=0.1)
    assert client.get("").elapsed.total_seconds() >= 0.1


# --- the server as a process among others


@pytest.fixture
def connection(double: NextcloudDouble) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, httpx.URL(double.url).port or 0), timeout=5) as opened:
        yield opened


def test_idle_connections_are_closed(double: NextcloudDouble, connection: socket.socket) -> None:
    double.idle_timeout = 0.05
    connection.sendall(b"GET /status.php HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"Connection: Keep-Alive" in connection.recv(65536)
    assert connection.recv(1) == b""


def test_a_body_may_wait_for_100(double: NextcloudDouble, connection: socket.socket) -> None:
    token = base64.b64encode(":".join(double.auth).encode()).decode()
    head = f"Host: x\r\nAuthorization: Basic {token}\r\nContent-Length: 1\r\nExpect: 100-continue"
    path = f"{httpx.URL(double.url).path}a"
    connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue")
    connection.sendall(b"x")
    assert connection.recv(65536).startswith(b"HTTP/1.1 201 Created")
    double.maintenance = True
    connection.sendall(f"PUT {path} HTTP/1.1\r\n{head}\r\n\r\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 503")


def test_a_connection_ends_after_its_last_request(double: NextcloudDouble) -> None:
    with httpx.Client() as http:
        answers = [http.get(f"{double.base_url}/status.php") for _ in range(101)]
    ends = [answer.headers["Connection"] for answer in answers]
    assert [number for number, end in enumerate(ends, start=1) if end == "close"] == [100]


def test_what_is_not_http_is_400(connection: socket.socket) -> None:
    connection.sendall(b"hello\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_many_at_once(double: NextcloudDouble) -> None:
    def store(number: int) -> list[int]:
        with DavClient(double) as http:
            return [http.store(f"folder/{number}.{i}").status_code for i in range(10)]

    double.make_folder("folder")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(store, range(8))) == [[201] * 10] * 8
    assert len(double.tree()) == 80


def test_two_on_one_name(client: DavClient, double: NextcloudDouble) -> None:
    def slow_body() -> Iterator[bytes]:
        yield b"1"
        while not any(double.files.scratch.iterdir()):
            time.sleep(0.002)
        with DavClient(double) as other:
            statuses.append(other.store("a").status_code)

    statuses: list[int] = []
    assert client.put("a", content=slow_body()).status_code == 201
    assert statuses == [423]


def test_offline(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a")
    with double.offline(), pytest.raises(httpx.ConnectError), DavClient(double) as other:
        other.get("a")
    with DavClient(double) as other:
        assert other.get("a").status_code == 200


def test_a_request_is_recorded(client: DavClient, double: NextcloudDouble) -> None:
    client.store("ü", X_OC_Mtime="1700000000")
    (request,) = double.requests
    assert (request.method, request.path, request.status) == ("PUT", "ü", 201)
    assert request.headers["x-oc-mtime"] == "1700000000"
    assert (double.requests.count("PUT"), double.requests.count("GET")) == (1, 0)
    double.requests.clear()
    assert len(double.requests) == 0


def test_somebody_else(client: DavClient, double: NextcloudDouble) -> None:
    double.write("a/b", b"1", mtime=1_700_000_000)
    assert client.value("a/b", "d:getlastmodified") == "Tue, 14 Nov 2023 22:13:20 GMT"
    double.move("a/b", "c")
    double.delete("c")
    with pytest.raises(FileNotFoundError):
        double.delete("c")
    texts = [entry.text for entry in double.activity]
    assert texts == ["Bob created a", "Bob created b", "Bob moved b to /", "Bob deleted c"]


def test_latency_is_simulated(client: DavClient, double: NextcloudDouble) -> None:
    double.latency = {"PUT": 0.3}
    durations = [client.dav(method, "a").elapsed.total_seconds() for method in ("PUT", "GET")]
    assert durations[0] >= 0.3 > durations[1]


def test_multipart_is_not_for_files(client: DavClient) -> None:
    assert client.post("", content=multipart({"a": b"1"})).status_code == 501
