"""The store is away for a while: tasks wait, requests say so, the trash does not say OK."""

from __future__ import annotations

import importlib
import io
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client, RequestFactory
from documents.models import Document
from tests.paperless.inside.stores import store

from paperfleet.errors import LeaseTimeoutError, UnavailableError
from paperfleet.paperless.documents import incidents, patience
from paperfleet.paperless.documents.medialock import MediaLock
from paperfleet.paperless.middleware import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

    from django.http import HttpResponse

    Stored = MutableMapping[str, bytes]

OURS = "project" in str(importlib.import_module("documents").__file__)
only_ours = pytest.mark.skipif(not OURS, reason="its views ask for a user")


@pytest.fixture
def _task() -> Iterator[None]:
    patience.tasks.begin()
    yield
    patience.tasks.end()


@pytest.mark.usefixtures("_task")
def test_a_task_waits_for_the_store(originals: Path, stored: Stored, tmp_path: Path) -> None:
    consumer = importlib.import_module("documents.consumer")
    local = tmp_path / "a.pdf"
    local.write_bytes(b"content")
    store.fail("save_with", times=4)
    store.fail("stat", times=3)
    if OURS:
        document = consumer.consume(local, "waited")
        name = document.filename
    else:
        name = "a.pdf"
        (originals / name).write_bytes(b"content")
    assert stored[f"originals/{name}"] == b"content"


@pytest.mark.usefixtures("_task")
def test_a_save_whose_answer_was_lost_is_not_doubled(originals: Path, stored: Stored) -> None:
    store.fail("save_with", when="after")
    store.fail("stat", times=3)
    (originals / "a.pdf").write_bytes(b"content")
    assert {name for name in stored if name.startswith("originals/")} == {"originals/a.pdf"}
    assert not any(name.startswith("aside/") for name in stored)


def test_a_stream_goes_on_where_it_was() -> None:
    class Cut(io.BytesIO):
        left = 3

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 4 and self.left:
                self.left -= 1
                super().read(1)  # what was on its way is lost
                raise UnavailableError("the connection failed")
            return super().read(size)

    reader = patience.PatientReader(Cut(b"0123456789"), 60.0)
    assert b"".join(iter(lambda: reader.read(4), b"")) == b"0123456789"
    impatient = patience.PatientReader(Cut(b"0123456789"), 0.0)
    assert impatient.read(4) == b"0123"
    with pytest.raises(UnavailableError):
        impatient.read(4)


def test_a_request_does_not_wait(originals: Path, stored: Stored) -> None:
    stored["originals/a.pdf"] = b"A"
    patience.tasks.begin()
    try:
        with patience.answering():
            assert patience.seconds() == 0.0
            store.fail(times=None)
            with pytest.raises(UnavailableError):
                (originals / "a.pdf").read_bytes()
    finally:
        patience.tasks.end()


@only_ours
@pytest.mark.parametrize("page", ["download", "metadata"])
def test_a_read_answers_503_and_when_to_ask_again(stored: Stored, page: str) -> None:
    stored["originals/a.pdf"] = b"A"
    found = Document.objects.bulk_create([Document(title="t", filename="a.pdf")])[0]
    store.fail(times=None)
    answer = Client(raise_request_exception=False).get(f"/documents/{found.pk}/{page}/")
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert "does not answer" in answer.json()["detail"]
    store.heal()
    assert Client().get(f"/documents/{found.pk}/{page}/").status_code == 200


def test_what_the_storage_says_of_the_time_is_passed_on() -> None:
    error = UnavailableError("later", retry_after=33.2)
    answer: HttpResponse | None = unavailable(RequestFactory().get("/"), error)
    assert answer is not None
    assert answer["Retry-After"] == "34"
    assert unavailable(RequestFactory().get("/"), ValueError()) is None


def trashed(stored: Stored) -> Any:  # noqa: ANN401  # a model
    from django.utils import timezone

    stored["originals/gone.pdf"] = b"A"
    row = Document(title="gone", filename="gone.pdf", deleted_at=timezone.now())
    return Document.objects.bulk_create([row])[0]


@only_ours
def test_the_trash_does_not_say_ok_while_the_store_is_away(stored: Stored) -> None:
    document = trashed(stored)
    client = Client(raise_request_exception=False)
    body = {"documents": [document.pk]}
    store.fail(times=None)
    answer = client.post("/trash/", body, content_type="application/json")
    assert answer.status_code == 503
    assert "1 documents are still in the trash" in answer.json()["detail"]
    store.heal()
    assert Document.global_objects.filter(pk=document.pk).exists(), "the row stays with its file"
    assert "originals/gone.pdf" in stored
    answer = client.post("/trash/", body, content_type="application/json")
    assert (answer.status_code, answer.json()["result"]) == (200, "OK")
    assert "originals/gone.pdf" not in stored


@only_ours
def test_a_file_that_stayed_is_told_and_found_again(stored: Stored) -> None:
    document = trashed(stored)
    store.fail("delete", times=None)
    answer = Client(raise_request_exception=False).post(
        "/trash/", {"documents": [document.pk]}, content_type="application/json"
    )
    store.heal()
    assert answer.status_code == 503
    assert "1 of their files could not be deleted" in answer.json()["detail"]
    (incident,) = incidents.known(incidents.UNDELETED)
    assert (incident.area, incident.name) == ("originals", "gone.pdf")
    incidents.forget(incidents.UNDELETED, "originals", "gone.pdf")


def test_a_request_waits_for_the_lock_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it may be a task that waits for the store."""
    from paperfleet.locks.registry import open_lease_store

    leases = open_lease_store("memory:")
    monkeypatch.setattr(patience, "REQUEST_LOCK", 0.1)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with MediaLock(lambda: leases, 30.0):
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    try:
        with patience.answering(), pytest.raises(LeaseTimeoutError):
            MediaLock(lambda: leases, 30.0).acquire()
    finally:
        done.set()
        holder.join()
    error = LeaseTimeoutError("held")
    assert unavailable(RequestFactory().get("/"), error) is not None
