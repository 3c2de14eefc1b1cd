"""Open documents: every mode of ``open``, and what happens when the storage fails."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, Any

import pytest
from tests.paperless.inside.stores import store

from paperfleet.errors import QuotaExceededError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from pathlib import Path

TEXT = "erste Zeile\r\nzweite ä\n"


@pytest.fixture
def document(originals: Path, stored: MutableMapping[str, bytes]) -> Path:
    stored["originals/a.txt"] = TEXT.encode()
    return originals / "a.txt"


class Stop(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("buffering", [-1, 0, 1, 8192])
def test_reading_by_bytes(document: Path, buffering: int) -> None:
    with document.open("rb", buffering=buffering if buffering != 1 else -1) as stream:
        assert stream.readable()
        assert stream.seekable()
        assert not stream.writable()
        assert stream.read(5) == b"erste"
        assert stream.tell() == 5
        assert stream.seek(-3, io.SEEK_END) == len(TEXT.encode()) - 3
        assert stream.read() == "ä\n".encode()
        assert stream.read() == b""
        stream.seek(0)
        assert stream.readline() == b"erste Zeile\r\n"
        assert list(stream) == ["zweite ä\n".encode()]
        stream.seek(0)
        buffer = bytearray(5)
        assert stream.readinto(buffer) == 5  # type: ignore[attr-defined]
        assert bytes(buffer) == b"erste"
    with pytest.raises(ValueError, match="closed"):
        stream.read()


def test_a_stream_has_the_name_that_a_response_asks_for(document: Path) -> None:
    with document.open("rb") as stream:
        assert os.path.basename(stream.name) == "a.txt"  # noqa: PTH119  # as Django does


@pytest.mark.parametrize("newline", [None, "", "\n", "\r\n"])
def test_text_is_as_open_has_it(document: Path, newline: str | None, tmp_path: Path) -> None:
    local = tmp_path / "a.txt"
    local.write_bytes(TEXT.encode())
    for encoding, errors in (("utf-8", None), ("ascii", "replace")):
        with (
            document.open(encoding=encoding, errors=errors, newline=newline) as ours,
            local.open(encoding=encoding, errors=errors, newline=newline) as theirs,
        ):
            assert ours.read(3) == theirs.read(3)
            assert ours.readlines() == theirs.readlines()
    with document.open(encoding="ascii") as ours, pytest.raises(UnicodeDecodeError):
        ours.read()


def test_reading_streams_and_fetches_once(document: Path) -> None:
    store.calls.clear()
    with document.open("rb") as stream:
        while stream.read(4):
            pass
    assert store.count("open") == 1
    assert len(store.calls) == 1


@pytest.mark.parametrize("mode", ["w", "a", "x", "w+", "a+", "r+", "wb", "ab", "r+b"])
def test_what_is_written_is_seen_when_it_is_closed(
    mode: str, originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    name = "new.txt" if "x" in mode else "a.txt"
    stored["originals/a.txt"] = b"before"
    stream = (originals / name).open(mode)
    stream.write(b"NEW" if "b" in mode else "NEW")
    stream.flush()
    assert stored.get(f"originals/{name}") == (None if "x" in mode else b"before")
    stream.close()
    wanted = {"w": b"NEW", "x": b"NEW", "a": b"beforeNEW", "r": b"NEWore"}
    assert stored[f"originals/{name}"] == wanted[mode[0]]
    stream.close()


@pytest.mark.parametrize("mode", ["w+", "r+", "a+", "x+"])
def test_reading_and_writing_at_once(
    mode: str, originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    name = "new.txt" if "x" in mode else "a.txt"
    stored["originals/a.txt"] = b"before"
    with (originals / name).open(mode) as stream:
        stream.write("Wort")
        stream.seek(0)
        assert stream.read().replace("before", "") in {"Wort", "Wortre"}
        stream.seek(0)
        stream.truncate()
        stream.write("kurz")
    assert stored[f"originals/{name}"] == b"kurz"


def _write_and_stop(stream: IO[Any], mode: str) -> None:
    stream.write(b"NEW" if "b" in mode else "NEW")
    raise Stop


@pytest.mark.parametrize("mode", ["w", "a", "x", "w+", "wb", "ab"])
def test_an_exception_drops_what_was_written(
    mode: str, originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    name = "new.txt" if "x" in mode else "a.txt"
    stored["originals/a.txt"] = b"before"
    before = dict(stored)
    stream = (originals / name).open(mode)
    with pytest.raises(Stop), stream:
        _write_and_stop(stream, mode)
    assert dict(stored) == before
    assert stream.closed


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("error", [UnavailableError, QuotaExceededError])
def test_an_error_of_the_storage_surfaces_at_the_close(
    mode: str,
    error: type[UnavailableError],
    originals: Path,
    stored: MutableMapping[str, bytes],
) -> None:
    store.fail("save_with", error=error, times=None)
    stream = (originals / "a.txt").open(mode)
    stream.write(b"x" if "b" in mode else "x")
    with pytest.raises(OSError, match="a fault of the test") as caught:
        stream.close()
    assert isinstance(caught.value, error)
    assert stream.closed
    assert "originals/a.txt" not in stored
    store.heal()
    stream.close()
    assert "originals/a.txt" not in stored, "a second close must not save"


def test_a_failing_storage_leaves_what_was_there(
    document: Path, stored: MutableMapping[str, bytes]
) -> None:
    store.fail("save_with", times=None)
    with pytest.raises(OSError, match="a fault of the test"):
        document.write_text("x")
    assert stored["originals/a.txt"] == TEXT.encode()


def test_a_transient_fault_is_tried_again(
    originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    store.fail("save_with", times=1)
    (originals / "b.txt").write_bytes(b"x")
    assert stored["originals/b.txt"] == b"x"


def test_x_refuses_a_taken_name(document: Path, stored: MutableMapping[str, bytes]) -> None:
    with pytest.raises(FileExistsError):
        document.open("x")
    stream = document.with_name("late.txt").open("x")
    stored["originals/late.txt"] = b"somebody was quicker"
    stream.write("x")
    with pytest.raises(FileExistsError):
        stream.close()
    assert stored["originals/late.txt"] == b"somebody was quicker"


@pytest.mark.parametrize("mode", ["", "rw", "z", "r++", "rbt", "w+r", "U"])
def test_modes_that_open_refuses(document: Path, mode: str, tmp_path: Path) -> None:
    local = tmp_path / "a.txt"
    local.touch()
    for path in (document, local):
        with pytest.raises(ValueError, match=r"mode|exactly one"):
            path.open(mode)


def test_arguments_that_open_refuses(document: Path, tmp_path: Path) -> None:
    local = tmp_path / "a.txt"
    local.touch()
    for path in (document, local):
        with pytest.raises(ValueError, match="unbuffered"):
            path.open("r", buffering=0)
        for keywords in ({"encoding": "utf-8"}, {"errors": "strict"}, {"newline": ""}):
            with pytest.raises(ValueError, match="binary mode"):
                path.open("rb", **keywords)  # type: ignore[call-overload]


def test_a_large_document_passes_through(
    originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    content = os.urandom(5_000_000)
    with (originals / "large.pdf").open("wb") as stream:
        for start in range(0, len(content), 65_536):
            stream.write(content[start : start + 65_536])
    assert stored["originals/large.pdf"] == content
    assert (originals / "large.pdf").read_bytes() == content


def test_an_empty_document(originals: Path, stored: MutableMapping[str, bytes]) -> None:
    (originals / "empty.pdf").open("wb").close()
    assert stored["originals/empty.pdf"] == b""
    assert (originals / "empty.pdf").stat().st_size == 0


def test_a_stream_that_nobody_closed_saves_nothing_half(
    originals: Path, stored: MutableMapping[str, bytes]
) -> None:
    """As with a file, what was written is there when the object is gone."""
    stream = (originals / "a.txt").open("wb")
    stream.write(b"whole")
    del stream
    assert stored.get("originals/a.txt") in {None, b"whole"}
