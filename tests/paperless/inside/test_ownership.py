"""Whose storage it is: another database's, nobody's, one that lacks what the local disk has."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from tests.paperless.inside.stores import memory, store

from paperfleet.errors import NotAStorageError
from paperfleet.paperless.activation import documents
from paperfleet.paperless.documents import active
from paperfleet.paperless.models import Installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    Stored = MutableMapping[str, bytes]


@pytest.fixture(autouse=True)
def _ask_again(store: object) -> Iterator[None]:  # noqa: ARG001  # it asks first
    documents.is_checked = False
    yield
    documents.is_checked = False
    Installation.objects.update(migrating_from="", storage="", storage_label="")
    with behind_the_mounts():
        for root in documents.roots:
            shutil.rmtree(root, ignore_errors=True)


@contextmanager
def behind_the_mounts() -> Iterator[None]:
    """Let the paths of the mounts lead to the local disk."""
    kept = list(active.mounts)
    for mount in kept:
        active.mounts.remove(mount.root)
    try:
        yield
    finally:
        for mount in kept:
            active.mounts.add(mount)


def local(name: str) -> None:
    """Put a file into the local folder behind the mount."""
    with behind_the_mounts():
        path = Path(str(settings.ORIGINALS_DIR), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left behind")


def reasons() -> list[str]:
    found = documents.faults()
    assert found is not None
    return [fault.reason for fault in found]


def test_an_empty_storage_becomes_ours(stored: Stored) -> None:
    stored.clear()
    documents.require_usable()
    mark = json.loads(stored["paperfleet.json"])
    assert mark["database"] == str(Installation.objects.get().identity)
    assert reasons() == []


def test_it_is_asked_once_in_a_process(stored: Stored) -> None:
    documents.require_usable()
    stored["paperfleet.json"] = b'{"database": "another"}'
    store.calls.clear()
    documents.require_usable()
    assert store.calls == []


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (b'{"database": "8d9f"}', "belongs to another database (8d9f"),
        (b"not json", "belongs to another database (unreadable"),
        (b"[]", "belongs to another database (unreadable"),
        (None, "holds documents, and nothing says that they are of this database"),
    ],
)
def test_a_storage_of_somebody_else_is_refused(
    mark: bytes | None, reason: str, stored: Stored, originals: Path
) -> None:
    stored["originals/theirs.pdf"] = b"theirs"
    if mark is None:
        del stored["paperfleet.json"]
    else:
        stored["paperfleet.json"] = mark
    before = dict(stored)
    assert [reason in found for found in reasons()] == [True]
    touches: list[Callable[[], object]] = [
        (originals / "theirs.pdf").read_bytes,
        lambda: (originals / "ours.pdf").write_bytes(b"x"),
        (originals / "theirs.pdf").unlink,
        lambda: (originals / "theirs.pdf").rename(originals / "x.pdf"),
        lambda: list(originals.iterdir()),
        (originals / "theirs.pdf").exists,
    ]
    for touch in touches:
        with pytest.raises(NotAStorageError, match="take-ownership"):
            touch()
    assert dict(stored) == before


@pytest.mark.parametrize("name", ["a.pdf", "folder/ä.pdf"])
def test_documents_that_were_left_behind_are_found(name: str, stored: Stored) -> None:
    local(name)
    assert [f"originals/{name} is on the local disk" in reason for reason in reasons()] == [True]
    stored[f"originals/{name}"] = b"left behind"
    assert reasons() == []


def test_an_empty_storage_does_not_become_ours_while_documents_are_left_behind(
    stored: Stored,
) -> None:
    stored.clear()
    local("a.pdf")
    assert len(reasons()) == 1
    assert dict(stored) == {}


@pytest.mark.parametrize("name", [".DS_Store", ".keep", "folder/Thumbs.db"])
def test_files_of_the_system_are_no_documents(name: str) -> None:
    local(name)
    assert reasons() == []


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Return what calls the storage by an address and asks whether it may be used."""

    def use(address: str) -> list[str]:
        monkeypatch.setattr(memory, "label", address)
        return reasons()

    return use


