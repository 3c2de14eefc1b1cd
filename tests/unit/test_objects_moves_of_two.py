"""Of two hosts that move one file one wins, and what was saved meanwhile stays."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore
from tests.unit.objects_memory import ALL, CREATE, memory_backend
from tests.unit.test_objects_moving import MOST_REQUESTS, REQUESTS, content

from paperfleet.errors import PreconditionFailedError, StorageError, UnavailableError
from paperfleet.storage.full import full
from paperfleet.testing.faults import FaultyStorage

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.bucket.bucket import ObjectStoreBackend
    from paperfleet.storage.bucket.features import Features


def moved(backend: ObjectStoreBackend) -> None:
    backend.move("a", "b6")


def moved_in_two(backend: ObjectStoreBackend) -> None:
    backend.end_move(backend.begin_move("a", "b6"))


class Interrupted:
    """Does something else right before the nth request from now."""

    def __init__(
        self, backend: ObjectStoreBackend, number: int, meanwhile: Callable[[], None]
    ) -> None:
        self.count = 0
        self._number, self._meanwhile = number, meanwhile
        for name in REQUESTS:
            setattr(backend._client, name, self._around(getattr(backend._client, name)))

    def _around(self, request: Callable[..., Any]) -> Callable[..., Any]:
        def around(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (of any request)
            self.count += 1
            if self.count == self._number:
                self._meanwhile()
            return request(*args, **kwargs)

        return around


@pytest.mark.parametrize("features", [CREATE, ALL], ids=["create", "all"])
@pytest.mark.parametrize("move", [moved, moved_in_two])
def test_another_host_moves_it_and_saves_another_at_every_request(
    features: Features, move: Callable[[ObjectStoreBackend], None]
) -> None:
    for number in range(1, MOST_REQUESTS):
        store = MemoryStore()
        ours, theirs = memory_backend(store, features), memory_backend(store, features)
        ours.save("a", io.BytesIO(b"document"))
        saved: list[bytes] = []

        def meanwhile(theirs: ObjectStoreBackend = theirs, saved: list[bytes] = saved) -> None:
            with contextlib.suppress(StorageError):
                theirs.move("a", "b2")
                theirs.save("a", io.BytesIO(b"another"))
                saved.append(b"another")

        run = Interrupted(ours, number, meanwhile)
        with contextlib.suppress(StorageError):
            move(ours)
        found = content(theirs)
        assert sorted(found.values()) == sorted([b"document", *saved]), (number, found)
        if run.count < number:
            return
    pytest.fail("a move has an end")


def test_a_claim_is_given_back_where_the_move_is_never_asked_for() -> None:
    """Else the file could not be moved for minutes."""
    backend = memory_backend(MemoryStore(), CREATE)
    backend.save("a", io.BytesIO(b"document"))
    faulty = FaultyStorage(backend)
    faulty.fail("move")
    storage = full(faulty)
    with pytest.raises(UnavailableError):
        storage.move_unchanged("a", "b", lambda _: True)
    with pytest.raises(PreconditionFailedError):
        storage.move_unchanged("a", "b", lambda _: False)
    storage.move_unchanged("a", "b", lambda seen: seen.size == 8)
    assert list(backend.list_files()) == ["b"]
