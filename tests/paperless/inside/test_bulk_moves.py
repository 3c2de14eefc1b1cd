"""A bulk update: what is plain is moved many at a time, everything else by the loop as always."""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import DatabaseError
from documents.models import Document
from tests.paperless.inside.stores import memory, store

from paperfleet.errors import LeaseLostError
from paperfleet.paperless.documents import bulkmoves, medialock, transactions

if "project" not in str(importlib.import_module("documents").__file__):
    pytest.skip("the end-to-end test changes a storage path", allow_module_level=True)

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    Stored = MutableMapping[str, bytes]

MANY = 20


@pytest.fixture(autouse=True)
def _by_title(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FILENAME_FORMAT", "new/{{ title }}")


def make(stored: Stored, *titles: str, archive: bool = True, old: str = "old") -> list[int]:
    """Make documents under the names of an earlier format."""
    numbers = []
    for title in titles:
        name = f"{old}/{title}.pdf"
        names = {"filename": name, "archive_filename": name if archive else None}
        stored[f"originals/{name}"] = f"original {title}".encode()
        if archive:
            stored[f"archive/{name}"] = f"archive {title}".encode()
        numbers.append(Document.objects.bulk_create([Document(title=title, **names)])[0].pk)
    store.calls.clear()
    return numbers


def update(numbers: list[int]) -> None:
    """Run the task as a worker does, or as one that is waited for."""
    from documents.tasks import bulk_update_documents

    bulk_update_documents.apply(kwargs={"document_ids": numbers}, throw=True)


def require_agreement(stored: Stored) -> None:
    """Each row names files that are there with its content, and there are no others."""
    named = set()
    for document in Document.global_objects.all():
        for area, name in (
            ("original", document.filename),
            ("archive", document.archive_filename),
        ):
            if name:
                folder = "originals" if area == "original" else area
                named.add(f"{folder}/{name}")
                assert stored[f"{folder}/{name}"] == f"{area} {document.title}".encode()
    assert set(stored) - {"paperfleet.json"} == named


def names() -> set[str]:
    return set(Document.objects.values_list("filename", flat=True))


def moves() -> list[str]:
    return sorted(call.names[0] for call in store.calls if call.operation == "move")


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the documents that the loop has renamed."""
    import shutil

    found = []
    real = shutil.move

    def move(source: Any, target: Any) -> Any:  # noqa: ANN401  # shutil's
        found.append(f"{source.parent.parent.name}/{source.name}")
        return real(source, target)

    monkeypatch.setattr(shutil, "move", move)
    return found


def test_all_are_moved_ahead(stored: Stored, one_by_one: list[str]) -> None:
    titles = [f"d{number:02}" for number in range(MANY)]
    numbers = make(stored, *titles)
    bulkmoves.move_ahead(numbers)
    assert store.count("stat", "exists") == 0, "a move tells whether it can be"
    update(numbers)
    assert one_by_one == []
    assert names() == {f"new/{title}.pdf" for title in titles}
    require_agreement(stored)
    assert len(moves()) == 2 * MANY


def test_the_task_moves_ahead_by_itself(stored: Stored, one_by_one: list[str]) -> None:
    update(make(stored, "a", "b"))
    assert one_by_one == []
    require_agreement(stored)


def test_at_the_same_time(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = make(stored, *map(str, range(bulkmoves.TOGETHER)), archive=False)
    together = threading.Barrier(bulkmoves.TOGETHER)
    real = memory.move

    def move(old: str, new: str) -> None:
        together.wait(timeout=20)  # breaks unless all of them are here at once
        real(old, new)

    monkeypatch.setattr(memory, "move", move)
    bulkmoves.move_ahead(numbers)
    assert not together.broken
    require_agreement(stored)


def test_one_alone_and_what_is_in_place_are_left_alone(stored: Stored) -> None:
    bulkmoves.move_ahead(make(stored, "alone"))
    bulkmoves.move_ahead(make(stored, "a", "b", old="new"))
    assert moves() == []
    require_agreement(stored)


def test_a_taken_name_is_left_to_the_loop(stored: Stored, one_by_one: list[str]) -> None:
    make(stored, "a", old="new")
    numbers = make(stored, "b", "c")
    stored["originals/new/b.pdf"] = b"original x"
    Document.objects.bulk_create([Document(title="x", filename="new/b.pdf")])
    update(numbers)
    assert one_by_one == ["originals/b.pdf", "archive/b.pdf"]
    assert names() == {"new/a.pdf", "new/b.pdf", "new/b_01.pdf", "new/c.pdf"}


def test_two_that_want_one_name(stored: Stored) -> None:
    numbers = make(stored, "same", old="one") + make(stored, "same", old="two")
    update(numbers)
    assert names() == {"new/same.pdf", "new/same_01.pdf"}
    require_agreement(stored)


@pytest.mark.parametrize("failing", ["originals/old/b.pdf", "archive/old/b.pdf"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_one_that_fails_is_moved_by_the_loop(failing: str, when: Any, stored: Stored) -> None:  # noqa: ANN401
    numbers = make(stored, "a", "b", "c")
    store.fail("move", failing, when=when, times=1)
    bulkmoves.move_ahead(numbers)
    assert {"new/a.pdf", "new/c.pdf"} < names()
    update(numbers)
    assert names() == {"new/a.pdf", "new/b.pdf", "new/c.pdf"}
    require_agreement(stored)


def test_a_storage_that_is_gone_moves_nothing(stored: Stored) -> None:
    numbers = make(stored, "a", "b")
    numbers += make(stored, *map(str, range(bulkmoves.TOGETHER)), archive=False)
    store.fail(times=None)
    with pytest.raises(OSError, match="a fault of the test"):
        bulkmoves.move_ahead(numbers)
    assert "originals/old/a.pdf" in moves()
    assert "originals/old/15.pdf" not in moves(), "the next group is not tried"
    store.heal()
    assert all(name.startswith("old/") for name in names())
    require_agreement(stored)


def test_a_document_that_is_not_there_stays_as_it_is(stored: Stored) -> None:
    numbers = make(stored, "a", "b", archive=False)
    del stored["originals/old/a.pdf"]
    update(numbers)
    assert names() == {"old/a.pdf", "new/b.pdf"}


def test_a_database_that_fails_moves_all_back(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = make(stored, "a", "b", "c")
    tells = []

    def tell(*change: object) -> None:
        tells.append(change)
        if len(tells) == 3:
            raise DatabaseError("the database is full")

    monkeypatch.setattr(transactions, "tell", tell)
    with pytest.raises(DatabaseError, match="is full"):
        bulkmoves.move_ahead(numbers)
    assert names() == {"old/a.pdf", "old/b.pdf", "old/c.pdf"}
    require_agreement(stored)


def test_a_row_that_somebody_else_has_changed_keeps_its_file(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = make(stored, "a", "b")
    real = bulkmoves.plain_renames

    def late(documents: Any) -> Any:  # noqa: ANN401
        found = list(real(documents))
        Document.objects.filter(title="a").update(archive_filename=None)
        return found

    monkeypatch.setattr(bulkmoves, "plain_renames", late)
    bulkmoves.move_ahead(numbers)
    assert names() == {"old/a.pdf", "new/b.pdf"}
    assert "originals/old/a.pdf" in stored
    assert "archive/old/a.pdf" in stored


class Lost:
    """A lease that somebody else has by now."""

    def check(self) -> None:
        raise LeaseLostError("somebody else has it")


def test_a_lost_lease_moves_nothing(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = make(stored, "a", "b")
    monkeypatch.setattr(medialock._held, "leases", [Lost()])
    with pytest.raises(LeaseLostError, match="somebody else has it"):
        bulkmoves.move_ahead(numbers)
    assert moves() == []
    assert names() == {"old/a.pdf", "old/b.pdf"}
    require_agreement(stored)


def test_another_thread_works_under_our_leases(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = make(stored, "a", "b")

    kept = medialock.under_my_leases
    monkeypatch.setattr(medialock._held, "leases", [Lost()])
    lost = kept(lambda _: medialock.require_held())
    monkeypatch.setattr(medialock._held, "leases", [])
    caught: list[BaseException] = []

    def other_thread() -> None:
        try:
            lost(None)
        except LeaseLostError as error:
            caught.append(error)
        medialock.require_held()

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join(20)
    assert len(caught) == 1
    update(numbers)
    require_agreement(stored)


@pytest.mark.parametrize("title", ["../../outside", "a/../b", "x" * 1100])
def test_what_is_not_plain_is_left_to_the_loop(title: str, stored: Stored) -> None:
    numbers = make(stored, "a", "b")
    Document.objects.filter(pk=numbers[0]).update(title=title)
    bulkmoves.move_ahead(numbers)
    assert "old/a.pdf" in names()
    assert "new/b.pdf" in names()


def test_the_time_of_a_store_far_away_is_shared(stored: Stored) -> None:
    numbers = make(stored, *map(str, range(bulkmoves.TOGETHER)), archive=False)
    store.fail("move", error=None, delay=0.2, times=None)
    begun = time.monotonic()
    bulkmoves.move_ahead(numbers)
    assert time.monotonic() - begun < 0.2 * bulkmoves.TOGETHER / 2
    require_agreement(stored)
