"""What goes out is what was announced, or the last of it never goes."""

from __future__ import annotations

import hashlib
import io
from typing import IO, cast

import pytest

from paperfleet.errors import IntegrityError
from paperfleet.model import Upload
from paperfleet.storage.dav.content import PIECE, Outgoing, content_type, upload_of

SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 17]


def content(size: int) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def outgoing(data: bytes, *, size: int | None = None, sha256: str | None = None) -> Outgoing:
    upload = Upload(lambda: io.BytesIO(data), len(data) if size is None else size, None, sha256)
    return Outgoing(upload, name="a", storage="s")


def sent_before_failing(body: Outgoing) -> int:
    """Return how many bytes went out before the ``IntegrityError`` that must come."""
    sent: list[bytes] = []
    with pytest.raises(IntegrityError):
        sent.extend(body.pieces())
    return sum(map(len, sent))


@pytest.mark.parametrize("size", SIZES)
def test_all_of_it_as_often_as_wanted(size: int) -> None:
    data = content(size)
    sha256 = hashlib.sha256(data).hexdigest()
    body = outgoing(data, sha256=sha256)
    for _ in range(2):
        assert b"".join(body.pieces()) == data
        assert body.sha256 == sha256
    assert body.whole() == data


@pytest.mark.parametrize("size", SIZES)
def test_another_content_never_goes_out_whole(size: int) -> None:
    assert sent_before_failing(outgoing(content(size), sha256="0" * 64)) < max(size, 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("announced", [-1, 1, PIECE])
def test_another_size_never_goes_out_whole(size: int, announced: int) -> None:
    if size + announced < 0:
        pytest.skip("there is no negative size")
    body = outgoing(content(size), size=size + announced)
    assert sent_before_failing(body) < max(size + announced, 1)


def test_a_source_that_gives_little_at_a_time() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 1000))

    data = content(2 * PIECE + 5)
    body = Outgoing(Upload(lambda: Slow(data), len(data)), name="a", storage="s")
    assert b"".join(body.pieces()) == data


def test_the_source_is_closed_also_after_an_error() -> None:
    opened: list[io.BytesIO] = []

    def source() -> IO[bytes]:
        opened.append(io.BytesIO(b"content"))
        return opened[-1]

    body = Outgoing(Upload(source, 7, None, "0" * 64), name="a", storage="s")
    with pytest.raises(IntegrityError):
        body.whole()
    unread = body.pieces()
    unread.close()  # type: ignore[attr-defined]  # a generator
    assert all(stream.closed for stream in opened)


def test_upload_of_the_rest_of_a_stream() -> None:
    stream = io.BytesIO(b"read already, the rest")
    stream.seek(14)
    with upload_of(stream) as upload:
        assert upload.size == 8
        for _ in range(2):
            with upload.open() as again:
                assert again.read() == b"the rest"
    assert not stream.closed


def test_upload_of_a_stream_that_cannot_seek() -> None:
    class OneWay(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    data = content(3 * PIECE + 1)
    with upload_of(cast("IO[bytes]", OneWay(data))) as upload:
        assert upload.size == len(data)
        for _ in range(2):
            assert upload.open().read() == data


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.pdf", "application/pdf"),
        ("a.PDF", "application/pdf"),
        ("a", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_content_type(name: str, expected: str) -> None:
    assert content_type(name) == expected
