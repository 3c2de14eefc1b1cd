"""Local copies for programs: shared by processes, evicted, safe against a crash in the middle."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.paperless.inside import stores
from tests.paperless.inside.stores import memory, store

from paperfleet.errors import UnavailableError
from paperfleet.paperless.documents import active, copyroom, files, localcopies, mounts

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    Stored = MutableMapping[str, bytes]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    before = active.scratch.copies, active.scratch.drafts
    active.scratch.use(tmp_path / "cache", 1000)
    yield tmp_path / "cache" / "copies"
    active.scratch.copies, active.scratch.drafts = before


def copied(path: Path) -> Path:
    return Path(os.fspath(path))


def test_a_copy_is_fetched_once_and_has_the_name(
    originals: Path, stored: Stored, cache: Path
) -> None:
    stored["originals/folder/ä 1.pdf"] = b"A"
    store.calls.clear()
    first, second = copied(originals / "folder/ä 1.pdf"), copied(originals / "folder/ä 1.pdf")
    assert first == second
    assert first.is_relative_to(cache)
    assert first.name == "ä 1.pdf"
    assert first.read_bytes() == b"A"
    assert store.count("open") == 1


def test_a_new_version_has_a_new_copy(originals: Path, stored: Stored, cache: Path) -> None:  # noqa: ARG001
    path = originals / "a.pdf"
    stored["originals/a.pdf"] = b"old"
    old = copied(path)
    stored["originals/a.pdf"] = b"new"
    new = copied(path)
    assert (old.read_bytes(), new.read_bytes()) == (b"old", b"new")


def test_a_copy_cannot_be_written(originals: Path, stored: Stored, cache: Path) -> None:  # noqa: ARG001
    stored["originals/a.pdf"] = b"A"
    copy = copied(originals / "a.pdf")
    assert copy.stat().st_mode & 0o222 == 0
    with pytest.raises(OSError, match="would be lost"):
        copy.open("ab")
    assert stored["originals/a.pdf"] == b"A"


def test_long_names_keep_their_ending(originals: Path, stored: Stored, cache: Path) -> None:  # noqa: ARG001
    for name in ("n" * 1000 + ".pdf", "ä" * 300 + ".pdf", "😀" * 250 + ".tar.gz"):
        stored[f"originals/{name}"] = b"A"
        copy = copied(originals / name)
        assert copy.read_bytes() == b"A"
        assert copy.suffix == Path(name).suffix
        assert len(copy.name.encode()) < 256


def test_what_is_too_much_goes_the_longest_unused_first(
    originals: Path, stored: Stored, cache: Path
) -> None:
    for number in range(4):
        stored[f"originals/{number}.pdf"] = bytes([number]) * 400
        entry = copied(originals / f"{number}.pdf").parent
        os.utime(entry, (time.time() - 7200 + number,) * 2)
    left = sorted(path.name for path in cache.glob("*/*.pdf"))
    assert left == ["1.pdf", "2.pdf", "3.pdf"]


def test_to_fetch_one_not_all_others_are_looked_at(
    originals: Path, stored: Stored, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    iterdir = Path.iterdir

    def look(path: Path) -> Iterator[Path]:
        looked.append(path)
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", look)
    for number in range(100):
        stored[f"originals/{number}.pdf"] = b"small"
        copied(originals / f"{number}.pdf")
    assert len(list(cache.glob("*/*.pdf"))) == 100
    assert looked.count(cache) == 1


def test_copies_of_all_processes_count(originals: Path, stored: Stored, cache: Path) -> None:
    """As does one whose process was killed before it could write down the total."""
    others = [localcopies.LocalCopies(cache, 1000) for _ in range(3)]
    for number in range(30):
        stored[f"originals/{number}.pdf"] = bytes([number]) * 100
        place = active.place_of(str(originals / f"{number}.pdf"))
        assert place is not None
        entry = others[number % 3].path_of(place).parent
        os.utime(entry, (time.time() - 7200 + number,) * 2)
        if number == 15:
            cache.with_name("copies.total").write_text("[12")
        assert len(list(cache.glob("*/*.pdf"))) <= 11, "the limit, and the last one"
    assert [path.name for path in cache.glob("*/29.pdf")] == ["29.pdf"]


@pytest.fixture
def thumbnails(originals: Path) -> Iterator[Path]:
    """Return a folder whose files are read from local copies."""
    place = active.place_of(str(originals))
    assert place is not None
    root = originals.parent / "thumbnails in the storage"
    active.mounts.add(mounts.Mount(str(root), "thumbnails", place.mount.opened, cached=True))
    yield root
    active.mounts.remove(str(root))


def test_a_thumbnail_is_fetched_once_and_a_new_one_is_seen_at_once(
    thumbnails: Path, stored: Stored, cache: Path
) -> None:
    path = thumbnails / "0000001.webp"
    path.write_bytes(b"small")
    store.calls.clear()
    assert [path.read_bytes() for _ in range(3)] == [b"small"] * 3
    assert store.count("open") == 1
    path.write_bytes(b"other")
    assert path.read_bytes() == b"other"
    stored["thumbnails/0000001.webp"] = b"third"  # by another host
    assert path.read_bytes() == b"third"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        path.read_bytes()
    assert len(list(cache.glob("*/*.webp"))) == 3


def test_a_thumbnail_is_shown_where_the_disk_takes_no_copy(
    thumbnails: Path, stored: Stored, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    stored["thumbnails/0000001.webp"] = b"small"
    assert (thumbnails / "0000001.webp").read_bytes() == b"small"
    assert list(cache.glob("*")) == []


def test_what_was_asked_for_lately_stays(
    originals: Path, stored: Stored, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "paperfleet.paperless"):
        for number in range(5):
            stored[f"originals/{number}.pdf"] = bytes([number]) * 400
            copied(originals / f"{number}.pdf")
    assert len(list(cache.glob("*/*.pdf"))) == 5
    assert "PAPERFLEET_CACHE_MB" in caplog.text


def test_a_copy_that_somebody_damaged_is_fetched_again(
    originals: Path, stored: Stored, cache: Path
) -> None:
    stored["originals/a.pdf"] = b"whole"
    entry = copied(originals / "a.pdf").parent
    for damage in ("empty", "gone"):
        os.unlink(entry / "a.pdf")  # noqa: PTH108
        if damage == "empty":
            # By another program: in this one the net would refuse it.
            subprocess.run(["/bin/ln", "-s", os.devnull, entry / "a.pdf"], check=True)
        assert copied(originals / "a.pdf").read_bytes() == b"whole"
    assert list(cache.glob("fetching-*")) == []


def test_a_copy_of_which_somebody_was_told_is_not_moved_away(
    originals: Path, stored: Stored, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process, quicker, puts its copy in place between our look and our rename."""
    stored["originals/a.pdf"] = b"A"
    place = active.place_of(str(originals / "a.pdf"))
    assert place is not None
    other = localcopies.LocalCopies(cache, 1000)
    told: list[tuple[Path, int]] = []
    quicker = threading.Thread(
        target=lambda: told.append(((found := other.path_of(place)), found.stat().st_ino))
    )
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        if target.name == "damaged" and quicker.ident is None:
            quicker.start()
            quicker.join(0.5)  # where it may not come between, it waits for us
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    ours = copied(originals / "a.pdf")
    quicker.join(10)
    assert ours.read_bytes() == b"A"
    ((path, inode),) = told
    assert path.stat().st_ino == inode, "it is still the copy that the other was told of"


