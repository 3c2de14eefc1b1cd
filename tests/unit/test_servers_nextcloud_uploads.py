"""The Nextcloud double against the measured facts: chunked and bulk uploads, cut transfers."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.servers.base import HOST
from tests.servers.client import BULK_TYPE, DavClient, multipart
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nextcloud_nodes import Node

WHEN = "1700000000"


@pytest.fixture
def double() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as running:
        yield running


@pytest.fixture
def client(double: NextcloudDouble) -> Iterator[DavClient]:
    with DavClient(double) as http:
        yield http


# --- in place


def abort_put(
    double: NextcloudDouble, client: DavClient, path: str, body: bytes, sent: int
) -> None:
    """Send the first bytes of a PUT, end the connection, and wait until the server has noticed."""
    double.requests.clear()
    port = httpx.URL(double.url).port
    assert port
    request = client.build_request("PUT", path, content=body)
    request.headers["Authorization"] = next(
        httpx.BasicAuth(*double.auth).auth_flow(request)
    ).headers["Authorization"]
    lines = [f"PUT {request.url.raw_path.decode()} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body[:sent])
        while not double.requests.count("PUT"):
            time.sleep(0.002)
    double.wait_until_idle()


def test_an_aborted_overwrite_leaves_a_torn_file(
    client: DavClient, double: NextcloudDouble
) -> None:
    client.store("a", b"old content", OC_Checksum="note")
    names = "d:getetag", "d:getcontentlength", "oc:checksums"
    before = client.values("a", *names)
    abort_put(double, client, "a", b"new", sent=2)
    assert client.values("a", *names) == before
    assert client.get("a").content == b"ne" == double.read("a")
    assert double.versions("a") == [b"old content"]


def test_an_aborted_overwrite_may_leave_a_mixed_file(
    client: DavClient, double: NextcloudDouble
) -> None:
    client.store("a", b"old content")
    double.files.cut_leaves = "mixed"
    abort_put(double, client, "a", b"NEW CONTENT", sent=3)
    assert double.read("a") == b"NEW content"


def test_an_aborted_new_file_leaves_nothing(client: DavClient, double: NextcloudDouble) -> None:
    abort_put(double, client, "a", b"new", sent=2)
    assert client.get("a").status_code == 404
    assert double.tree() == {}
    assert list(double.files.scratch.iterdir()) == []


# --- chunks


def begin(client: DavClient, *chunks: bytes) -> str:
    base = client.root.replace("/files/", "/uploads/") + "id"
    headers = {"Destination": client.root + "a"}
    assert client.request("MKCOL", base, headers=headers).status_code == 201
    for number, chunk in enumerate(chunks, start=1):
        assert client.put(f"{base}/{number}", content=chunk).status_code == 201
    return base


def merge(client: DavClient, base: str, path: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    destination = {"Destination": client.root + path}
    return client.request("MOVE", f"{base}/.file", headers={**destination, **named})


def test_chunks_become_a_file(client: DavClient, double: NextcloudDouble) -> None:
    base = begin(client, *[str(number % 10).encode() for number in range(1, 12)])
    answer = merge(client, base, "a", OC_Total_Length="11", X_OC_Mtime=WHEN, OC_Checksum="note")
    assert answer.status_code == 201
    assert answer.headers["OC-FileId"]
    assert answer.headers["X-OC-MTime"] == "accepted"
    assert double.read("a") == b"12345678901"
    assert double.checksum("a") == "note"
    assert client.request("PROPFIND", base).status_code == 404


def test_chunks_onto_a_file_keep_id_and_versions(
    client: DavClient, double: NextcloudDouble
) -> None:
    client.store("a", b"old")
    number = double.file_id("a")
    assert merge(client, begin(client, b"new"), "a").status_code == 204
    assert (double.read("a"), double.file_id("a")) == (b"new", number)
    assert double.versions("a") == [b"old"]


MERGES = [
    ("a", {"OC_Total_Length": "3"}, 400),
    ("new", {"If_None_Match": "*"}, 412),
    ("there", {"Overwrite": "F"}, 412),
    ("new", {"Overwrite": "F"}, 201),
    ("no/a", {}, 409),
    ("x" * 228, {}, 500),
    ("x" * 251, {}, 400),
]


@pytest.mark.parametrize(("path", "headers", "status"), MERGES)
def test_merges(client: DavClient, path: str, headers: dict[str, str], status: int) -> None:
    client.store("there", b"old")
    assert merge(client, begin(client, b"1"), path, **headers).status_code == status
    assert client.get("there").content == b"old"


def test_a_chunk_needs_the_parent_of_its_file(client: DavClient, double: NextcloudDouble) -> None:
    base = f"{double.base_url}/remote.php/dav/uploads/{double.user}/id"
    to = {"Destination": double.url + "folder/a"}
    assert client.request("MKCOL", base, headers=to).status_code == 201
    refused = client.put(f"{base}/1", content=b"1", headers=to)
    assert refused.status_code == 404
    assert "File with name folder could not be located" in refused.text
    double.make_folder("folder")
    assert client.put(f"{base}/1", content=b"1", headers=to).status_code == 201
    double.write("file", b"")
    for name, status in (("file/a", 415), ("folder", 400), ("no/a", 409), ("folder/a", 201)):
        to = {"Destination": double.url + name}
        assert client.request("MOVE", f"{base}/.file", headers=to).status_code == status


def test_only_complete_chunks_are_there(client: DavClient, double: NextcloudDouble) -> None:
    base = begin(client, b"12345")
    double.faults.add("PUT", "uploads/id/2", cut="middle")
    with pytest.raises(httpx.RemoteProtocolError):
        client.put(f"{base}/2", content=b"67890")
    listing = client.request("PROPFIND", base, headers={"Depth": "1"}).text
    assert f"{httpx.URL(base).path}/1</d:href>" in listing
    assert f"{httpx.URL(base).path}/2</d:href>" not in listing
    assert "<d:getcontentlength>5<" in listing


@pytest.mark.parametrize("name", ["0", "10001", "a"])
def test_names_of_chunks(client: DavClient, name: str) -> None:
    assert client.put(f"{begin(client)}/{name}", content=b"1").status_code == 400


def test_chunks_of_version_1_have_any_names(client: DavClient, double: NextcloudDouble) -> None:
    base = client.root.replace("/files/", "/uploads/") + "id"
    client.request("MKCOL", base)
    for name in ("10-20", "9-10", "0-9"):
        assert client.put(f"{base}/{name}", content=name.encode()).status_code == 201
    assert merge(client, base, "a").status_code == 201
    assert double.read("a") == b"0-99-1010-20"


def test_uploads_that_are_not_there(client: DavClient) -> None:
    base = begin(client)
    assert client.request("MKCOL", base).status_code == 405
    assert client.delete(base).status_code == 204
    assert client.put(f"{base}/1", content=b"1").status_code == 404
    assert merge(client, base, "a").status_code == 404


def test_a_merge_goes_on_after_504(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a", b"old")
    base = begin(client, b"new")
    double.chunk_move_504 = 0.05
    assert merge(client, base, "a").status_code == 504
    assert double.read("a") == b"old"
    assert merge(client, base, "a").status_code == 423
    assert client.store("a").status_code == 423
    double.wait_for_merges()
    assert double.read("a") == b"new"
    assert merge(client, base, "a").status_code == 404


def test_the_chunks_go_last(
    client: DavClient, double: NextcloudDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sees that they are gone finds the file with its time (Sabre's Tree: copy, delete)."""
    seen: list[int] = []
    touch = double.files.touch

    def late(node: Node, mtime: int) -> None:
        seen.append(client.request("PROPFIND", base).status_code)
        touch(node, mtime)

    base = begin(client, b"new")
    monkeypatch.setattr(double.files, "touch", late)
    assert merge(client, base, "a", X_OC_Mtime=WHEN).status_code == 201
    assert seen == [207]


