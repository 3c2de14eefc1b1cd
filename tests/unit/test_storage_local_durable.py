"""A save or move on a local disk survives a kill, a full disk and a loss of power."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from paperfleet.errors import (
    AlreadyExistsError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    QuotaExceededError,
    StorageError,
    TooLargeError,
)
from paperfleet.model import ABSENT, ANYTHING, Precondition, Upload
from paperfleet.storage.local import writing as durable
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.local.root import SAVING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from paperfleet.storage.local.root import LocalPlace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def storage(root: Path) -> Iterator[LocalBackend]:
    with LocalBackend(root) as entered:
        yield entered


class Recorder:
    """Notes the calls of the operating system that change something, by the paths they mean."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self._root = root
        for name in ("mkdir", "rename", "link", "unlink", "rmdir"):
            monkeypatch.setattr(os, name, self._of_entries(name, getattr(os, name)))
        for name in ("write", "fsync", "utime"):
            monkeypatch.setattr(os, name, self._of_descriptor(name, getattr(os, name)))
        self._open = os.open
        monkeypatch.setattr(os, "open", self._opened)
        self._noreplace = durable._rename_noreplace
        monkeypatch.setattr(durable, "_rename_noreplace", self._renamed)

    def _path(self, descriptor: int) -> str:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        relative = os.path.relpath(path, self._root)
        folder, _, last = relative.rpartition("/")
        return f"{folder}/TEMP".lstrip("/") if last.startswith(SAVING_PREFIX) else relative

    def _entry(self, folder: int, last: str) -> str:
        shown = "TEMP" if last.startswith(SAVING_PREFIX) else last
        return f"{self._path(folder)}/{shown}".removeprefix("./")

    def _of_entries(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*names: str, **options: int) -> None:
            folders = [value for key, value in options.items() if key.endswith("dir_fd")]
            real(*names, **options)
            paths = [
                self._entry(folders[min(index, len(folders) - 1)], last)
                for index, last in enumerate(names)
            ]
            self.calls.append(f"{name} {' -> '.join(paths)}")

        return call

    def _of_descriptor(self, name: str, real: Callable[..., int]) -> Callable[..., int]:
        def call(descriptor: int, *rest: object, **options: object) -> int:
            self.calls.append(f"{name} {self._path(descriptor)}")
            return real(descriptor, *rest, **options)

        return call

    def _opened(
        self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if flags & os.O_CREAT and dir_fd is not None:
            self.calls.append(f"create {self._entry(dir_fd, path)}")
        return self._open(path, flags, mode, dir_fd=dir_fd)

    def _renamed(self, old: LocalPlace, new: LocalPlace) -> bool:
        done = self._noreplace(old, new)
        if done:
            self.calls.append(f"renameat2 {self._entry(*old)} -> {self._entry(*new)}")
        return done


@pytest.fixture
def recorder(storage: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(storage.root, monkeypatch)


needs_renameat2 = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has renameat2 and /proc/self/fd"
)


@needs_renameat2
def test_order_of_a_save(storage: LocalBackend, recorder: Recorder) -> None:
    storage.save("a/b/file", io.BytesIO(b"x"))
    assert recorder.calls == [
        "mkdir a",
        "fsync .",
        "mkdir a/b",
        "fsync a",
        "create a/b/TEMP",
        "write a/b/TEMP",
        "fsync a/b/TEMP",
        "rename a/b/TEMP -> a/b/file",
        "fsync a/b",
    ]


@needs_renameat2
def test_order_of_a_conditional_save(storage: LocalBackend, recorder: Recorder) -> None:
    storage.save_with("file", upload(b"x", 1_500_000_000_123_456_789), ABSENT)
    assert recorder.calls == [
        "create TEMP",
        "write TEMP",
        "utime TEMP",
        "fsync TEMP",
        "renameat2 TEMP -> file",
        "fsync .",
    ]


@needs_renameat2
def test_order_of_a_move(storage: LocalBackend, root: Path, recorder: Recorder) -> None:
    (root / "file").write_bytes(b"x")
    storage.move("file", "new/file")
    assert recorder.calls == [
        "mkdir new",
        "fsync .",
        "renameat2 file -> new/file",
        "fsync new",
        "fsync .",
    ]


@needs_renameat2
def test_order_of_a_move_by_links(
    storage: LocalBackend, root: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_rename_noreplace", lambda *_: False)
    (root / "file").write_bytes(b"x")
    storage.move("file", "new/file")
    assert recorder.calls == [
        "mkdir new",
        "fsync .",
        "link file -> new/file",
        "fsync new",
        "unlink file",
        "fsync new",
        "fsync .",
    ]


def test_a_move_by_links_that_another_process_was_faster_with(
    storage: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_rename_noreplace", lambda *_: False)
    (root / "file").write_bytes(b"x")
    real: Callable[..., None] = os.link

    def link(*names: str, **options: int) -> None:
        real(*names, **options)
        (root / "file").rename(root / "theirs")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(NotFoundError):
        storage.move("file", "ours")
    assert [path.name for path in root.iterdir()] == ["theirs"]


@needs_renameat2
def test_order_of_a_delete(storage: LocalBackend, root: Path, recorder: Recorder) -> None:
    (root / "file").write_bytes(b"x")
    storage.delete("file")
    assert recorder.calls == ["unlink file", "fsync ."]


def upload(content: bytes, modified_ns: int | None = None) -> Upload:
    digest = hashlib.sha256(content).hexdigest()
    return Upload(lambda: io.BytesIO(content), len(content), modified_ns, digest)


def test_time_is_kept_to_the_nanosecond(storage: LocalBackend, root: Path) -> None:
    modified = 1_500_000_000_123_456_789
    assert storage.save_with("a", upload(b"x", modified), ANYTHING).modified_ns == modified
    assert (root / "a").stat().st_mtime_ns == modified


def test_a_root_is_made_durably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with LocalBackend(tmp_path / "a" / "b"):
        assert synced == [str(tmp_path), str(tmp_path / "a")]


def failing(number: int) -> Callable[..., int]:
    def call(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize(
    ("call", "number", "expected"),
    [
        ("write", errno.ENOSPC, QuotaExceededError),
        ("write", errno.EDQUOT, QuotaExceededError),
        ("write", errno.EFBIG, TooLargeError),
        ("fsync", errno.EIO, StorageError),
        ("rename", errno.EIO, StorageError),
    ],
)
def test_a_failing_disk_leaves_the_old_file(
    storage: LocalBackend,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    expected: type[StorageError],
) -> None:
    storage.save("a", io.BytesIO(b"old"))
    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing(number))
        with pytest.raises(expected) as caught:
            storage.save("a", io.BytesIO(b"new"))
    assert caught.value.operation == "save"
    assert caught.value.name == "a"
    assert [path.name for path in root.iterdir()] == ["a"]
    assert (root / "a").read_bytes() == b"old"


def test_a_disk_that_takes_a_few_bytes_at_a_time(
    storage: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
    content = bytes(range(256)) * 10
    storage.save("a", io.BytesIO(content))
    assert (root / "a").read_bytes() == content


def test_a_disk_that_loses_bytes_is_noticed(
    storage: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.save("a", io.BytesIO(b"old"))
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda to, data: real(to, data[:-1]) + 1)
        with pytest.raises(IntegrityError):
            storage.save("a", io.BytesIO(b"longer"))
    assert [path.name for path in root.iterdir()] == ["a"]
    assert (root / "a").read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_filesystems_without_fsync_of_folders(
    storage: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(descriptor):  # noqa: PTH112 (a descriptor, not a path)
            failing(number)()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    storage.save("a/b", io.BytesIO(b"x"))
    assert (root / "a" / "b").read_bytes() == b"x"


SAVING_FOR_EVER = """
import sys
from paperfleet.storage.local.backend import LocalBackend

class Endless:
    def read(self, size):
        return b"new" * 1000

with LocalBackend(sys.argv[1]) as storage:
    storage.save(sys.argv[2], Endless())
"""


@pytest.mark.parametrize("name", ["old", "folder/new"])
def test_kill_in_the_middle_of_a_save(root: Path, name: str) -> None:
    (root / "old").write_bytes(b"old")
    saving = subprocess.Popen([sys.executable, "-c", SAVING_FOR_EVER, str(root), name])
    try:
        [unfinished] = wait_for(lambda: list(root.rglob(f"{SAVING_PREFIX}*")))
        wait_for(lambda: unfinished.stat().st_size > 5000)
    finally:
        saving.send_signal(signal.SIGKILL)
        saving.wait(10)
    with LocalBackend(root) as storage:
        assert list(storage.list_files()) == ["old"]
        assert (root / "old").read_bytes() == b"old"
        assert storage.sweep(3600) == 0
        assert unfinished.exists()
        assert storage.sweep(0) == 1
        storage.save(name, io.BytesIO(b"again"))
    assert {path for path in root.rglob("*") if path.is_file()} == {root / "old", root / name}


T = TypeVar("T")


def wait_for(condition: Callable[[], T]) -> T:
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)
    return value


def test_sweep_spares_documents_on_their_way(storage: LocalBackend, root: Path) -> None:
    """A document may be under a temporary name in the middle of a swap: that is no rest."""
    storage.save("a", io.BytesIO(b"document"))
    storage.move("a", ".paperfleet-swap-1")
    (root / f"{SAVING_PREFIX}folder").mkdir()
    (root / f"{SAVING_PREFIX}0123").write_bytes(b"half")
    os.utime(root / f"{SAVING_PREFIX}0123", (0, 0))
    assert storage.sweep(60) == 0, "the time of the content says nothing of the save"
    assert storage.sweep(-1) == 1
    storage.move(".paperfleet-swap-1", "b")
    with storage.open("b") as stream:
        assert stream.read() == b"document"


def test_sweep_of_what_goes_away_meanwhile(
    storage: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        (root / f"{SAVING_PREFIX}{number}").write_bytes(b"half")
    real: Callable[..., None] = os.unlink

    def faster(last: str, **options: int) -> None:
        if last.endswith("1"):
            real(root / last)
        real(last, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", faster)
        assert storage.sweep(-1) == 2
    assert list(root.iterdir()) == []


def test_only_one_of_many_makes_a_new_file(root: Path) -> None:
    storages = [LocalBackend(root) for _ in range(4)]

    def make(number: int) -> bool:
        with storages[number] as storage:
            try:
                storage.save_with("new", upload(f"{number}".encode()), ABSENT)
            except AlreadyExistsError:
                return False
            return True

    for _ in range(10):
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(make, range(4)))
        assert outcomes.count(True) == 1
        assert (root / "new").read_bytes() == f"{outcomes.index(True)}".encode()
        (root / "new").unlink()


class WatchedLock:
    """A lock that tells when somebody wants it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wanted = threading.Event()

    def __enter__(self) -> None:
        self.wanted.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it, as somebody who is at work; who wants it from now on is noticed."""
        with self._lock:
            yield


@pytest.mark.parametrize("change", ["save over a state", "save a new one", "delete"])
def test_a_condition_holds_at_the_moment_of_the_change(
    storage: LocalBackend, root: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What somebody saves between a look and the lock is neither replaced nor deleted."""
    lock = WatchedLock()
    monkeypatch.setattr(storage._saver, "changes", lock)
    ours = Upload(lambda: io.BytesIO(b"ours"), 4)
    if change != "save a new one":
        (root / "a").write_bytes(b"before")
    etag = storage.stat("a").etag if change != "save a new one" else None
    with ThreadPoolExecutor(1) as pool:
        with lock.held():
            if change == "delete":
                waiting: Future[object] = pool.submit(storage.delete_if, "a", etag or "")
            else:
                expect = Precondition(etag=etag) if etag else ABSENT
                waiting = pool.submit(storage.save_with, "a", ours, expect)
            assert lock.wanted.wait(60)
            (root / "theirs").write_bytes(b"somebody's work")
            (root / "theirs").rename(root / "a")
        with pytest.raises((PreconditionFailedError, AlreadyExistsError)):
            waiting.result(60)
    assert (root / "a").read_bytes() == b"somebody's work"
    assert [path.name for path in root.iterdir()] == ["a"]
