"""A store whose etag of an upload in parts is the MD5 of all (`rclone serve s3`), not S3's own."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.s3 import S3Bypass
from tests.servers.s3_faults import s3_faults

from paperfleet import errors
from paperfleet.model import ANYTHING, Upload
from paperfleet.storage.bucket import proving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.s3 import S3Server
    from tests.servers.s3_faults import S3Faults

    from paperfleet.storage.bucket.backends import S3CompatibleBackend

pytestmark = pytest.mark.skipif(rclone_binary() is None, reason="rclone is not installed")

PART = 5 << 20
LARGE = bytes(range(256)) * (12 << 12)
SHA256 = hashlib.sha256(LARGE).hexdigest()


@pytest.fixture(scope="module")
def real() -> Iterator[S3Server]:
    with rclone_s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def proxied(real: S3Server) -> Iterator[tuple[S3Server, S3Faults]]:
    with s3_faults(real) as pair:
        yield pair


@pytest.fixture
def faults(proxied: tuple[S3Server, S3Faults]) -> S3Faults:
    proxied[1].heal()
    return proxied[1]


@pytest.fixture
def bypass(real: S3Server, location: str) -> S3Bypass:
    return S3Bypass(real, location)


@pytest.fixture
def backend(proxied: tuple[S3Server, S3Faults], location: str) -> S3CompatibleBackend:
    return proxied[0].backend(location=location, retries=0, part_size=PART)


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of a few MiB count as large."""
    monkeypatch.setattr(proving, "TRIED_FROM", len(LARGE))


def upload() -> Upload:
    return Upload(lambda: io.BytesIO(LARGE), len(LARGE), None, SHA256)


def reads(faults: S3Faults, name: str) -> int:
    return sum(method == "GET" and name in path for method, path in faults.requests)


@pytest.mark.usefixtures("tries")
@pytest.mark.parametrize("conditional", [False, True])
def test_a_large_file_is_proven_and_not_read_back(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults, *, conditional: bool
) -> None:
    if conditional:
        assert backend.save_with("large.pdf", upload(), ANYTHING).sha256 == SHA256
    else:
        backend.save("large.pdf", io.BytesIO(LARGE))
    assert reads(faults, "large.pdf") == 0
    assert backend.stat("large.pdf").sha256 == SHA256
    assert bypass.read("large.pdf") == LARGE
    assert bypass.names() == {"large.pdf"}


def test_the_first_file_tells_what_the_etags_are(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    backend.save("first.pdf", io.BytesIO(LARGE))
    assert reads(faults, "first.pdf") > 0
    backend.save("second.pdf", io.BytesIO(LARGE))
    assert reads(faults, "second.pdf") == 0
    assert backend.stat("second.pdf").sha256 == SHA256
    backend.save("small.pdf", io.BytesIO(b"small"))
    assert backend.stat("small.pdf").sha256 == hashlib.sha256(b"small").hexdigest()
    assert bypass.names() == {"first.pdf", "second.pdf", "small.pdf"}


@pytest.mark.usefixtures("tries")
def test_other_bytes_that_arrive_are_noticed(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    backend.save("known.pdf", io.BytesIO(LARGE))
    faults.fail("damage upload", "PUT", "large.pdf")
    with pytest.raises(errors.IntegrityError):
        backend.save("large.pdf", io.BytesIO(LARGE))
    assert faults.unused() == []
    assert bypass.names() == {"known.pdf"}


@pytest.mark.usefixtures("tries")
def test_a_store_that_refuses_the_trial_is_saved_to_all_the_same(
    backend: S3CompatibleBackend, bypass: S3Bypass, faults: S3Faults
) -> None:
    faults.fail("answer", "POST", "probe-", status=403, code="AccessDenied")
    backend.save("large.pdf", io.BytesIO(LARGE))
    assert faults.unused() == []
    assert bypass.read("large.pdf") == LARGE
    assert reads(faults, "large.pdf") > 0