def test_a_merge_with_a_bad_mtime_is_500_and_the_file_is_written(
    client: DavClient, double: NextcloudDouble
) -> None:
    base = begin(client, b"new")
    assert merge(client, base, "a", X_OC_Mtime="yesterday").status_code == 500
    assert double.read("a") == b"new"
    assert merge(client, base, "a", X_OC_Mtime=WHEN).status_code == 204
    assert client.value("a", "d:getlastmodified") == "Tue, 14 Nov 2023 22:13:20 GMT"


# --- bulk


def bulk(double: NextcloudDouble, body: bytes, kind: str = BULK_TYPE) -> httpx.Response:
    url = f"{double.base_url}/remote.php/dav/bulk"
    return httpx.post(url, content=body, headers={"Content-Type": kind}, auth=double.auth)


def test_bulk_stores(client: DavClient, double: NextcloudDouble) -> None:
    client.store("there", b"old", OC_Checksum="note")
    number = double.file_id("there")
    answer = bulk(double, multipart({"/ü.txt": b"1", "there": b"2", "empty": b""}, mtime=WHEN))
    assert answer.status_code == 200
    assert double.tree() == {"empty": b"", "there": b"2", "ü.txt": b"1"}
    assert {path: outcome["error"] for path, outcome in answer.json().items()} == {
        "/ü.txt": False, "there": False, "empty": False,
    }  # fmt: skip
    assert f'"{answer.json()["there"]["etag"]}"' == client.etag("there")
    assert int(answer.json()["there"]["fileid"][:8]) == double.file_id("there") == number
    assert (double.versions("there"), double.checksum("there")) == ([b"old"], "")
    assert client.value("ü.txt", "d:getlastmodified") == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_bulk_tells_the_errors_of_parts_inside_the_200(double: NextcloudDouble) -> None:
    double.make_folder("folder")
    double.quota = 4
    names = ["no/a", ".htaccess", "a\\b", "folder", "x" * 251, "big", "x" * 250]
    body = multipart({name: b"12345" if name == "big" else b"1" for name in names})
    answer = bulk(double, body)
    assert answer.status_code == 200
    assert [outcome["error"] for outcome in answer.json().values()] == [True] * 6 + [False]
    assert double.tree() == {"x" * 250: b"1"}


