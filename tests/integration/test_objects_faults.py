"""What an object store's faults become, through real HTTP."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.s3 import S3Bypass
from tests.servers.s3_faults import s3_faults
from tests.wide import first_of

from paperfleet import errors
from paperfleet.model import ABSENT, ANYTHING, Precondition, Upload
from paperfleet.storage.wrappers.retrying import Retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.s3 import S3Server
    from tests.servers.s3_faults import S3Faults

    from paperfleet.storage.bucket.backends import S3CompatibleBackend

PART = 5 << 20
LARGE = bytes(range(256)) * (12 << 12)


@pytest.fixture(scope="module")
def real() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture(scope="module")
def proxied(real: S3Server) -> Iterator[tuple[S3Server, S3Faults]]:
    with s3_faults(real) as pair:
        yield pair


@pytest.fixture
def faults(proxied: tuple[S3Server, S3Faults]) -> Iterator[S3Faults]:
    proxied[1].heal()
    yield proxied[1]
    proxied[1].heal()


@pytest.fixture
def bypass(real: S3Server, location: str) -> S3Bypass:
    return S3Bypass(real, location)


@pytest.fixture
def backend(proxied: tuple[S3Server, S3Faults], location: str) -> S3CompatibleBackend:
    return proxied[0].backend(location=location, retries=0, part_size=PART)


@pytest.fixture
def patient(proxied: tuple[S3Server, S3Faults], location: str) -> S3CompatibleBackend:
    return proxied[0].backend(location=location, retries=3, part_size=PART)


def upload(data: bytes) -> Upload:
    return Upload(lambda: io.BytesIO(data), len(data), None, hashlib.sha256(data).hexdigest())


ANSWERS: list[tuple[int, str, type[errors.StorageError], str]] = [
    (404, "NoSuchBucket", errors.NotAStorageError, "no such bucket"),
    (403, "AccessDenied", errors.FileAccessError, "s3:PutObject"),
    (403, "InvalidAccessKeyId", errors.CredentialsError, "access key"),
    (403, "SignatureDoesNotMatch", errors.CredentialsError, "secret key"),
    (400, "ExpiredToken", errors.CredentialsError, "expired"),
    (403, "RequestTimeTooSkewed", errors.CredentialsError, "NTP"),
    (301, "PermanentRedirect", errors.NotAStorageError, "region_name"),
    (400, "AuthorizationHeaderMalformed", errors.NotAStorageError, "region eu-north-1"),
    (503, "SlowDown", errors.BusyError, "fewer"),
    (429, "TooManyRequests", errors.BusyError, "fewer"),
    (500, "InternalError", errors.BusyError, "failed"),
    (502, "", errors.BusyError, "failed"),
    (503, "ServiceUnavailable", errors.BusyError, "failed"),
    (400, "BadDigest", errors.IntegrityError, "other bytes"),
    (400, "XAmzContentSHA256Mismatch", errors.IntegrityError, "other bytes"),
    (400, "EntityTooLarge", errors.TooLargeError, "size"),
    (400, "KeyTooLongError", errors.NameRefusedError, "name"),
    (400, "InvalidURI", errors.NameRefusedError, "name"),
    (409, "ConditionalRequestConflict", errors.LockedError, "another request"),
    (507, "XMinioStorageFull", errors.QuotaExceededError, "full"),
    (501, "NotImplemented", errors.StorageError, "checksum_algorithm"),
    (405, "MethodNotAllowed", errors.NotAStorageError, "no object store"),
    (418, "Teapot", errors.StorageError, "418"),
]


@pytest.mark.parametrize(("status", "code", "kind", "words"), ANSWERS)
def test_answers(
    backend: S3CompatibleBackend,
    faults: S3Faults,
    status: int,
    code: str,
    kind: type[errors.StorageError],
    words: str,
) -> None:
    more = "<Region>eu-north-1</Region><AWSAccessKeyId>testing-key</AWSAccessKeyId>"
    faults.fail("answer", "PUT", status=status, code=code, more=more)
    with pytest.raises(errors.StorageError) as caught:
        backend.save("folder/a.pdf", io.BytesIO(b"bytes"))
    error = caught.value
    assert type(error) is kind
    assert words in str(error)
    assert "documents" in str(error)
    assert error.operation == "save"
    assert error.__cause__ is None
    for secret in ("testing-key", "testing-secret", "Signature="):
        assert secret not in str(error)


def test_a_bucket_that_vanishes(real: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperfleet.storage.bucket.client.CONFIRMED_FOR", 0.0)
    real.client.create_bucket(Bucket="vanishing")
    gone = real.backend(bucket_name="vanishing", location="")
    gone.save("a", io.BytesIO(b"bytes"))
    assert not gone.exists("b")
    real.client.delete_object(Bucket="vanishing", Key="a")
    real.client.delete_bucket(Bucket="vanishing")
    calls: list[Callable[[], object]] = [
        lambda: gone.exists("a"),
        lambda: gone.size("a"),
        lambda: gone.open("a"),
        lambda: gone.save("a", io.BytesIO(b"bytes")),
        lambda: gone.delete("a"),
        lambda: gone.move("a", "b"),
        lambda: list(gone.list_files()),
        lambda: list(gone.survey()),
    ]
    for call in calls:
        with pytest.raises(errors.NotAStorageError, match="no such bucket"):
            call()


def test_nothing_listens(real: S3Server) -> None:
    lonely = real.backend(endpoint_url="http://127.0.0.1:1", retries=0)
    with pytest.raises(errors.UnavailableError, match="refused"):
        lonely.exists("a")


def test_no_tls_there(real: S3Server) -> None:
    url = real.endpoint_url.replace("http:", "https:")
    with pytest.raises(errors.StorageError, match="TLS"):
        real.backend(endpoint_url=url, retries=0).exists("a")


SLOW = {"status": 503, "code": "SlowDown"}
STRIKES: list[tuple[str, dict[str, Any]]] = [
    ("answer", {"status": 500, "code": "InternalError"}),
    ("answer", SLOW),
    ("reset before", {}),
    ("reset after", {}),
]


@pytest.mark.parametrize(("kind", "more"), STRIKES)
@pytest.mark.parametrize("number", first_of(range(3)))
def test_retrying_around_every_operation(
    backend: S3CompatibleBackend,
    bypass: S3Bypass,
    faults: S3Faults,
    kind: Any,  # noqa: ANN401 (the proxy's own words)
    more: dict[str, Any],
    number: int,
) -> None:
    backend._probe.features()
    storage = Retrying(backend, tries=5, sleep=lambda _: None)

    def strike(method: str) -> None:
        faults.fail(kind, method, spare=number, **more)

    strike("PUT")
    for name in ("a", "b", "c"):
        storage.save(name, io.BytesIO(b"bytes"))
    strike("PUT")
    for name in ("d", "e", "f"):
        assert storage.save_with(name, upload(b"bytes"), ABSENT).size == 5
    strike("GET")
    for name in ("a", "b", "c"):
        assert storage.open(name).read() == b"bytes"
    strike("HEAD")
    for name in ("d", "e", "f"):
        assert storage.size(name) == 5
    strike("DELETE")
    for name in ("d", "e", "f"):
        storage.delete(name)
    assert list(storage.list_files()) == ["a", "b", "c"]
    assert {name: bypass.read(name) for name in bypass.names()} == dict.fromkeys("abc", b"bytes")


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
@pytest.mark.parametrize(("kind", "more"), STRIKES)
@pytest.mark.parametrize("number", first_of(range(4)))
def test_a_move_under_fire_loses_nothing(
    backend: S3CompatibleBackend,
    bypass: S3Bypass,
    faults: S3Faults,
    method: str,
    kind: Any,  # noqa: ANN401 (the proxy's own words)
    more: dict[str, Any],
    number: int,
) -> None:
    backend._probe.features()
    backend.save("old", io.BytesIO(b"document"))
    faults.fail(kind, method, spare=number, **more)
    try:
        backend.move("old", "new")
    except errors.StorageError:
        faults.heal()
        left = {name for name in bypass.names() if not name.startswith(".")}
        assert left <= {"old", "new"}
        assert {bypass.read(name) for name in left} == {b"document"}
        if "old" in left:
            backend.move("old", "new")
    faults.heal()
    backend.sweep(0)
    assert {name: bypass.read(name) for name in bypass.names()} == {"new": b"document"}


@pytest.mark.parametrize(
    "expect", [ABSENT, Precondition(exists=True), ANYTHING], ids=["absent", "there", "anything"]
)
def test_a_lost_answer_is_no_conflict(
    patient: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults, expect: Precondition
) -> None:
    patient._probe.features()
    if expect.exists:
        bypass.write("a", b"old")
        expect = Precondition(etag=patient.stat("a").etag)
    faults.fail("reset after", "PUT")
    assert patient.save_with("a", upload(b"bytes"), expect).size == 5
    assert bypass.read("a") == b"bytes"


def test_a_real_conflict_stays_one(patient: S3CompatibleBackend, bypass: S3Bypass) -> None:
    bypass.write("a", b"bytes")
    with pytest.raises(errors.AlreadyExistsError):
        patient.save_with("a", upload(b"bytes"), ABSENT)


@pytest.mark.parametrize("size", [5, len(LARGE)])
def test_other_bytes_arrive(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults, size: int
) -> None:
    faults.fail("damage upload", "PUT")
    with pytest.raises(errors.IntegrityError):
        backend.save("a", io.BytesIO(LARGE[:size]))
    faults.fail("damage upload", "PUT")
    storage = Retrying(backend, sleep=lambda _: None)
    storage.save_with("a", upload(LARGE[:size]), ANYTHING)
    assert bypass.read("a") == LARGE[:size]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_truncated_answers_are_taken_up_again(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults, at: int
) -> None:
    bypass.write("a", LARGE)
    faults.fail("truncate", "GET", spare=at)
    with backend.open("a") as stream:
        assert stream.read() == LARGE


def test_answers_that_always_end_early(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    bypass.write("a", LARGE)
    faults.fail("truncate", "GET", left=100)
    with backend.open("a") as stream, pytest.raises(errors.UnavailableError):
        stream.read()


def test_replaced_while_it_is_read(backend: S3CompatibleBackend, bypass: S3Bypass) -> None:
    bypass.write("a", LARGE)
    with backend.open("a") as stream:
        assert stream.read(1000) == LARGE[:1000]
        bypass.write("a", LARGE[::-1])
        with pytest.raises(errors.IntegrityError, match="replaced"):
            stream.read()


@pytest.mark.parametrize("kind", ["answer", "reset before"])
def test_a_failed_part_leaves_nothing(
    patient: S3CompatibleBackend,
    bypass: S3Bypass,
    faults: S3Faults,
    kind: Literal["answer", "reset before"],
) -> None:
    faults.fail(kind, "PUT", "partNumber=2", left=100, status=500, code="InternalError")
    with pytest.raises(errors.UnavailableError):
        patient.save("a", io.BytesIO(LARGE))
    assert bypass.uploads() == []
    assert bypass.names() == set()


def test_a_failed_part_is_sent_again(
    patient: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    faults.fail("answer", "PUT", "partNumber=2", left=2, status=500, code="InternalError")
    patient.save("a", io.BytesIO(LARGE))
    assert bypass.read("a") == LARGE


class SourceError(Exception):
    pass


class FailingSource(io.RawIOBase):
    """Content in parts that fails at its end."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 3 * PART

    def read(self, size: int = -1, /) -> bytes:  # noqa: ARG002 (less than asked for is fine)
        if not self._left:
            raise SourceError
        self._left -= 1 << 20
        return bytes(1 << 20)


