"""Many threads on one storage."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from paperfleet.errors import AlreadyExistsError, NotFoundError, StorageError
from paperfleet.testing.suite_base import SuiteBase, get, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.testing.bypass import Bypass

THREADS = 8
TIMEOUT = 300.0
"""Seconds after which the work of the threads is held to hang; a busy machine is not a fault."""


def at_once(work: Callable[[int], object], count: int = THREADS) -> None:
    """Run the work in so many threads that start together; raise the first error."""
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait(TIMEOUT)
        work(number)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run, number) for number in range(count)]:
            future.result(TIMEOUT)


class ThreadsSuite(SuiteBase):
    """See ``StorageSuite``."""

    def test_different_names_in_shared_folders(
        self, storage: DocumentStorage, bypass: Bypass
    ) -> None:
        def work(number: int) -> None:
            for turn in range(4):
                name, moved = f"folder/{turn}/{number}", f"moved/{turn}/{number}"
                with storage:
                    put(storage, name, name.encode())
                    assert get(storage, name) == name.encode()
                    storage.move(name, moved)
                    assert storage.size(moved) == len(name)
                    if turn % 2:
                        storage.delete(moved)

        at_once(work)
        expected = {f"moved/{turn}/{number}" for turn in (0, 2) for number in range(THREADS)}
        assert bypass.names() == expected
        for name in expected:
            assert bypass.read(name) == name.replace("moved", "folder").encode()

    def test_folders_that_come_and_go(self, storage: DocumentStorage, bypass: Bypass) -> None:
        def work(number: int) -> None:
            for _ in range(5):
                with storage:
                    put(storage, f"shared/folder/{number}")
                with storage:
                    storage.delete(f"shared/folder/{number}")

        at_once(work, 4)
        assert bypass.names() == set()

    def test_saves_of_one_name_end_with_one_of_them(
        self, store: DocumentStorage, bypass: Bypass
    ) -> None:
        contents = [bytes([number]) * 100_000 for number in range(4)]

        def work(number: int) -> None:
            try:
                put(store, "same", contents[number])
            except StorageError as error:
                # A server may refuse one writer while another one is at work.
                assert error.transient

        at_once(work, 4)
        assert bypass.names() == {"same"}
        assert bypass.read("same") in contents

    def test_readers_see_the_old_or_the_new(self, store: DocumentStorage) -> None:
        contents = [bytes([number]) * 300_000 for number in range(6)]
        put(store, "a", contents[0])
        done = threading.Event()
        seen: set[bytes] = set()

        def work(number: int) -> None:
            if number == 0:
                try:
                    for content in contents[1:]:
                        put(store, "a", content)
                finally:
                    done.set()
                return
            while not done.is_set():
                seen.add(get(store, "a"))

        at_once(work, 3)
        assert seen <= set(contents)
        assert get(store, "a") == contents[-1]

    def test_moves_of_one_file_happen_once(self, store: DocumentStorage, bypass: Bypass) -> None:
        put(store, "a", b"one")
        winners: list[str] = []

        def work(number: int) -> None:
            try:
                store.move("a", f"b{number}")
            except StorageError as error:
                # Gone, or a server that refuses one of several movers; then it may pass later.
                assert isinstance(error, NotFoundError) or error.transient
            else:
                winners.append(f"b{number}")

        at_once(work, 4)
        if not winners and bypass.names() == {"a"}:  # each refused because of the others
            store.move("a", "b")
            winners.append("b")
        assert len(winners) == 1
        assert bypass.names() == set(winners)
        assert bypass.read(winners[0]) == b"one"

    def test_moves_onto_one_name_lose_nothing(self, store: DocumentStorage, bypass: Bypass) -> None:
        contents = {f"{number}".encode() for number in range(4)}
        for number in range(4):
            put(store, f"a{number}", f"{number}".encode())
        outcomes: list[bool] = []

        def work(number: int) -> None:
            try:
                store.move(f"a{number}", "b")
            except StorageError as error:
                assert isinstance(error, AlreadyExistsError) or error.transient
                outcomes.append(False)
            else:
                outcomes.append(True)

        at_once(work, 4)
        if not any(outcomes) and "b" not in bypass.names():  # each refused because of the others
            store.move("a0", "b")
            outcomes.append(True)
        assert outcomes.count(True) == 1
        assert {bypass.read(name) for name in bypass.names()} == contents