def test_bulk_stops_at_a_wrong_md5(double: NextcloudDouble) -> None:
    files = {"a": b"1", "b": b"2", "c": b"3"}
    answer = bulk(double, multipart(files, wrong_md5="b"))
    assert answer.status_code == 400
    assert list(answer.json()) == ["a"]
    assert double.tree() == {"a": b"1"}


def test_bulk_that_stored_nothing_answers_an_empty_list(double: NextcloudDouble) -> None:
    assert bulk(double, multipart({"a": b"1"}, wrong_md5="a")).json() == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (multipart({"a": b"1"})[:-2], BULK_TYPE, 400),
        (multipart({"a": b"1"}), "multipart/form-data; boundary=b", 400),
        (multipart({"a": b"1"}), "multipart/related", 400),
    ],
)
def test_bulk_is_strict(double: NextcloudDouble, body: bytes, kind: str, status: int) -> None:
    assert bulk(double, body, kind).status_code == status


def test_a_cut_bulk_has_stored_its_first_parts(double: NextcloudDouble) -> None:
    double.faults.add("POST", "bulk", cut="middle")
    with pytest.raises(httpx.RemoteProtocolError):
        bulk(double, multipart({str(number): b"x" * 100 for number in range(10)}))
    assert list(double.tree()) == [str(number) for number in range(len(double.tree()))]
    assert 0 < len(double.tree()) < 10


def test_bulk_logs_a_session_out(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a")
    headers = {"Content-Type": BULK_TYPE}
    url = f"{double.base_url}/remote.php/dav/bulk"
    assert double.login.sessions() == 1
    assert client.post(url, content=multipart({"b": b"1"}), headers=headers).status_code == 200
    assert double.login.sessions() == 0


def test_a_part_fails_when_told(double: NextcloudDouble) -> None:
    double.faults.add("BULK", "b", status=423, body=b"locked")
    outcome = json.loads(bulk(double, multipart({"a": b"1", "b": b"2"})).text)
    assert outcome["b"] == {"error": True, "message": "locked"}
    assert not outcome["a"]["error"]