def named(stored: Stored) -> tuple[str, str]:
    """Return what the mark and the database call the storage."""
    return json.loads(stored["paperfleet.json"])["storage"], Installation.objects.get().storage


def test_another_address_of_the_same_bucket_is_the_same_storage(
    stored: Stored, at: Callable[[str], list[str]]
) -> None:
    stored.clear()
    Installation.objects.update(storage="")
    assert at("s3://docs/a at old.example") == []
    documents.require_same()
    first = named(stored)
    assert first[0] == first[1]
    assert at("s3://docs/a at new.example:9000") == []
    second = named(stored)
    assert second[0] == second[1] != first[1]
    assert Installation.objects.get().storage_label == "s3://docs/a at new.example:9000"
    documents.require_same()  # a process that was started before finds the new name, too


def test_who_is_left_at_a_copy_of_the_bucket_refuses(
    stored: Stored, at: Callable[[str], list[str]]
) -> None:
    stored.clear()
    Installation.objects.update(storage="")
    assert at("s3://docs/a at old.example") == []
    documents.require_same()
    copy = stored["paperfleet.json"]
    assert at("s3://docs/a at new.example") == []
    stored["paperfleet.json"] = copy
    assert len(at("s3://docs/a at old.example")) == 1
    with pytest.raises(NotAStorageError, match="the documents of this database are in s3://docs/a"):
        documents.require_same()
    assert stored["paperfleet.json"] == copy


@pytest.mark.parametrize(
    "address", ["s3://other/a at old.example", "s3://docs/b at old.example", "gs://docs/a"]
)
def test_another_bucket_with_a_copied_mark_is_refused(
    address: str, stored: Stored, at: Callable[[str], list[str]]
) -> None:
    stored.clear()
    Installation.objects.update(storage="")
    assert at("s3://docs/a at old.example") == []
    before = dict(stored)
    (found,) = at(address)
    assert f"are in s3://docs/a at old.example, and this process would use {address}" in found
    assert dict(stored) == before


def test_a_new_name_that_was_cut_off_is_finished(
    stored: Stored, at: Callable[[str], list[str]]
) -> None:
    stored.clear()
    Installation.objects.update(storage="")
    assert at("memory:") == []
    mark = json.loads(stored["paperfleet.json"])
    renamed = {**mark, "storage": "new", "previous": mark["storage"]}
    stored["paperfleet.json"] = json.dumps(renamed).encode()
    assert reasons() == []
    assert named(stored) == ("new", "new")


def test_an_unfinished_migration_forbids_the_storage() -> None:
    Installation.objects.update(migrating_from="/media/documents")
    assert ["the migration from /media/documents" in reason for reason in reasons()] == [True]
    with pytest.raises(NotAStorageError, match="migrate_storage"):
        documents.require_usable()


def test_the_source_of_an_unfinished_migration_still_has_everything() -> None:
    Installation.objects.update(migrating_from="memory:")
    assert reasons() == []


def test_a_storage_that_does_not_answer_is_a_fault() -> None:
    store.fail(times=None)
    assert ["the document storage cannot be used" in reason for reason in reasons()] == [True]
    store.heal()
    assert reasons() == []
    documents.require_usable()


def test_check_says_the_same(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    stored["paperfleet.json"] = b'{"database": "another"}'
    monkeypatch.setattr("sys.argv", ["manage.py", "check"])
    with pytest.raises(SystemCheckError, match="belongs to another database") as caught:
        call_command("check")
    assert "paperfleet.E002" in str(caught.value)
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
    ours = [one for one in run_checks() if str(one.id).startswith("paperfleet.E")]
    assert ours == [], "a command that mends the storage must run"
