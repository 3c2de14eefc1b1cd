"""The Nextcloud double against the measured facts: listing, ETags, writing, MOVE, COPY, names."""

from __future__ import annotations

import hashlib
import itertools
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.servers.client import DavClient
from tests.servers.nextcloud_activity import grouped
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEN = "1700000000"


@pytest.fixture
def double() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as running:
        yield running


@pytest.fixture
def client(double: NextcloudDouble) -> Iterator[DavClient]:
    with DavClient(double) as http:
        yield http


@pytest.fixture
def ticking(double: NextcloudDouble) -> None:
    """Let every look at the server's clock be a new second."""
    seconds = itertools.count(1_700_000_000)
    double.clock = lambda: next(seconds)


# --- listing


def test_depths(client: DavClient, double: NextcloudDouble) -> None:
    double.write("a/b/c.txt", b"1")
    assert set(client.values("a", "d:getetag", depth="0")) == {"a"}
    assert set(client.values("a", "d:getetag", depth="1")) == {"a", "a/b"}
    assert set(client.values("a", "d:getetag", depth="infinity")) == {"a", "a/b", "a/b/c.txt"}


def test_properties_of_a_file(client: DavClient) -> None:
    headers = client.store("a.txt", b"hello", X_OC_Mtime=WHEN, OC_Checksum="SHA256:abc").headers
    names = "d:getetag d:getcontentlength d:getlastmodified oc:fileid oc:id oc:checksums oc:size"
    assert client.values("a.txt", *names.split())["a.txt"] == {
        "d:getetag": headers["ETag"],
        "d:getcontentlength": "5",
        "d:getlastmodified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "oc:fileid": str(int(headers["OC-FileId"][:8])),
        "oc:id": headers["OC-FileId"],
        "oc:checksums": "SHA256:abc",
        "oc:size": "5",
    }


def test_properties_of_a_folder(client: DavClient, double: NextcloudDouble) -> None:
    double.write("a/b.txt", b"123")
    double.write("a/c/d.txt", b"45")
    found = client.values("a", "oc:size", "oc:permissions", "d:getcontentlength")["a"]
    assert found == {"oc:size": "5", "oc:permissions": "RGDNVCK"}


def test_an_unknown_property_is_404_inside_the_207(client: DavClient) -> None:
    client.store("a.txt")
    answer = client.listing("a.txt", ["d:getetag", "nc:unheard-of"], "0")
    assert b"<nc:unheard-of/></d:prop><d:status>HTTP/1.1 404 Not Found" in answer.content


