"""How files come to a Nextcloud: requests, proofs, history, faults in the middle."""

from __future__ import annotations

import hashlib
import io
import random
import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double

from paperfleet.errors import (
    AlreadyExistsError,
    BusyError,
    CredentialsError,
    FileAccessError,
    IntegrityError,
    LockedError,
    MaintenanceError,
    NameRefusedError,
    NotAStorageError,
    PreconditionFailedError,
    QuotaExceededError,
    StorageError,
    TooLargeError,
    UnavailableError,
)
from paperfleet.model import ABSENT, ANYTHING, Precondition, Upload
from paperfleet.secret import Secret
from paperfleet.storage.dav import client as client_module
from paperfleet.storage.nextcloud.backend import NextcloudBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

SECOND = 10**9
TIME = 1_500_000_000 * SECOND
LARGE = random.Random(3).randbytes(1_300_000)  # noqa: S311 (test data, no secret)


@pytest.fixture
def server() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as double:
        double.make_folder("Archiv ä")
        double.requests.clear()
        yield double


@pytest.fixture
def cloud(server: NextcloudDouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[NextcloudBackend]:
    monkeypatch.setattr(client_module, "UNLOCKING", (0.01,))
    with backend(server) as storage:
        yield storage


def backend(server: NextcloudDouble, timeout: float = 10) -> NextcloudBackend:
    return NextcloudBackend(
        server.url + "Archiv%20%C3%A4",
        username=server.user,
        password=Secret(server.password),
        timeout=timeout,
    )


def upload(content: bytes, modified_ns: int | None = TIME) -> Upload:
    sha256 = hashlib.sha256(content).hexdigest()
    return Upload(lambda: io.BytesIO(content), len(content), modified_ns, sha256)


def methods(server: NextcloudDouble) -> list[str]:
    return [f"{request.method} {request.status}" for request in server.requests]


def content(server: NextcloudDouble, name: str) -> bytes:
    return server.read(f"Archiv ä/{name}")


def files(server: NextcloudDouble) -> list[str]:
    return sorted(server.tree())


def test_a_new_file_costs_one_request(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    saved = cloud.save_with("a.pdf", upload(b"new"), ABSENT)
    assert methods(server) == ["PUT 201"]
    assert saved == cloud.stat("a.pdf")
    assert saved.modified_ns == TIME
    assert saved.file_id == str(server.file_id("Archiv ä/a.pdf"))
    sha256 = hashlib.sha256(b"new").hexdigest()
    assert server.checksum("Archiv ä/a.pdf") == f"SHA256:{sha256}"


def test_a_small_file_is_replaced_by_one_request_and_keeps_its_history(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    first = cloud.save_with("a.pdf", upload(b"old"), ABSENT)
    server.requests.clear()
    second = cloud.save_with("a.pdf", upload(b"new"), Precondition(etag=first.etag))
    assert methods(server) == ["PUT 204"]
    assert second.file_id == first.file_id
    assert server.versions("Archiv ä/a.pdf") == [b"old"]


def test_a_large_file_is_replaced_as_a_whole_and_keeps_its_history(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    first = cloud.save_with("a.pdf", upload(b"old"), ABSENT)
    server.requests.clear()
    second = cloud.save_with("a.pdf", upload(LARGE), Precondition(etag=first.etag))
    assert [method.split()[0] for method in methods(server)] == [
        "PROPFIND",
        "PROPFIND",
        "MKCOL",
        "PUT",
        "PROPFIND",
        "MOVE",
        "PATCH",
    ]
    assert second.file_id == first.file_id
    assert second.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert server.versions("Archiv ä/a.pdf") == [b"old"]
    assert content(server, "a.pdf") == LARGE


def test_a_large_new_file_below_the_threshold_is_one_put(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    cloud.save_with("a.pdf", upload(LARGE), ABSENT)
    assert methods(server) == ["PUT 201"]


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_a_state_that_is_not_the_expected_one(
    server: NextcloudDouble, cloud: NextcloudBackend, size: int
) -> None:
    server.write("Archiv ä/a.pdf", b"theirs")
    for expect, error in (
        (ABSENT, AlreadyExistsError),
        (Precondition(etag='"other"'), PreconditionFailedError),
    ):
        with pytest.raises(error):
            cloud.save_with("a.pdf", upload(LARGE[:size]), expect)
    with pytest.raises(PreconditionFailedError):
        cloud.save_with("missing", upload(LARGE[:size]), Precondition(exists=True))
    assert server.tree() == {"Archiv ä/a.pdf": b"theirs"}


def test_times_that_nextcloud_would_choke_on_are_not_sent(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    for number, modified_ns in enumerate((0, -TIME, 86_400 * SECOND, None)):
        saved = cloud.save_with(f"{number}", upload(b"x", modified_ns), ABSENT)
        assert saved.modified_ns is None
    assert methods(server) == ["PUT 201"] * 4


def test_a_name_in_nfd_is_one_in_nfc(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    decomposed = unicodedata.normalize("NFD", "Café/é.pdf")
    saved = cloud.save_with(decomposed, upload(b"x"), ABSENT)
    assert saved.name == "Café/é.pdf"
    assert cloud.exists(decomposed)
    cloud.delete(decomposed)
    assert files(server) == []


@pytest.mark.parametrize("letters", [228, 250])
def test_a_long_name_comes_under_a_short_one(
    server: NextcloudDouble, cloud: NextcloudBackend, letters: int
) -> None:
    name = "folder/" + "x" * letters
    first = cloud.save_with(name, upload(b"old"), ABSENT)
    assert content(server, name) == b"old"
    second = cloud.save_with(name, upload(b"new"), Precondition(etag=first.etag))
    assert content(server, name) == b"new"
    assert second.file_id == first.file_id
    assert files(server) == [f"Archiv ä/{name}"]


def test_a_long_name_without_the_endpoint_for_batches(server: NextcloudDouble) -> None:
    server.state.bulk = False
    name = "x" * 250
    with backend(server) as cloud:
        cloud.save_with(name, upload(b"old"), ABSENT)
        cloud.save_with(name, upload(b"new"), ANYTHING)
        with pytest.raises(AlreadyExistsError):
            cloud.save_with(name, upload(b"other"), ABSENT)
    assert content(server, name) == b"new"
    assert files(server) == [f"Archiv ä/{name}"]


@pytest.mark.parametrize(
    "name", ["y" * 251, ".htaccess", "a\\b", "a\nb", "x.part", "\udcff", "folder/" + "ü" * 126]
)
def test_a_refused_name_costs_nothing(
    server: NextcloudDouble, cloud: NextcloudBackend, name: str
) -> None:
    with pytest.raises(NameRefusedError):
        cloud.save_with(name, upload(b"x"), ABSENT)
    assert len(server.requests) == 0


def test_the_folder_of_the_backend_is_made_when_only_it_is_missing(
    server: NextcloudDouble,
) -> None:
    server.delete("Archiv ä")
    with backend(server) as cloud:
        assert list(cloud.list_files()) == []
        cloud.save_with("a/b/c", upload(b"x"), ABSENT)
    assert files(server) == ["Archiv ä/a/b/c"]


def test_nothing_is_made_when_more_is_missing(server: NextcloudDouble) -> None:
    storage = NextcloudBackend(
        server.url + "no/such/place", username=server.user, password=Secret(server.password)
    )
    with storage:
        for call in (
            lambda: storage.save_with("a", upload(b"x"), ABSENT),
            lambda: list(storage.list_files()),
        ):
            with pytest.raises(NotAStorageError):
                call()
    assert server.tree() == {}


@pytest.mark.parametrize("size", [5, len(LARGE)])
@pytest.mark.parametrize("old", [None, b"old"])
def test_content_that_changed_while_it_was_read_is_never_seen(
    server: NextcloudDouble, cloud: NextcloudBackend, size: int, old: bytes | None
) -> None:
    if old is not None:
        server.write("Archiv ä/a.pdf", old)
    wrong = upload(LARGE[:size])._replace(sha256="0" * 64)
    with pytest.raises(IntegrityError, match="changed while"):
        cloud.save_with("a.pdf", wrong, ANYTHING)
    assert server.tree() == ({} if old is None else {"Archiv ä/a.pdf": old})


def test_a_source_that_breaks_leaves_nothing(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 700_000:
                raise ArithmeticError("of no kind that a storage knows")
            return super().read(size)

    broken = Upload(lambda: Broken(LARGE), len(LARGE))
    with pytest.raises(ArithmeticError):
        cloud.save_with("a.pdf", broken, ABSENT)
    assert server.tree() == {}


def test_bytes_that_arrive_damaged_are_noticed_and_withdrawn(
    server: NextcloudDouble, cloud: NextcloudBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hashlib.sha256

    class OneOff:
        """A hash that differs from the right one: as if the bytes had been changed on the way."""

        def __init__(self, data: bytes = b"") -> None:
            self._digest = real(data + b"!")

        def update(self, data: bytes) -> None:
            self._digest.update(data)

        def hexdigest(self) -> str:
            return self._digest.hexdigest()

    monkeypatch.setattr("paperfleet.storage.dav.content.hashlib.sha256", OneOff)
    with pytest.raises(IntegrityError, match="other bytes"):
        cloud.save_with("a.pdf", Upload(lambda: io.BytesIO(b"x"), 1), ABSENT)
    assert server.tree() == {}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, CredentialsError),
        (403, FileAccessError),
        (413, TooLargeError),
        (415, NameRefusedError),
        (423, LockedError),
        (429, BusyError),
        (500, BusyError),
        (501, NotAStorageError),
        (502, BusyError),
        (503, BusyError),
        (504, BusyError),
        (507, QuotaExceededError),
    ],
)
def test_refusals(
    server: NextcloudDouble,
    cloud: NextcloudBackend,
    status: int,
    expected: type[StorageError],
) -> None:
    server.faults.add("PUT", "*a.pdf", status=status, times=None, headers={"Retry-After": "12"})
    with pytest.raises(StorageError) as caught:
        cloud.save_with("a.pdf", upload(b"x"), ABSENT)
    assert type(caught.value) is expected
    assert caught.value.retry_after == 12
    assert server.tree() == {}


def test_a_proxy_that_takes_no_large_body_gets_chunks(server: NextcloudDouble) -> None:
    server.faults.add("PUT", "Archiv ä/*", status=413, times=None)
    storage = NextcloudBackend(
        server.url + "Archiv%20%C3%A4",
        username=server.user,
        password=Secret(server.password),
        chunk_size=500_000,
    )
    with storage:
        for name in ("a.pdf", "b.pdf"):
            storage.save_with(name, upload(LARGE), ABSENT)
        with pytest.raises(TooLargeError):
            storage.save_with("c.pdf", upload(LARGE[:500_000]), ABSENT)
    assert server.tree() == {"Archiv ä/a.pdf": LARGE, "Archiv ä/b.pdf": LARGE}
    refused = [request.path for request in server.requests if request.status == 413]
    assert refused == ["Archiv ä/a.pdf", "Archiv ä/c.pdf"], "it is remembered"


def test_a_quota(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.quota = 1000
    with pytest.raises(QuotaExceededError):
        cloud.save_with("a.pdf", upload(LARGE), ABSENT)
    server.write("Archiv ä/b.pdf", b"old")
    with pytest.raises(QuotaExceededError):
        cloud.save_with("b.pdf", upload(LARGE), ANYTHING)
    assert server.tree() == {"Archiv ä/b.pdf": b"old"}


def test_maintenance(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.maintenance = True
    with pytest.raises(MaintenanceError):
        cloud.save_with("a.pdf", upload(b"x"), ABSENT)
    server.maintenance = False
    cloud.save_with("a.pdf", upload(b"x"), ABSENT)


def test_a_disabled_account_is_a_matter_of_the_login(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    server.login.disabled = True
    with pytest.raises(CredentialsError, match="disabled"):
        cloud.save_with("a.pdf", upload(b"x"), ABSENT)


def test_an_untrusted_domain(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.state.untrusted = True
    for call in (
        lambda: cloud.save_with("a.pdf", upload(b"x"), ABSENT),
        cloud.folder_etag,
        lambda: list(cloud.list_files()),
    ):
        with pytest.raises(NotAStorageError, match="trusted_domains"):
            call()


def test_a_lock_that_a_dead_worker_left(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    server.write("Archiv ä/a.pdf", b"old")
    with server.locked("Archiv ä/a.pdf"):
        for call in (
            lambda: cloud.save_with("a.pdf", upload(b"new"), ANYTHING),
            lambda: cloud.move("a.pdf", "b.pdf"),
        ):
            with pytest.raises(LockedError):
                call()
    assert server.tree() == {"Archiv ä/a.pdf": b"old"}


@pytest.mark.parametrize("cut", ["before", "middle", "after"])
def test_a_new_file_whose_upload_is_cut(
    server: NextcloudDouble, cloud: NextcloudBackend, cut: str
) -> None:
    server.faults.add("PUT", "*a.pdf", cut=cut)  # type: ignore[arg-type]  # a parameter
    with pytest.raises(UnavailableError):
        cloud.save_with("a.pdf", upload(LARGE), ABSENT)
    expected = {"Archiv ä/a.pdf": LARGE} if cut == "after" else {}
    server.wait_until_idle()
    assert server.tree() == expected


def test_an_overwriting_put_that_is_cut_can_be_told_by_the_hash_of_what_is_stored(
    server: NextcloudDouble, cloud: NextcloudBackend
) -> None:
    old, new = LARGE[:1000], LARGE[1000:2000]
    cloud.save_with("a.pdf", upload(old), ABSENT)
    before = cloud.stat("a.pdf")
    server.faults.add("PUT", "*a.pdf", cut="middle")
    with pytest.raises(UnavailableError):
        cloud.save_with("a.pdf", upload(new), Precondition(etag=before.etag))
    server.wait_until_idle()
    assert cloud.stat("a.pdf") == before, "the listing shows nothing"
    assert cloud.content_sha256("a.pdf") != before.sha256
    assert cloud.content_sha256("a.pdf") not in {
        hashlib.sha256(old).hexdigest(),
        hashlib.sha256(new).hexdigest(),
    }
    cloud.save_with("a.pdf", upload(new), ANYTHING)
    assert content(server, "a.pdf") == new


def test_a_server_that_is_slow_is_given_up(server: NextcloudDouble) -> None:
    server.faults.add("PUT", "*a.pdf", delay=5)
    with (
        backend(server, timeout=0.3) as cloud,
        pytest.raises(UnavailableError, match="within the time"),
    ):
        cloud.save_with("a.pdf", upload(b"x"), ABSENT)


def test_a_server_that_is_away(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    with server.offline(), pytest.raises(UnavailableError, match="nothing listens"):
        cloud.save_with("a.pdf", upload(b"x"), ABSENT)
    cloud.save_with("a.pdf", upload(b"x"), ABSENT)
    assert content(server, "a.pdf") == b"x"


def test_save_reads_any_stream(server: NextcloudDouble, cloud: NextcloudBackend) -> None:
    class OneWay(io.BytesIO):
        def seekable(self) -> bool:
            return False

    stream: IO[bytes] = OneWay(LARGE)
    assert cloud.save("a.pdf", stream) == "a.pdf"
    assert content(server, "a.pdf") == LARGE