def test_failing_content_leaves_no_parts(patient: S3CompatibleBackend, bypass: S3Bypass) -> None:
    # moto answers 500 to an abort while a part arrives: it takes a second try.
    bypass.write("a", b"old")
    source: Any = FailingSource()
    with pytest.raises(SourceError):
        patient.save("a", source)
    assert bypass.uploads() == []
    assert bypass.read("a") == b"old"


@pytest.mark.parametrize("expect", [ABSENT, Precondition(exists=True)])
def test_large_and_conditional(
    backend: S3CompatibleBackend, bypass: S3Bypass, expect: Precondition
) -> None:
    if expect.exists:
        bypass.write("a", b"old")
    saved = backend.save_with("a", upload(LARGE), expect)
    assert saved.size == len(LARGE)
    assert bypass.read("a") == LARGE
    assert bypass.names() == {"a"}
    with pytest.raises(errors.AlreadyExistsError):
        backend.save_with("a", upload(LARGE), ABSENT)
    assert bypass.names() == {"a"}


def test_content_that_changes_between_two_readings(
    patient: S3CompatibleBackend, bypass: S3Bypass
) -> None:
    turns = iter([LARGE, LARGE[:-1] + b"?"])
    changing = Upload(lambda: io.BytesIO(next(turns)), len(LARGE))
    with pytest.raises(errors.IntegrityError):
        patient.save_with("a", changing, ANYTHING)
    assert bypass.names() == set()
    assert bypass.uploads() == []


