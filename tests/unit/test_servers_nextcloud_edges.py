"""The Nextcloud double at the edges: requests that are seldom or wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.servers.client import BULK_TYPE, DavClient, multipart
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

if TYPE_CHECKING:
    from collections.abc import Iterator

OCS = {"OCS-APIRequest": "true"}


@pytest.fixture
def double() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as running:
        yield running


@pytest.fixture
def client(double: NextcloudDouble) -> Iterator[DavClient]:
    with DavClient(double) as http:
        yield http


WRONG = [
    ("PUT", "folder", {}, b"x", 409),
    ("PUT", "file/below", {}, b"x", 404),
    ("MKCOL", "file/below", {}, b"", 409),
    ("MOVE", "file", {"Destination": "DEST/file/below"}, b"", 415),
    ("COPY", "file", {"Destination": "DEST/file/below"}, b"", 415),
    ("MOVE", "missing", {"Destination": "DEST/missing/x"}, b"", 409),
    ("PROPFIND", "file", {"If-Match": '"other"'}, b"", 412),
    ("PUT", "x", {"Content-Range": "bytes 0-0/1"}, b"x", 400),
    ("MKCOL", "new", {}, b"<x/>", 415),
    ("PATCH", "file", {}, b"", 501),
    ("PATCH", "folder", {"X-Recalculate-Hash": "sha256"}, b"", 501),
    ("DELETE", "", {}, b"", 403),
    ("MOVE", "file", {}, b"", 400),
    ("MOVE", "file", {"Destination": "DEST/x", "Overwrite": "X"}, b"", 400),
    ("MOVE", "file", {"Destination": "/elsewhere/x"}, b"", 404),
    ("PROPFIND", "", {}, b"no xml", 400),
    ("PROPPATCH", "file", {}, b"<x/>", 400),
    ("GET", "a%2Fb", {}, b"", 404),
    ("GET", "folder", {}, b"", 200),
    ("HEAD", "file", {}, b"", 200),
]


@pytest.mark.parametrize(("method", "path", "headers", "content", "status"), WRONG)
def test_answers(
    client: DavClient, double: NextcloudDouble, method: str, path: str, headers: dict[str, str],
    content: bytes, status: int,
) -> None:  # fmt: skip
    double.write("file", b"1")
    double.make_folder("folder")
    root = httpx.URL(double.url).path.rstrip("/")
    headers = {name: value.replace("DEST", root) for name, value in headers.items()}
    assert client.request(method, path, headers=headers, content=content).status_code == status
    assert double.tree() == {"file": b"1"}


def test_a_folder_has_no_etag_in_conditions(client: DavClient, double: NextcloudDouble) -> None:
    double.make_folder("folder")
    own = f'"{double.etag("folder")}"'
    to = {"Destination": double.url + "other"}
    for method, headers in (("DELETE", {}), ("MOVE", to), ("PROPFIND", {})):
        answer = client.request(method, "folder", headers={"If-Match": own, **headers})
        assert answer.status_code == 412
    assert client.request("DELETE", "folder", headers={"If-None-Match": own}).status_code == 204
    double.make_folder("folder")
    assert client.request("DELETE", "folder", headers={"If-Match": "*"}).status_code == 204


def test_a_file_is_moved_only_where_it_would_fit_again(
    client: DavClient, double: NextcloudDouble
) -> None:
    double.write("folder/large", b"12345")
    double.write("small", b"1")
    double.quota = 8
    assert client.shift("MOVE", "folder/large", "folder/x").status_code == 507
    assert client.shift("MOVE", "small", "x").status_code == 201
    assert client.shift("MOVE", "folder", "y").status_code == 201


def test_a_folder_is_copied_with_new_ids(client: DavClient, double: NextcloudDouble) -> None:
    double.write("a/b/c", b"1")
    assert client.shift("COPY", "a", "d").status_code == 201
    assert double.tree() == {"a/b/c": b"1", "d/b/c": b"1"}
    assert double.file_id("a/b/c") != double.file_id("d/b/c")
    double.quota = 2
    assert client.shift("COPY", "a", "e").status_code == 507


def test_other_properties_are_kept(client: DavClient) -> None:
    client.store("a")

    def patch(action: str) -> int:
        inner = "<oc:favorite xmlns:oc='http://owncloud.org/ns'>1</oc:favorite>"
        body = f"<d:{action}><d:prop>{inner}</d:prop></d:{action}></d:propertyupdate>"
        update = f'<d:propertyupdate xmlns:d="DAV:">{body}'.encode()
        return client.dav("PROPPATCH", "a", update).status_code

    assert (patch("set"), client.value("a", "oc:favorite")) == (207, "1")
    assert (patch("remove"), client.value("a", "oc:favorite")) == (207, "0")


def test_unknown_properties_may_be_left_out(client: DavClient) -> None:
    client.store("a")
    body = b'<d:propfind xmlns:d="DAV:"><d:prop><d:getetag/><d:nothing/></d:prop></d:propfind>'
    answer = client.dav("PROPFIND", "a", body, Depth="0", Prefer="return=minimal")
    assert b"404" not in answer.content


def test_the_trash(client: DavClient, double: NextcloudDouble) -> None:
    trash = f"{double.base_url}/remote.php/dav/trashbin/alice"
    for name in ("a", "b", "folder/c"):
        double.write(name, name.encode())
    for name in ("a", "b", "folder"):
        client.dav("DELETE", name)
    client.store("a", b"new")
    names = {entry.origin: name for name, entry in double.files.trash.entries.items()}
    here = {"Destination": f"{trash}/trash/x"}
    there = {"Destination": f"{trash}/restore/x"}
    entry = f"{trash}/trash/{names['a']}"
    assert client.request("MOVE", entry, headers=here).status_code == 403
    assert client.request("MOVE", entry, headers=there).status_code == 201
    assert double.tree() == {"a": b"new", "a (restored)": b"a"}
    assert client.delete(f"{trash}/trash/{names['b']}").status_code == 204
    assert client.delete(f"{trash}/trash").status_code == 204
    assert client.delete(f"{trash}/trash/{names['b']}").status_code == 404
    assert list((double.files.base / "trash").iterdir()) == []


def test_chunks_one_by_one(client: DavClient, double: NextcloudDouble) -> None:
    base = client.root.replace("/files/", "/uploads/") + "id"
    client.request("MKCOL", base)
    assert [client.put(f"{base}/1", content=b"x").status_code for _ in range(2)] == [201, 204]
    assert client.request("PROPFIND", f"{base}/1").status_code == 207
    assert client.request("PROPFIND", f"{base}/2").status_code == 404
    assert client.get(f"{base}/1").status_code == 501
    assert client.request("MOVE", f"{base}/1").status_code == 403
    assert [client.delete(f"{base}/1").status_code for _ in range(2)] == [204, 404]
    double.quota = 3
    assert client.put(f"{base}/1", content=b"1234").status_code == 507


def test_a_large_bulk(double: NextcloudDouble) -> None:
    body = multipart({f"{number}.txt": b"x" for number in range(1000)})
    url = f"{double.base_url}/remote.php/dav/bulk"
    headers = {"Content-Type": BULK_TYPE}
    answer = httpx.post(url, content=body, headers=headers, auth=double.auth, timeout=100)
    assert len(answer.json()) == len(double.tree()) == 1000


@pytest.mark.parametrize(("path", "status"), [("/", 302), ("/nowhere", 404)])
def test_pages(double: NextcloudDouble, path: str, status: int) -> None:
    assert httpx.get(double.base_url + path).status_code == status


def test_pages_in_maintenance(double: NextcloudDouble) -> None:
    double.maintenance = True
    ocs = f"{double.base_url}/ocs/v2.php/cloud/capabilities?format=json"
    assert httpx.get(ocs, headers=OCS).json()["ocs"]["meta"]["statuscode"] == 503
    assert httpx.get(f"{double.base_url}/login").status_code == 503


def test_the_status_page_of_an_untrusted_domain_is_json(double: NextcloudDouble) -> None:
    double.state.untrusted = True
    assert httpx.get(f"{double.base_url}/status.php").json()["code"] == 15


def test_a_broken_authorization_is_no_attempt(double: NextcloudDouble) -> None:
    for value in ("Bearer x", "Basic ?", "Basic /w=="):
        assert httpx.get(double.url, headers={"Authorization": value}).status_code == 401
    assert double.login.attempts() == 0


def test_idle_has_a_limit(client: DavClient, double: NextcloudDouble) -> None:
    def body() -> Iterator[bytes]:
        yield b"1"
        while not double.requests.count():
            time.sleep(0.002)
        with pytest.raises(TimeoutError):
            double.wait_until_idle(0.05)

    assert client.put("a", content=body()).status_code == 201
    double.wait_until_idle()


def test_switches_can_be_read_back(double: NextcloudDouble) -> None:
    double.maintenance, double.quota, double.chunk_move_504, double.idle_timeout = True, 5, 1.0, 2.0
    found = double.maintenance, double.quota, double.chunk_move_504, double.idle_timeout
    assert found == (True, 5, 1.0, 2.0)
