"""What a store says of one key for a while stops that document alone; of itself, everything."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import BucketPlace
from tests.servers.moto_server import moto_server
from tests.servers.s3_faults import S3Faults, s3_faults

from paperfleet import errors
from paperfleet.mirror.events import Paused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Server

    from paperfleet.storage.bucket.backends import S3CompatibleBackend

SPOKEN = [(503, "SlowDown"), (429, "TooManyRequests"), (500, "InternalError"), (503, "")]
FOR_LONG = 1000


@pytest.fixture(scope="module")
def real() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def proxied(real: S3Server) -> Iterator[tuple[S3Server, S3Faults]]:
    with s3_faults(real) as proxied:
        yield proxied


@pytest.fixture
def faults(proxied: tuple[S3Server, S3Faults]) -> S3Faults:
    return proxied[1]


@pytest.fixture
def backend(proxied: tuple[S3Server, S3Faults]) -> S3CompatibleBackend:
    return proxied[0].backend(retries=0)


@pytest.mark.parametrize(("status", "code"), SPOKEN)
@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE"])
def test_what_is_said_of_one_key_is_about_its_document(
    backend: S3CompatibleBackend, faults: S3Faults, status: int, code: str, method: str
) -> None:
    calls = {"HEAD": backend.exists, "GET": backend.open, "DELETE": backend.delete}
    with backend:
        backend.save("a", io.BytesIO(b"bytes"))
        faults.fail("answer", method, "/a", status=status, code=code)
        with pytest.raises(errors.BusyError, match="answers for other names") as caught:
            calls[method]("a")
        assert caught.value.scope is errors.Scope.NAME
        assert caught.value.transient


def test_what_is_said_of_all_keys_is_about_the_store(
    backend: S3CompatibleBackend, faults: S3Faults
) -> None:
    faults.fail("answer", status=503, code="SlowDown", left=FOR_LONG)
    with backend, pytest.raises(errors.ThrottledError):
        backend.exists("a")


def test_two_keys_in_a_row_are_a_limit_of_the_store(
    backend: S3CompatibleBackend, faults: S3Faults
) -> None:
    faults.fail("answer", "HEAD", status=503, code="SlowDown", left=FOR_LONG)
    with backend:
        with pytest.raises(errors.BusyError):
            backend.exists("a")
        with pytest.raises(errors.ThrottledError):
            backend.exists("b")


def test_the_others_go_on_while_one_key_meets_a_refusal(
    proxied: tuple[S3Server, S3Faults], tmp_path: Path
) -> None:
    server, faults = proxied
    place = BucketPlace(server)
    rig = Rig(tmp_path, place)
    rig.write({"one.pdf": b"one"})
    rig.sync()
    faults.fail("answer", "PUT", "two.pdf", status=503, code="SlowDown", left=5)
    rig.write({"two.pdf": b"two", "three.pdf": b"three"})
    rig.sync()
    assert not rig.seen(Paused)
    assert place.tree() == {"one.pdf": b"one", "two.pdf": b"two", "three.pdf": b"three"}