@pytest.mark.parametrize("size", [100, len(LARGE)])
def test_the_hash_is_known_without_reading(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults, size: int
) -> None:
    expected = hashlib.sha256(LARGE[:size]).hexdigest()
    backend.save("a", io.BytesIO(LARGE[:size]))
    faults.heal()
    assert backend.content_sha256("a") == backend.stat("a").sha256 == expected
    assert {method for method, _ in faults.requests} == {"HEAD"}
    forged = bypass.noted("a")
    bypass.write("a", b"theirs", Metadata=forged)
    assert backend.stat("a").sha256 is None
    assert backend.content_sha256("a") == hashlib.sha256(b"theirs").hexdigest()


def test_the_end_of_a_large_file_costs_little(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    size = 200_000_000
    bypass.write("a", bytes(size - 1024) + LARGE[:1024])
    with backend.open("a") as stream:
        stream.seek(-1024, io.SEEK_END)
        assert stream.read() == LARGE[:1024]
    assert faults.sent < size / 100


def test_a_zip_is_read_by_its_directory(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(60):
            archive.writestr(f"{number}.bin", LARGE[:1_000_000])
    bypass.write("a.zip", packed.getvalue())
    with backend.open("a.zip") as stream, zipfile.ZipFile(stream) as archive:
        assert archive.read("41.bin") == LARGE[:1_000_000]
    assert faults.sent < 5_000_000


def test_folders_made_by_a_console_are_no_files(
    backend: S3CompatibleBackend, bypass: S3Bypass
) -> None:
    for name in ("", "a/", "a/b", "a-c", "empty"):
        bypass.write(name, b"x" if name in {"a/b", "a-c"} else b"")
    assert list(backend.list_files()) == ["a-c", "a/b", "empty"]
    assert list(backend.list_files("a")) == ["a/b"]
    assert not backend.exists("a")


def test_a_key_that_is_no_name(backend: S3CompatibleBackend, bypass: S3Bypass) -> None:
    bypass.write("a//b", b"theirs")
    bypass.write("z", b"ours")
    assert list(backend.list_files()) == ["z"]
    assert {item.name: getattr(item, "reason", "") for item in backend.survey()} == {
        "a//b": "the name has an empty segment",
        "z": "",
    }
