"""What a Celery worker does before it forks the processes that run its tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.paperless.inside.stores import store

from paperfleet.errors import CredentialsError, NotAStorageError
from paperfleet.paperless.activation import documents
from paperfleet.paperless.workers import check_before_forking

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from paperfleet.model import FileStat, Precondition, Upload


@pytest.fixture(autouse=True)
def _unchecked(store: object) -> Iterator[None]:  # noqa: ARG001  # it asks first
    documents.is_checked = False
    yield
    documents.is_checked = False


def test_a_child_looks_and_the_worker_asks_nothing() -> None:
    check_before_forking()
    assert documents.is_checked
    documents.require_usable()
    assert store.calls == []


def test_a_storage_of_another_stops_it(
    stored: MutableMapping[str, bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    stored["paperfleet.json"] = b'{"database": "another"}'
    with pytest.raises(SystemExit, match="1"):
        check_before_forking()
    assert "paperfleet: memory: belongs to another database" in capfd.readouterr().err
    assert not documents.is_checked


@pytest.mark.parametrize("operation", ["save_with", "delete"])
def test_a_key_that_may_only_read_stops_it(
    operation: str, capfd: pytest.CaptureFixture[str]
) -> None:
    error = CredentialsError("not allowed", operation=operation, storage="memory:")
    store.fail(operation, error=lambda: error, times=None)
    with pytest.raises(SystemExit, match="1"):
        check_before_forking()
    shown = capfd.readouterr().err
    assert "the document storage takes no documents: " in shown
    assert "needs the rights to read, write, list and delete" in shown
    assert "remove what is below aside/start there by hand" in shown


def test_what_was_tried_leaves_nothing(stored: MutableMapping[str, bytes]) -> None:
    stored["aside/start/0123456789ab"] = b"paperfleet"  # of a process that was killed
    stored["aside/start-0123456789ab"] = b"kept for a transaction"
    before = {name for name in stored if name != "aside/start/0123456789ab"}
    documents.require_writable()
    assert set(stored) == before


def test_a_save_that_arrived_and_failed_all_the_same_leaves_nothing(
    stored: MutableMapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.save_with

    def cut(name: str, upload: Upload, expect: Precondition) -> FileStat:
        real(name, upload, expect)
        raise CredentialsError("the answer was lost", operation="save", storage="memory:")

    before = set(stored)
    monkeypatch.setattr(store, "save_with", cut)
    with pytest.raises(NotAStorageError, match="the answer was lost"):
        documents.require_writable()
    assert set(stored) == before


def test_what_nobody_thought_of_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setattr(documents, "require_usable", broken)
    with pytest.raises(SystemExit, match="1"):
        check_before_forking()
    assert "RuntimeError: the database is gone" in capfd.readouterr().err
