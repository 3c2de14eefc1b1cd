"""Chunked uploads to a Nextcloud: resumed, cut at every request, merged behind a 504."""

from __future__ import annotations

import hashlib
import io
import random
import time
from typing import TYPE_CHECKING, cast

import pytest
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    IntegrityError,
    LockedError,
    MaintenanceError,
    PreconditionFailedError,
    StorageError,
    UnavailableError,
)
from paperfleet.model import ABSENT, ANYTHING, Precondition, Upload
from paperfleet.secret import Secret
from paperfleet.storage.dav import client as client_module
from paperfleet.storage.nextcloud import chunks as chunks_module
from paperfleet.storage.nextcloud import saving as cloud_saves
from paperfleet.storage.nextcloud.backend import NextcloudBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nextcloud_faults import Cut

CHUNK = 50_000
CONTENT = random.Random(4).randbytes(12 * CHUNK + 17)  # noqa: S311 (test data, no secret)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TIME = 1_500_000_000 * 10**9
UPLOAD = Upload(lambda: io.BytesIO(CONTENT), len(CONTENT), TIME, SHA256)
CHUNKS = 13


@pytest.fixture
def server() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as double:
        yield double


@pytest.fixture
def cloud(server: NextcloudDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[NextcloudBackend]:
    monkeypatch.setattr(client_module, "UNLOCKING", (0.01,))
    monkeypatch.setattr(cloud_saves, "SMALL", 1000)
    monkeypatch.setattr(chunks_module, "PATIENCE", 1.0)
    monkeypatch.setattr(chunks_module, "LOCK_PATIENCE", 0.3)
    with backend(server) as storage:
        yield storage


def backend(server: NextcloudDouble) -> NextcloudBackend:
    return NextcloudBackend(
        server.url,
        username=server.user,
        password=Secret(server.password),
        chunk_size=CHUNK,
        chunk_threshold=CHUNK,
        timeout=10,
    )


def count(server: NextcloudDouble, method: str, ending: str = "") -> int:
    return sum(1 for r in server.requests if r.method == method and r.path.endswith(ending))


def chunk_puts(server: NextcloudDouble) -> list[str]:
    puts = [r.path for r in server.requests if r.method == "PUT" and r.path.startswith("uploads/")]
    return [path.rpartition("/")[2] for path in puts]


def unfinished(server: NextcloudDouble) -> int:
    return len(list((server.files.base / "uploads").iterdir()))


def test_a_new_file(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    saved = cloud.save_with("new/folder/a.pdf", UPLOAD, ABSENT)
    assert server.tree() == {"new/folder/a.pdf": CONTENT}
    assert chunk_puts(server) == [f"{number:05}" for number in range(1, CHUNKS + 1)]
    assert saved == cloud.stat("new/folder/a.pdf")._replace(sha256=SHA256)
    assert (saved.size, saved.modified_ns) == (len(CONTENT), TIME)
    assert server.checksum("new/folder/a.pdf") == f"SHA256:{SHA256}"
    assert unfinished(server) == 0


def test_parents_are_there_before_the_first_chunk(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    cloud.save("new/folder/a.pdf", io.BytesIO(CONTENT))
    assert server.tree() == {"new/folder/a.pdf": CONTENT}
    chunks = [r for r in server.requests if r.method == "PUT" and r.path.startswith("uploads/")]
    assert {request.status for request in chunks} == {201}


def test_a_parent_that_somebody_removes_during_the_upload_is_made_again(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.make_folder("folder")
    server.faults.add("PUT", "uploads/*/00003", meanwhile=lambda: server.delete("folder"))
    cloud.save_with("folder/a.pdf", UPLOAD, ABSENT)
    assert server.tree() == {"folder/a.pdf": CONTENT}


def test_a_large_file_never_goes_below_a_file(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.write("a", b"a file")
    with pytest.raises(AlreadyExistsError):
        cloud.save_with("a/b.pdf", UPLOAD, ABSENT)
    assert server.tree() == {"a": b"a file"}
    assert chunk_puts(server) == []


@pytest.mark.parametrize("size", [CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_sizes_at_the_edge(server: NextcloudDouble, cloud: NextcloudBackend, size: int) -> None:
    content = CONTENT[:size]
    cloud.save_with("a", Upload(lambda: io.BytesIO(content), size), ABSENT)
    assert server.read("a") == content


@pytest.mark.parametrize("method", ["PUT", "MKCOL"])
@pytest.mark.parametrize("cut", ["before", "middle", "after"])
def test_a_later_attempt_goes_on_where_one_was_cut(
    server: NextcloudDouble, cloud: NextcloudBackend, method: str, cut: Cut
) -> None:
    server.write("a", b"old")
    path = "*/00007" if method == "PUT" else "uploads/*"
    server.faults.add(method, path, cut=cut, times=2)
    with pytest.raises(UnavailableError):
        cloud.save_with("a", UPLOAD, ANYTHING)
    server.wait_until_idle()
    assert server.tree() == {"a": b"old"}
    server.faults.clear()
    server.requests.clear()
    with backend(server) as later:
        assert later.save_with("a", UPLOAD, ANYTHING).sha256 == SHA256
    assert server.read("a") == CONTENT
    resumed = CHUNKS - 6 if cut != "after" else CHUNKS - 7
    assert len(chunk_puts(server)) == (resumed if method == "PUT" else CHUNKS)
    assert unfinished(server) == 0


def test_another_content_does_not_go_on_with_the_chunks(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.faults.add("PUT", "*/00007", status=502)
    with pytest.raises(UnavailableError):
        cloud.save_with("a", UPLOAD, ABSENT)
    other = bytes(reversed(CONTENT))
    changed = Upload(lambda: io.BytesIO(other), len(other), TIME, hashlib.sha256(other).hexdigest())
    server.requests.clear()
    cloud.save_with("a", changed, ABSENT)
    assert server.read("a") == other
    assert len(chunk_puts(server)) == CHUNKS


def test_content_without_a_hash_is_not_resumed(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.faults.add("PUT", "*/00007", status=502)
    unknown = UPLOAD._replace(sha256=None)
    with pytest.raises(UnavailableError):
        cloud.save_with("a", unknown, ABSENT)
    assert unfinished(server) == 0
    cloud.save_with("a", unknown, ABSENT)
    assert server.read("a") == CONTENT


@pytest.mark.parametrize(
    ("status", "kept"),
    [(500, True), (502, True), (503, True), (423, True), (507, False), (413, False), (403, False)],
)
def test_chunks_stay_only_where_a_later_attempt_can_use_them(
    server: NextcloudDouble, cloud: NextcloudBackend, status: int, *, kept: bool
) -> None:
    server.faults.add("PUT", "*/00003", status=status, times=None)
    with pytest.raises(StorageError):
        cloud.save_with("a", UPLOAD, ABSENT)
    assert unfinished(server) == (1 if kept else 0)
    assert server.tree() == {}


def test_content_that_changed_is_never_put_together(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.write("a", b"old")
    for wrong in (
        UPLOAD._replace(sha256="0" * 64),
        UPLOAD._replace(size=len(CONTENT) + 1),
        UPLOAD._replace(size=len(CONTENT) - 1),
    ):
        with pytest.raises(IntegrityError):
            cloud.save_with("a", wrong, ANYTHING)
    assert count(server, "MOVE") == 0
    assert server.tree() == {"a": b"old"}
    assert unfinished(server) == 0


def test_chunks_of_a_cut_attempt_that_are_wrong_are_found_out(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    """A file changed while it was read, and the process was killed before it could say so."""
    server.faults.add("PUT", "*/00007", status=502)
    with pytest.raises(UnavailableError):
        cloud.save_with("a", UPLOAD, ABSENT)
    (folder,) = (server.files.base / "uploads").iterdir()
    (folder / "00003").write_bytes(b"x" * CHUNK)
    with pytest.raises(IntegrityError, match="stored other bytes"):
        cloud.save_with("a", UPLOAD, ABSENT)
    assert cloud.save_with("a", UPLOAD, ANYTHING).sha256 == SHA256


def test_a_merge_that_goes_on_behind_a_504(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    first = cloud.save_with("a", UPLOAD._replace(modified_ns=TIME - 10**9), ABSENT)
    server.chunk_move_504 = 0.4
    server.requests.clear()
    second = cloud.save_with("a", UPLOAD, Precondition(etag=first.etag))
    assert (second.sha256, second.modified_ns) == (SHA256, TIME)
    assert second.file_id == first.file_id
    assert count(server, "MOVE") == 1
    assert unfinished(server) == 0


def test_a_merge_that_takes_too_long_is_unknown_and_found_later(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.chunk_move_504 = 3.0
    with pytest.raises(UnavailableError, match="504"):
        cloud.save_with("a", UPLOAD, ABSENT)
    assert count(server, "MOVE") == 1
    server.wait_for_merges()
    assert cloud.content_sha256("a") == SHA256


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_move_without_an_answer(
    server: NextcloudDouble, cloud: NextcloudBackend, cut: Cut
) -> None:
    server.write("a", b"old")
    server.faults.add("MOVE", "*/.file", cut=cut)
    if cut == "after":
        assert cloud.save_with("a", UPLOAD, ANYTHING).sha256 == SHA256
    else:
        with pytest.raises(UnavailableError):
            cloud.save_with("a", UPLOAD, ANYTHING)
        assert server.read("a") == b"old"
        server.requests.clear()
        cloud.save_with("a", UPLOAD, ANYTHING)
        assert chunk_puts(server) == [], "all chunks were there"
    assert server.read("a") == CONTENT
    assert unfinished(server) == 0


def test_a_server_that_goes_into_maintenance_during_a_merge_leaves_the_outcome_unknown(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.faults.add("MOVE", "*/.file", status=504, effect=True)
    server.faults.add("PROPFIND", "uploads/*", status=503, times=None)
    with pytest.raises(UnavailableError) as caught:
        cloud.save_with("a", UPLOAD, ABSENT)
    assert not isinstance(caught.value, MaintenanceError)
    assert "504" in str(caught.value)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_an_error_after_the_merge_does_not_say_that_nothing_happened(
    server: NextcloudDouble, cloud: NextcloudBackend, status: int
) -> None:
    server.faults.add("PATCH", "a", status=status)
    with pytest.raises(StorageError, match="it was written") as caught:
        cloud.save_with("a", UPLOAD, ABSENT)
    assert type(caught.value) in {UnavailableError, BusyError}
    assert server.read("a") == CONTENT


def test_a_locked_target(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.write("a", b"old")
    with server.locked("a"):
        started = time.monotonic()
        with pytest.raises(LockedError):
            cloud.save_with("a", UPLOAD, ANYTHING)
        assert time.monotonic() - started < 5
    assert server.read("a") == b"old"
    server.requests.clear()
    cloud.save_with("a", UPLOAD, ANYTHING)
    assert chunk_puts(server) == []
    assert server.read("a") == CONTENT


@pytest.mark.parametrize("expect", [ABSENT, Precondition(etag='"other"')])
def test_a_target_that_is_not_as_expected_costs_one_look(
    server: NextcloudDouble, cloud: NextcloudBackend, expect: Precondition
) -> None:
    server.write("a", b"theirs")
    error = AlreadyExistsError if expect is ABSENT else PreconditionFailedError
    with pytest.raises(error):
        cloud.save_with("a", UPLOAD, expect)
    assert [request.method for request in server.requests] == ["PROPFIND"]
    assert server.tree() == {"a": b"theirs"}


def test_a_target_that_changes_while_the_chunks_are_sent(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    state = cloud.save_with("a", UPLOAD, ABSENT)

    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if not self.tell():
                server.write("a", b"theirs", mtime=1_600_000_000)
            return super().read(size)

    upload = UPLOAD._replace(open=lambda: cast("io.BytesIO", Interrupted(CONTENT)))
    with pytest.raises(PreconditionFailedError):
        cloud.save_with("a", upload, Precondition(etag=state.etag))
    assert server.tree() == {"a": b"theirs"}
    assert unfinished(server) == 0


def test_a_server_without_the_hash_of_what_is_stored_is_read_back(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.faults.add("PATCH", "*", status=501, times=None)
    assert cloud.save_with("a", UPLOAD, ABSENT).sha256 == SHA256
    assert count(server, "GET") == 1


def test_a_very_large_file_has_not_too_many_chunks(cloud: NextcloudBackend) -> None:
    chunks = cloud._saves._chunked._chunks
    size = chunks_module.MOST_CHUNKS * CHUNK * 3 + 1
    session = chunks.session("a", Upload(io.BytesIO, size, None, SHA256))
    assert len(session.sizes) <= chunks_module.MOST_CHUNKS
    assert sum(session.sizes) == size


def test_the_password_is_no_part_of_an_upload(server: NextcloudDouble) -> None:
    with backend(server) as one:
        session = one._saves._chunked._chunks.session("a/ü", UPLOAD)
        again = one._saves._chunked._chunks.session("a/ü", UPLOAD)
        other = one._saves._chunked._chunks.session("b", UPLOAD)
    assert session.path == again.path != other.path
    assert session.path.isascii()