def test_a_long_listing_is_gzipped_for_who_can_read_it(client: DavClient) -> None:
    for number in range(9):
        client.store(f"{number}.txt")
    plain = client.dav("PROPFIND", Depth="1", Accept_Encoding="identity")
    packed = client.dav("PROPFIND", Depth="1", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == plain.content


def test_hrefs_are_encoded_as_sabre_does(client: DavClient) -> None:
    client.store("ü (1)+&.txt")
    assert b"/%c3%bc%20(1)%2b%26.txt</d:href>" in client.dav("PROPFIND", Depth="1").content


# --- ETags


CHANGES = {
    "create": lambda c: c.store("a/b/new.txt"),
    "overwrite": lambda c: c.store("a/b/old.txt", b"other"),
    "move": lambda c: c.shift("MOVE", "a/b/old.txt", "a/b/moved.txt"),
    "delete": lambda c: c.dav("DELETE", "a/b/old.txt"),
    "mkcol": lambda c: c.dav("MKCOL", "a/b/folder"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_travels_up_to_the_root(
    client: DavClient, double: NextcloudDouble, change: str
) -> None:
    double.write("a/b/old.txt", b"1")
    double.write("a/sibling/x.txt", b"1")
    before = client.values("", "d:getetag", depth="infinity")
    assert CHANGES[change](client).is_success
    after = client.values("", "d:getetag", depth="infinity")
    changed = {path for path in before if path in after and before[path] != after[path]}
    assert changed - {"a/b/old.txt"} == {"", "a", "a/b"}


def test_different_bytes_within_a_second_have_one_etag(
    client: DavClient, double: NextcloudDouble
) -> None:
    double.clock = lambda: 1_700_000_000.5
    assert client.store("a", b"1").headers["ETag"] == client.store("a", b"longer").headers["ETag"]


@pytest.mark.usefixtures("ticking")
def test_different_bytes_with_one_size_and_mtime_have_one_etag(client: DavClient) -> None:
    first = client.store("a", b"1", X_OC_Mtime=WHEN).headers["ETag"]
    assert client.store("a", b"2", X_OC_Mtime=WHEN).headers["ETag"] == first


@pytest.mark.usefixtures("ticking")
def test_different_seconds_have_different_etags(client: DavClient) -> None:
    assert client.store("a", b"1").headers["ETag"] != client.store("a", b"2").headers["ETag"]


# --- PUT


def test_put_answers(client: DavClient) -> None:
    new = client.store("a", b"1")
    replaced = client.store("a", b"2")
    assert (new.status_code, replaced.status_code) == (201, 204)
    assert replaced.headers["OC-FileId"] == new.headers["OC-FileId"]
    assert replaced.headers["ETag"] == replaced.headers["OC-ETag"] == client.etag("a")


def test_a_missing_parent_is_404_for_put(client: DavClient) -> None:
    assert client.store("no/a").status_code == 404


def test_an_overwrite_keeps_a_version(client: DavClient, double: NextcloudDouble) -> None:
    for content in (b"1", b"2", b"2"):
        client.store("a", content)
    assert double.versions("a") == [b"1", b"2"]
    assert [entry.kind for entry in double.activity] == ["created", "changed", "changed"]


def test_fractions_of_an_mtime_are_cut_off(client: DavClient) -> None:
    assert client.store("a", X_OC_Mtime=f"{WHEN}.9").headers["X-OC-MTime"] == "accepted"
    assert client.value("a", "d:getlastmodified") == "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize("mtime", ["0", "-5", "yesterday", "0x5f"])
def test_a_bad_mtime_is_500_and_the_body_is_written(
    client: DavClient, double: NextcloudDouble, mtime: str
) -> None:
    assert client.store("a", b"written", X_OC_Mtime=mtime).status_code == 500
    assert double.read("a") == b"written"
    assert client.value("a", "d:getcontentlength") == "7"


def test_the_checksum_is_the_clients_note(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a", OC_Checksum="any text")
    assert client.get("a").headers["OC-Checksum"] == "any text"
    assert client.head("a").headers["OC-Checksum"] == "any text"
    client.shift("MOVE", "a", "b")
    client.shift("COPY", "b", "c")
    assert (double.checksum("b"), double.checksum("c")) == ("any text", "")
    client.store("b")
    assert "OC-Checksum" not in client.get("b").headers


def test_x_hash_proves_what_arrived(client: DavClient) -> None:
    answer = client.store("a", b"hello", X_Hash="sha256")
    assert answer.headers["X-Hash-SHA256"] == hashlib.sha256(b"hello").hexdigest()


def test_recalculated_hash_proves_what_is_stored(
    client: DavClient, double: NextcloudDouble
) -> None:
    client.store("a", b"hello")
    before = client.etag("a")
    double.files.disk("a").write_bytes(b"rotten")
    answer = client.dav("PATCH", "a", X_Recalculate_Hash="sha256")
    assert answer.status_code == 204
    assert answer.headers["OC-Checksum"] == f"SHA256:{hashlib.sha256(b'rotten').hexdigest()}"
    assert double.checksum("a") == answer.headers["OC-Checksum"]
    assert client.etag("a") == before


def test_a_chunked_transfer_is_stored_whole(client: DavClient, double: NextcloudDouble) -> None:
    blocks = [b"a" * 70_000, b"b", b"c" * 5]
    assert client.put("a", content=iter(blocks)).status_code == 201
    assert double.read("a") == b"".join(blocks)


CONDITIONS = [
    ("PUT", "there", "If-None-Match", "*", 412),
    ("PUT", "new", "If-None-Match", "*", 201),
    ("PUT", "new", "If-Match", "*", 412),
    ("PUT", "there", "If-Match", '"other"', 412),
    ("PUT", "there", "If-Match", "ETAG", 204),
    ("MOVE", "there", "If-Match", '"other"', 412),
    ("MOVE", "there", "If-Match", "ETAG", 201),
    ("DELETE", "there", "If-Match", '"other"', 412),
    ("DELETE", "there", "If-Match", "ETAG", 204),
    ("GET", "there", "If-None-Match", "ETAG", 304),
]


@pytest.mark.parametrize(("method", "path", "header", "value", "status"), CONDITIONS)
def test_conditions(
    client: DavClient, method: str, path: str, header: str, value: str, status: int
) -> None:
    etag = client.store("there").headers["ETag"]
    headers = {header: etag if value == "ETAG" else value}
    if method == "MOVE":
        headers["Destination"] = client.root + "elsewhere"
    answer = client.request(method, path, headers=headers, content=b"x" if method == "PUT" else b"")
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("span", "status", "content"),
    [
        ("bytes=1-2", 206, b"12"),
        ("bytes=3-", 206, b"34"),
        ("bytes=-2", 206, b"34"),
        ("bytes=2-99", 206, b"234"),
        ("bytes=9-", 416, None),
    ],
)
def test_ranges(client: DavClient, span: str, status: int, content: bytes | None) -> None:
    client.store("a", b"01234")
    answer = client.get("a", headers={"Range": span})
    assert answer.status_code == status
    assert content is None or answer.content == content


def test_proppatch_sets_the_mtime(client: DavClient) -> None:
    client.store("a")
    change = f"<d:lastmodified>{WHEN}</d:lastmodified><d:getlastmodified>x</d:getlastmodified>"
    update = f'<d:propertyupdate xmlns:d="DAV:"><d:set><d:prop>{change}</d:prop></d:set>'
    answer = client.dav("PROPPATCH", "a", f"{update}</d:propertyupdate>".encode())
    assert b"<d:lastmodified/></d:prop><d:status>HTTP/1.1 200 OK" in answer.content
    assert b"<d:getlastmodified/></d:prop><d:status>HTTP/1.1 403" in answer.content
    assert client.value("a", "d:getlastmodified") == "Tue, 14 Nov 2023 22:13:20 GMT"


# --- MOVE, COPY, DELETE, MKCOL


def test_a_move_keeps_everything(client: DavClient, double: NextcloudDouble) -> None:
    client.dav("MKCOL", "a")
    client.dav("MKCOL", "b")
    for content in (b"1", b"2"):
        client.store("a/x", content, OC_Checksum="note", X_OC_Mtime=WHEN)
    names = "d:getetag", "oc:fileid", "oc:checksums", "d:getlastmodified"
    before = client.values("a/x", *names)["a/x"]
    double.activity.clear()
    assert client.shift("MOVE", "a", "b/a").status_code == 201
    assert client.shift("MOVE", "b/a/x", "b/a/X").status_code == 201
    assert client.values("b/a/X", *names)["b/a/X"] == before
    assert double.versions("b/a/X") == [b"1"]
    assert double.tree() == {"b/a/X": b"2"}
    assert [e.text for e in double.activity] == ["You moved a to b", "You renamed x to X"]


REFUSED_MOVES = [
    ("MOVE", "no", "b", "T", 404),
    ("MOVE", "a", "no/b", "T", 409),
    ("MOVE", "a", "a", "T", 403),
    ("MOVE", "a", "there", "F", 412),
    ("MOVE", "a", "there", "T", 204),
    ("MOVE", "folder", "folder/x", "T", 409),
    ("MOVE", "a", "x.part", "T", 423),
    ("COPY", "a", "no/b", "T", 409),
    ("COPY", "a", "there", "F", 412),
    ("COPY", "a", "there", "T", 204),
    ("COPY", "a", "b", "T", 201),
]


@pytest.mark.parametrize(("method", "old", "new", "overwrite", "status"), REFUSED_MOVES)
def test_moves_and_copies(
    client: DavClient, double: NextcloudDouble, method: str, old: str, new: str, overwrite: str,
    status: int,
) -> None:  # fmt: skip
    for name in ("a", "there", "folder/in"):
        double.write(name, name.encode())
    before = double.tree()
    assert client.shift(method, old, new, Overwrite=overwrite).status_code == status
    assert (double.tree() == before) is (status >= 400)


def test_a_move_onto_a_file_ends_its_id_and_versions(
    client: DavClient, double: NextcloudDouble
) -> None:
    for content in (b"1", b"2"):
        client.store("target", content)
    client.store("temp", b"3")
    moved = double.file_id("temp")
    client.shift("MOVE", "temp", "target")
    assert double.file_id("target") == moved
    assert double.versions("target") == []


@pytest.mark.parametrize(
    ("destination", "status"),
    [("/remote.php/dav/files/alice/b", 201), ("https://HOST/remote.php/dav/files/alice/b", 404),
     ("/remote.php/dav/files/bob/b", 403)],
)  # fmt: skip
def test_destinations(client: DavClient, destination: str, status: int) -> None:
    client.store("a")
    host = httpx.URL(client.root).netloc.decode()
    answer = client.dav("MOVE", "a", Destination=destination.replace("HOST", host))
    assert answer.status_code == status


def test_mkcol(client: DavClient) -> None:
    statuses = [client.dav("MKCOL", path).status_code for path in ("a", "a", "no/b", "a/b")]
    assert statuses == [201, 405, 409, 201]


def test_delete_and_restore(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a", b"1")
    number = double.file_id("a")
    assert client.dav("DELETE", "a").status_code == 204
    assert client.dav("DELETE", "a").status_code == 404
    trash = f"{double.base_url}/remote.php/dav/trashbin/alice/"
    (name,) = double.files.trash.entries
    assert name in client.request("PROPFIND", f"{trash}trash").text
    destination = {"Destination": f"{trash}restore/{name}"}
    assert client.request("MOVE", f"{trash}trash/{name}", headers=destination).status_code == 201
    assert (double.read("a"), double.file_id("a")) == (b"1", number)


def test_five_creates_are_one_entry(client: DavClient, double: NextcloudDouble) -> None:
    for number in range(5):
        client.store(f"{number}")
    client.shift("MOVE", "0", "00")
    assert [len(group) for group in grouped(double.activity)] == [5, 1]


def test_deleting_and_creating_ends_the_history(client: DavClient, double: NextcloudDouble) -> None:
    client.store("a", b"1")
    number = double.file_id("a")
    client.dav("DELETE", "a")
    client.store("b", b"1")
    assert double.file_id("b") != number
    assert [entry.kind for entry in double.activity] == ["created", "deleted", "created"]


# --- names


FINE = ["ümläut", "😀", ": * ? \" ' < > | # % + & ;", " led", "trailed ", "dot.", ".dot", "CON"]


@pytest.mark.parametrize("name", [*FINE, "a\u200fb"])
def test_fine_names(client: DavClient, double: NextcloudDouble, name: str) -> None:
    assert client.store(name, b"1").status_code == 201
    assert client.dav("GET", name).content == b"1"
    assert double.tree() == {name: b"1"}
    assert set(client.values("", "d:getetag", depth="1")) == {"", name}


BAD = [("a\\b", 400), ("a\nb", 400), ("a\tb", 400), ("a\x01b", 400), (".htaccess", 403),
       ("x.part", 423)]  # fmt: skip


@pytest.mark.parametrize(("name", "status"), BAD)
@pytest.mark.parametrize("method", ["PUT", "MKCOL"])
def test_bad_names(client: DavClient, method: str, name: str, status: int) -> None:
    assert client.dav(method, name).status_code == status


LENGTHS = [
    ("PUT", 227, 201), ("PUT", 228, 500), ("PUT", 251, 400), ("MKCOL", 250, 201),
    ("MKCOL", 251, 400), ("MOVE", 250, 201), ("MOVE", 251, 400),
]  # fmt: skip


@pytest.mark.parametrize(("method", "length", "status"), LENGTHS)
def test_lengths_in_bytes(client: DavClient, method: str, length: int, status: int) -> None:
    name = "ü" * (length // 2) + "x" * (length % 2)
    client.store("short")
    moved = client.shift("MOVE", "short", name) if method == "MOVE" else client.dav(method, name)
    assert moved.status_code == status


def test_an_overwrite_may_have_a_long_name(client: DavClient) -> None:
    client.store("short")
    client.shift("MOVE", "short", "x" * 250)
    assert client.store("x" * 250, b"2").status_code == 204


def test_nfd_becomes_nfc(client: DavClient, double: NextcloudDouble) -> None:
    assert client.store("u\u0308").status_code == 201
    assert set(double.tree()) == {"ü"}
    assert client.get("u%CC%88").status_code == 200
    assert set(client.values("", "d:getetag", depth="1")) == {"", "ü"}


def test_invalid_utf8_is_reinterpreted(client: DavClient, double: NextcloudDouble) -> None:
    assert client.put(client.root + "%fc.txt", content=b"1").status_code == 201
    assert set(double.tree()) == {"ü.txt"}