def test_a_fetch_that_fails_leaves_nothing(originals: Path, stored: Stored, cache: Path) -> None:
    stored["originals/a.pdf"] = b"A"
    store.fail("open", times=None)
    with pytest.raises(UnavailableError):
        copied(originals / "a.pdf")
    assert list(cache.rglob("*")) == []


@pytest.mark.parametrize("arrived", [b"cut", b"whale"])
def test_what_arrives_otherwise_than_it_was_seen_is_no_copy(
    arrived: bytes,
    originals: Path,
    stored: Stored,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored["originals/a.pdf"] = b"whole"
    vouching(monkeypatch)
    monkeypatch.setattr(files, "open_stream", lambda _place: io.BytesIO(arrived))
    with pytest.raises(OSError, match=r"3 of 5 bytes|other bytes arrived"):
        copied(originals / "a.pdf")
    assert list(cache.rglob("*.pdf")) == []


def test_a_copy_is_known_by_its_content_where_the_storage_tells_it(
    originals: Path, stored: Stored, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vouching(monkeypatch)
    for content in (b"one", b"two", b"one"):  # each with a version of its own
        stored["originals/a.pdf"] = content
        assert copied(originals / "a.pdf").read_bytes() == content
    assert store.count("open") == 2
    assert len(list(cache.rglob("*.pdf"))) == 2


def test_a_copy_with_other_bytes_than_the_storage_tells_is_fetched_again(
    originals: Path, stored: Stored, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: the size is right, and no row has a checksum."""
    vouching(monkeypatch)
    stored["originals/a.pdf"] = b"whole"
    copy = copied(originals / "a.pdf")
    subprocess.run(["/bin/sh", "-c", f"chmod u+w '{copy}'; printf whale > '{copy}'"], check=True)
    assert copied(originals / "a.pdf").read_bytes() == b"whole"
    assert list(cache.glob("fetching-*")) == []


def vouching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the storage tell the SHA-256 of what it has, as a bucket does."""
    real = files.stat

    def stat(place: Any) -> Any:  # noqa: ANN401  # a Place, a FileStat
        digest = hashlib.sha256(memory.files[f"{place.mount.key}/{place.name}"]).hexdigest()
        return real(place)._replace(sha256=digest)

    monkeypatch.setattr(files, "stat", stat)


def test_of_what_is_replaced_while_it_is_fetched_the_new_one_is_copied(
    originals: Path, stored: Stored, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored["originals/a.pdf"] = b"old"
    real = files.open_stream

    def replacing(place: Any) -> object:  # noqa: ANN401  # a Place
        stored["originals/a.pdf"] = b"newer"
        return real(place)

    monkeypatch.setattr(files, "open_stream", replacing)
    assert copied(originals / "a.pdf").read_bytes() == b"newer"
    assert [path.read_bytes() for path in cache.rglob("*.pdf")] == [b"newer"]


def test_threads_share_a_copy(originals: Path, stored: Stored, cache: Path) -> None:
    stored["originals/a.pdf"] = b"A" * 100_000
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(copied(originals / "a.pdf"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.read_bytes() for path in set(found)] == [b"A" * 100_000]
    assert len(list(cache.iterdir())) == 1


CHILD = """
    import django, os, signal, sys
    django.setup()
    from pathlib import Path
    from django.conf import settings
    from paperfleet.paperless.documents import files
    if sys.argv[1] == "killed":
        class Cut:
            def __init__(self, stream): self.stream = stream
            def read(self, size):
                os.kill(os.getpid(), signal.SIGKILL) if self.stream is None else None
                self.stream, first = None, self.stream.read(3)
                return first
            def __enter__(self): return self
            def __exit__(self, *_): pass
        real = files.open_stream
        files.open_stream = lambda place: Cut(real(place))
    print(os.fspath(Path(settings.ORIGINALS_DIR) / "a.pdf"))
"""


@pytest.fixture
def child_environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables of children that share a folder as their storage, and a cache."""
    place = tmp_path / "store"
    (place / "originals").mkdir(parents=True)
    (place / "originals" / "a.pdf").write_bytes(b"content")
    return {
        **os.environ,
        "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.LocalFilesystemBackend",
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": f'{{"root": "{place}"}}',
        "PAPERLESS_DATA_DIR": str(stores.belonging(tmp_path / "data", place)),
        "PAPERFLEET_CACHE_DIR": str(tmp_path / "shared"),
    }


def child(environment: dict[str, str], how: str) -> subprocess.Popen[str]:
    script = [sys.executable, "-c", textwrap.dedent(CHILD), how]
    return subprocess.Popen(script, env=environment, stdout=subprocess.PIPE, text=True)


def test_processes_share_a_copy_and_a_kill_leaves_none(
    child_environment: dict[str, str], tmp_path: Path
) -> None:
    copies = tmp_path / "shared" / "copies"
    killed = child(child_environment, "killed")
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(copies.glob("fetching-*"))) == 1
    assert [path.relative_to(copies).parts[0][:9] for path in copies.rglob("a.pdf")] == [
        "fetching-"
    ]
    both = [child(child_environment, "whole") for _ in range(2)]
    printed = [process.communicate(timeout=60)[0].strip() for process in both]
    assert len(set(printed)) == 1
    assert Path(printed[0]).read_bytes() == b"content"
    for left in copies.glob("fetching-*"):
        os.utime(left, (0, 0))
    copyroom.CopyRoom(copies, 1_000_000).look()
    assert list(copies.glob("fetching-*")) == []
    assert Path(printed[0]).exists()
