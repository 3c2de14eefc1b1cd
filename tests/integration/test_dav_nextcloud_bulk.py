"""Batches to a Nextcloud: proven file by file, off by themselves where they do not work."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

from paperfleet.errors import (
    CredentialsError,
    InvalidNameError,
    MaintenanceError,
    NameRefusedError,
    NotFoundError,
    QuotaExceededError,
    StorageError,
    ThrottledError,
    UnavailableError,
)
from paperfleet.model import BatchFile, FileStat
from paperfleet.secret import Secret
from paperfleet.storage.nextcloud import bulk as bulk_module
from paperfleet.storage.nextcloud.backend import NextcloudBackend
from paperfleet.storage.nextcloud.bulk import Bulk

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME = 1_500_000_000 * 10**9


@pytest.fixture
def server() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as double:
        double.make_folder("Archiv ä/sub")
        double.requests.clear()
        yield double


@pytest.fixture
def cloud(server: NextcloudDouble) -> Iterator[NextcloudBackend]:
    url = server.url + "Archiv%20%C3%A4"
    with NextcloudBackend(url, username=server.user, password=Secret(server.password)) as storage:
        yield storage


def batch(*names: str) -> list[BatchFile]:
    return [
        BatchFile(name, f"content of {name}".encode("utf-8", "replace"), TIME) for name in names
    ]


def stored(results: list[FileStat | StorageError]) -> list[FileStat]:
    found = [result for result in results if isinstance(result, FileStat)]
    assert len(found) == len(results), results
    return found


def count(server: NextcloudDouble, method: str) -> int:
    return server.requests.count(method)


NAMES = ("a.pdf", "sub/ü #%.pdf", "b: c; d=e", "x" * 250, " leading", "emoji 📄.pdf")


def test_one_request_for_all(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    results = stored(cloud.save_batch(batch(*NAMES)))
    assert [(r.method, r.path) for r in server.requests] == [
        ("GET", "ocs/v1.php/cloud/capabilities"),
        ("POST", "bulk"),
    ]
    assert results == [cloud.stat(name) for name in NAMES]
    assert {result.modified_ns for result in results} == {TIME}
    assert {name.removeprefix("Archiv ä/"): content for name, content in server.tree().items()} == {
        file.name: file.content for file in batch(*NAMES)
    }


def test_capabilities_are_asked_once(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    for _ in range(3):
        stored(cloud.save_batch(batch("a")))
    assert count(server, "GET") == 1
    assert count(server, "POST") == 3


def test_the_session_survives_a_batch(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    assert not cloud.exists("a")
    sessions = server.login.sessions()
    stored(cloud.save_batch(batch("a", "b")))
    cloud.exists("a")
    assert [request.login for request in server.requests if request.path != "bulk"][-1] == "session"
    assert server.login.sessions() >= sessions
    (post,) = (request for request in server.requests if request.method == "POST")
    assert "cookie" not in {key.lower() for key in post.headers}


def test_what_was_there_keeps_its_history(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.write("Archiv ä/a", b"old")
    file_id = server.file_id("Archiv ä/a")
    (result,) = stored(cloud.save_batch(batch("a")))
    assert result.file_id == str(file_id)
    assert server.versions("Archiv ä/a") == [b"old"]


def test_names_in_nfd(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    (result,) = stored(cloud.save_batch(batch(unicodedata.normalize("NFD", "é.pdf"))))
    assert result.name == "é.pdf"
    assert list(server.tree()) == ["Archiv ä/é.pdf"]
    assert count(server, "PUT") == 0


def test_a_name_that_the_endpoint_would_trim_goes_alone(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    stored(cloud.save_batch(batch("a ", "b")))
    assert sorted(server.tree()) == ["Archiv ä/a ", "Archiv ä/b"]
    assert count(server, "PUT") == 1


def test_names_that_are_refused(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    results = cloud.save_batch(
        batch("a", "x\r\nX-File-Path: /evil", "../b", "\udcff", "c.part", "y" * 251, "d")
    )
    assert [type(result) for result in results] == [
        FileStat,
        NameRefusedError,
        InvalidNameError,
        NameRefusedError,
        NameRefusedError,
        NameRefusedError,
        FileStat,
    ]
    assert sorted(server.tree()) == ["Archiv ä/a", "Archiv ä/d"]


def test_an_error_inside_the_200_is_told_exactly(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    results = cloud.save_batch(batch("a", "missing/b", "c"))
    assert [type(result) for result in results] == [FileStat, NotFoundError, FileStat]
    server.quota = 0
    results = cloud.save_batch(batch("d", "e"))
    assert {type(result) for result in results} == {QuotaExceededError}
    server.quota = None
    stored(cloud.save_batch(batch("d", "e")))


def test_a_locked_file_is_sent_once_more(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.faults.add("BULK", "Archiv ä/b", status=423)
    stored(cloud.save_batch(batch("a", "b", "c")))
    assert count(server, "PUT") == 1


def test_a_part_that_arrives_damaged(
    server: NextcloudDouble, cloud: NextcloudBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Bulk._part

    def damaged(self: Bulk, file: BatchFile, boundary: str) -> bytes:
        return sent(self, file, boundary).replace(b"content of b", b"CONTENT of b")

    monkeypatch.setattr(Bulk, "_part", damaged)
    results = cloud.save_batch(batch("a", "b", "c"))
    assert [type(result) for result in results] == [FileStat, UnavailableError, UnavailableError]
    assert list(server.tree()) == ["Archiv ä/a"]
    assert cloud.capabilities.save_batch, "the endpoint works"
    stored(cloud.save_batch(batch("a")))


def test_a_batch_of_which_nothing_arrives_is_sent_one_by_one(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.faults.add("POST", "bulk", status=400, body=b"[]")
    stored(cloud.save_batch(batch("a", "b")))
    assert count(server, "PUT") == 2
    assert not cloud.capabilities.save_batch


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_the_endpoint(
    server: NextcloudDouble, cloud: NextcloudBackend, status: int
) -> None:
    server.faults.add("POST", "bulk", status=status, times=None)
    for _ in range(2):
        stored(cloud.save_batch(batch("a", "b")))
    assert count(server, "POST") == 1, "it is asked once"
    assert count(server, "PUT") == 4
    assert not cloud.capabilities.save_batch


def test_a_server_that_does_not_claim_it(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.state.bulk = False
    stored(cloud.save_batch(batch("a", "b")))
    assert count(server, "POST") == 0
    assert not cloud.capabilities.save_batch


@pytest.mark.parametrize("body", [b"<html>", b"", b"3", b'"a"', b"[1]"])
def test_an_answer_that_cannot_be_read_leaves_the_outcome_unknown(
    server: NextcloudDouble, cloud: NextcloudBackend, body: bytes
) -> None:
    server.faults.add("POST", "bulk", status=200, body=body or b" ", effect=True)
    results = cloud.save_batch(batch("a", "b"))
    assert {type(result) for result in results} == {UnavailableError}
    assert not cloud.capabilities.save_batch
    stored(cloud.save_batch(batch("a", "b")))


def test_a_file_without_a_result_is_unknown(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    told = b'{"/Archiv \\u00e4/a": {"error": false, "etag": "1", "fileid": "00000007oc"}}'
    server.faults.add("POST", "bulk", status=200, body=told)
    results = cloud.save_batch(batch("a", "b"))
    assert isinstance(results[0], FileStat)
    assert (results[0].etag, results[0].file_id) == ('"1"', "7")
    assert isinstance(results[1], UnavailableError)


@pytest.mark.parametrize(
    "told", ["1", "null", '{"error": true}', '{"error": false}', '{"etag": "1"}', "{}"]
)
def test_a_result_without_proof_counts_for_nothing(
    server: NextcloudDouble, cloud: NextcloudBackend, told: str
) -> None:
    body = f'{{"/Archiv \\u00e4/a": {told}}}'.encode()
    server.faults.add("POST", "bulk", status=200, body=body)
    (result,) = cloud.save_batch(batch("a"))
    if isinstance(result, FileStat):
        assert server.tree() == {"Archiv ä/a": b"content of a"}
        assert count(server, "PUT") == 1
    else:
        assert isinstance(result, UnavailableError)


@pytest.mark.parametrize("cut", ["before", "middle", "after"])
def test_a_lost_answer_leaves_the_outcome_unknown(
    server: NextcloudDouble, cloud: NextcloudBackend, cut: str
) -> None:
    server.faults.add("POST", "bulk", cut=cut)  # type: ignore[arg-type]  # a parameter
    results = cloud.save_batch(batch("a", "b"))
    assert {type(result) for result in results} == {UnavailableError}
    assert count(server, "POST") == 1, "it is not repeated"
    assert cloud.capabilities.save_batch
    stored(cloud.save_batch(batch("a", "b")))


def test_an_endpoint_that_always_breaks_off_rests(
    server: NextcloudDouble, cloud: NextcloudBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults.add("POST", "bulk", cut="before", times=None)
    seen = []
    for _ in range(bulk_module.MOST_LOST):
        seen.append(cloud.capabilities.save_batch)
        cloud.save_batch(batch("a"))
    assert [*seen, cloud.capabilities.save_batch] == [True] * bulk_module.MOST_LOST + [False]
    stored(cloud.save_batch(batch("a")))
    server.faults.clear()
    monkeypatch.setattr(cloud._bulk, "_rests_until", 0.0)
    assert cloud.capabilities.save_batch
    stored(cloud.save_batch(batch("a")))


def test_a_server_that_is_away_says_nothing_of_the_endpoint(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    stored(cloud.save_batch(batch("a")))
    with server.offline():
        for _ in range(bulk_module.MOST_LOST + 1):
            (result,) = cloud.save_batch(batch("a"))
            assert isinstance(result, UnavailableError)
    assert cloud.capabilities.save_batch


@pytest.mark.parametrize(("status", "expected"), [(401, CredentialsError), (429, ThrottledError)])
def test_what_stops_everything_is_raised(
    server: NextcloudDouble,
    cloud: NextcloudBackend,
    status: int,
    expected: type[StorageError],
) -> None:
    server.faults.add("POST", "bulk", status=status)
    with pytest.raises(expected):
        cloud.save_batch(batch("a"))
    assert cloud.capabilities.save_batch


def test_maintenance_is_raised(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    stored(cloud.save_batch(batch("a")))
    server.maintenance = True
    with pytest.raises(MaintenanceError):
        cloud.save_batch(batch("a"))
    assert cloud.capabilities.save_batch


def test_when_the_storage_fails_the_rest_is_not_tried(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.state.bulk = False
    server.faults.add("PUT", "*/b", status=507)
    results = cloud.save_batch(batch("a", "b", "c"))
    assert [type(result) for result in results] == [
        FileStat,
        QuotaExceededError,
        QuotaExceededError,
    ]
    assert count(server, "PUT") == 2


def test_nothing_to_save(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    assert cloud.save_batch([]) == []
    assert len(server.requests) == 0
