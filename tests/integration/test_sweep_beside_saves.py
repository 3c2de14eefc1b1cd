"""A sweep that runs beside saves of the same process removes nothing that they are at work on."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from obstore.store import MemoryStore
from tests.integration.test_dav_webdav_saves import backend, upload
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double
from tests.unit.objects_memory import EVERY_KIND, memory_backend

from paperfleet.model import ABSENT, ANYTHING, Precondition, Upload
from paperfleet.storage.local.backend import LocalBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from paperfleet.storage.bucket.bucket import ObjectStoreBackend
    from paperfleet.storage.local.writing import Unfinished

CONTENT = b"0123456789abcdef" * 200_000


class Sweeping(io.BytesIO):
    """Content in the middle of whose reading a sweep is made."""

    def __init__(self, sweep: Callable[[], int]) -> None:
        super().__init__(CONTENT)
        self._sweep = sweep
        self.swept: list[int] = []

    def read(self, size: int | None = -1, /) -> bytes:
        self.swept.append(self._sweep())
        return super().read(size)


@pytest.fixture
def server() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as double:
        yield double


def test_in_a_folder(tmp_path: Path) -> None:
    with LocalBackend(tmp_path) as storage, LocalBackend(tmp_path) as other:
        for sweeper in (storage, other):
            content = Sweeping(lambda s=sweeper: s.sweep(-1))  # type: ignore[misc]  # a default
            storage.save("a.pdf", content)
            assert set(content.swept) == {0}
            assert (tmp_path / "a.pdf").read_bytes() == CONTENT
            storage.delete("a.pdf")


def test_in_a_folder_what_a_failed_save_left_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stays(_: Unfinished) -> None:
        raise OSError("the disk is gone for a moment")

    with LocalBackend(tmp_path) as storage:
        with monkeypatch.context() as patched:
            patched.setattr("paperfleet.storage.local.writing.Unfinished._close", stays)
            with pytest.raises(OSError, match="gone for a moment"):
                storage.save("a.pdf", io.BytesIO(CONTENT))
        assert storage.sweep(-1) == 1
    assert list(tmp_path.iterdir()) == []


def test_on_a_webdav_server(server: NextcloudDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the upload under a temporary name and its move."""
    with backend(server) as storage:
        storage.save_with("warm", upload(b"x"), ANYTHING)
        look, swept = storage._arrivals.look, []

        def after_a_sweep(uploaded: str, name: str) -> object:
            swept.append(storage.sweep(-1))
            return look(uploaded, name)

        monkeypatch.setattr(storage._arrivals, "look", after_a_sweep)
        stored = storage.save_with("a.pdf", upload(CONTENT), ABSENT)
        assert stored.size == len(CONTENT)
        assert swept
        assert set(swept) == {0}
    assert server.tree() == {"warm": b"x", "a.pdf": CONTENT}


def test_the_trial_of_a_server_finds_the_same(
    server: NextcloudDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backend(server) as undisturbed:
        expected = undisturbed._trials.traits()
    with backend(server) as storage:
        put, swept = storage._trials._put, []

        def then_a_sweep(*arguments: object, **options: object) -> object:
            done = put(*arguments, **options)  # type: ignore[arg-type]  # passed on as they are
            swept.append(storage.sweep(-1))
            return done

        monkeypatch.setattr(storage._trials, "_put", then_a_sweep)
        assert storage._trials.traits() == expected
        assert swept
        assert set(swept) == {0}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_in_a_bucket(kind: str) -> None:
    store = MemoryStore()
    storage, other = (memory_backend(store, EVERY_KIND[kind], part_size=1 << 20) for _ in range(2))
    opened: list[Sweeping] = []

    def content() -> Sweeping:
        opened.append(Sweeping(lambda: other.sweep(-1)))
        return opened[-1]

    for expect in (ABSENT, Precondition(exists=True)):
        storage.save_with("a.pdf", Upload(content, len(CONTENT), None, None), expect)
        assert contents(storage) == {"a.pdf": CONTENT}
    assert any(one.swept for one in opened)
    assert keys(store) == {"docs/a.pdf"}


def keys(store: MemoryStore) -> set[str]:
    return {meta["path"] for page in store.list() for meta in page}


def test_in_a_bucket_what_came_under_a_moved_name_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sweep has read the mark of a move that ends while it waits for the names."""
    storage = memory_backend(features=EVERY_KIND["create"])
    storage.save("old", io.BytesIO(b"document"))
    begun = storage.begin_move("old", "new")
    marks = storage._mover._marks

    def when_it_has_ended(mark: object) -> bool:
        storage.end_move(begun)
        storage.save("old", io.BytesIO(b"document"))
        return settled(mark)  # type: ignore[arg-type]  # a mark

    settled = marks._settled
    monkeypatch.setattr(marks, "_settled", when_it_has_ended)
    storage.sweep(-1)
    assert contents(storage) == {"old": b"document", "new": b"document"}


def contents(storage: ObjectStoreBackend) -> dict[str, bytes]:
    found = {}
    for name in storage.list_files():
        with storage.open(name) as stream:
            found[name] = stream.read()
    return found
