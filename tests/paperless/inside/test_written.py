"""What a task writes, undone and removed, on a real PostgreSQL and a storage in memory."""

from __future__ import annotations

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from django.db import connection, transaction

if connection.vendor != "postgresql":
    pytest.skip("a fleet needs PostgreSQL", allow_module_level=True)

from documents.models import Document

from paperfleet.paperless.activation import media_lock
from paperfleet.paperless.delivery import current, removal, rows, setup, states, written
from paperfleet.paperless.delivery.current import Attempt, AttemptOverError
from paperfleet.paperless.delivery.message import Message
from paperfleet.paperless.delivery.rows import StagedFile
from paperfleet.paperless.delivery.states import DeliveryLimits
from paperfleet.paperless.delivery.tasks import CONSUME
from paperfleet.paperless.documents import digests, intents, transactions
from paperfleet.paperless.documents.rows import is_named
from paperfleet.paperless.models import Work, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from pathlib import Path

    from paperfleet.storage.full import FullStorage
    from paperfleet.testing.faults import FaultyStorage

    Stored = MutableMapping[str, bytes]

TASK = "task"


@pytest.fixture(autouse=True)
def _fleet(store: FaultyStorage) -> Iterator[None]:  # noqa: ARG001  # emptied by it
    Work.objects.all().delete()
    Written.objects.all().delete()
    transactions.guard_commits_with(setup._Guard())
    intents.keep_with(written.Notes())
    yield
    transactions.guard_commits_with(None)
    intents.keep_with(None)
    assert transactions._mine.effects == []


@contextmanager
def attempt(*given: StagedFile) -> Iterator[Attempt]:
    """Run an attempt of a task, the first or the next one."""
    if not Work.objects.filter(task_id=TASK).exists():
        headers = {"id": TASK, "task": CONSUME, "expires": None}
        rows.add(Message(b"body", {"headers": headers, "routing_key": "celery"}), given)
    claim = rows.claim(TASK, DeliveryLimits())
    assert claim
    one = Attempt(claim)
    with current.running(one), one.until_end:
        yield one


def ends() -> None:
    """Let the task end."""
    Work.objects.all().delete()


def elsewhere(statement: str, *values: object) -> None:
    """Do something in the database as another process does."""
    parameters = {**connection.get_connection_params(), "autocommit": True}
    with closing(psycopg.connect(**parameters)) as other:
        other.execute(statement, values)


def taken_over() -> None:
    """Give the task to another worker."""
    elsewhere("UPDATE paperfleet_work SET attempt = attempt + 1")


class Stop(Exception):  # noqa: N818
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    """Open a transaction, or a savepoint in one, that an exception ends."""
    with suppress(Stop), transaction.atomic():
        yield
        raise Stop


def document(name: str, content: bytes) -> Any:  # noqa: ANN401  # a model of the project
    """Write the row of a document, past the signals that would rename its file."""
    digest = hashlib.sha256(content).hexdigest()
    row = Document(title=name, filename=name, checksum=digest)
    (made,) = Document.objects.bulk_create([row])
    return made


def notes() -> list[str]:
    return [f"{one.area}/{one.name}" for one in Written.objects.all()]


def left(stored: Stored) -> dict[str, bytes]:
    return {name: content for name, content in stored.items() if name != "paperfleet.json"}


def test_a_commit_forgets_and_a_rollback_leaves(originals: Path, stored: Stored) -> None:
    with attempt():
        with transaction.atomic():
            document("a.pdf", b"A")
            (originals / "a.pdf").write_bytes(b"A")
            assert notes() == ["originals/a.pdf"]
        assert notes() == []
        with rolled_back():
            (originals / "b.pdf").write_bytes(b"B")
        assert notes() == ["originals/b.pdf"]
        assert left(stored) == {"originals/a.pdf": b"A", "originals/b.pdf": b"B"}
        assert removal.settle(0) == [], "it may go on"
    ends()
    assert removal.settle(0) == ["originals/b.pdf"]
    assert left(stored) == {"originals/a.pdf": b"A"}
    assert notes() == []


def test_nothing_is_noted_outside_of_attempts(originals: Path, stored: Stored) -> None:
    with rolled_back():
        (originals / "a.pdf").write_bytes(b"A")
        assert notes() == []
    assert left(stored) == {}


def test_what_a_savepoint_undid_stays_noted_in_a_transaction_that_commits(
    originals: Path, stored: Stored
) -> None:
    with attempt(), transaction.atomic():
        document("a.pdf", b"A")
        (originals / "a.pdf").write_bytes(b"A")
        with rolled_back():
            (originals / "b.pdf").write_bytes(b"B")
    assert notes() == ["originals/b.pdf"]
    ends()
    assert removal.settle(0) == ["originals/b.pdf"]
    assert left(stored) == {"originals/a.pdf": b"A"}


def test_a_save_that_was_undone_and_repeated_is_kept(originals: Path, stored: Stored) -> None:
    with attempt(), transaction.atomic():
        document("a.pdf", b"AGAIN")
        with rolled_back():
            (originals / "a.pdf").write_bytes(b"A")
        (originals / "a.pdf").write_bytes(b"AGAIN")
    ends()
    assert removal.settle(0) == []
    assert left(stored) == {"originals/a.pdf": b"AGAIN"}
    assert notes() == []


def test_a_file_that_is_moved_is_noted_under_both_names(originals: Path, stored: Stored) -> None:
    for is_kept in (True, False):
        with attempt(), suppress(Stop), transaction.atomic():
            (originals / "a.pdf").write_bytes(b"A")
            shutil.move(originals / "a.pdf", originals / "b.pdf")
            if not is_kept:
                raise Stop
            document("b.pdf", b"A")
        assert left(stored) == {"originals/b.pdf": b"A"}
        assert notes() == ([] if is_kept else ["originals/a.pdf", "originals/b.pdf"])
        ends()
        removed = removal.settle(0)
        assert removed == ([] if is_kept else ["originals/b.pdf"])
        assert notes() == []
        Document.objects.all().delete()
        Document.global_objects.all().delete()
        stored.pop("originals/b.pdf", None)


def test_moves_that_a_savepoint_undid_are_undone_at_once(originals: Path, stored: Stored) -> None:
    with attempt(), transaction.atomic():
        document("a.pdf", b"A")
        (originals / "a.pdf").write_bytes(b"A")
        with rolled_back():
            shutil.move(originals / "a.pdf", originals / "b.pdf")
            shutil.move(originals / "b.pdf", originals / "c.pdf")
    ends()
    assert removal.settle(0) == []
    assert left(stored) == {"originals/a.pdf": b"A"}
    assert notes() == []


def test_a_file_that_was_written_twice_is_removed_too(originals: Path, stored: Stored) -> None:
    with attempt(), rolled_back():
        (originals / "a.pdf").write_bytes(b"A")
        (originals / "a.pdf").write_bytes(b"NEWER")
    ends()
    removal.settle(0)
    assert left(stored) == {}
    assert notes() == []


def test_a_name_that_a_document_of_the_same_transaction_had_is_given_back(
    originals: Path, stored: Stored
) -> None:
    document("a.pdf", b"A")
    stored["originals/a.pdf"] = b"A"
    with attempt(), rolled_back():
        (originals / "a.pdf").unlink()
        (originals / "a.pdf").write_bytes(b"NEW")
        assert notes() == []
    assert left(stored) == {"originals/a.pdf": b"A"}


def test_a_name_that_is_another_s_is_not_noted(originals: Path, stored: Stored) -> None:
    stored["originals/a.pdf"] = b"A"
    with attempt(), transaction.atomic():
        with pytest.raises(FileExistsError), (originals / "a.pdf").open("xb") as file:
            file.write(b"MINE")
        assert notes() == []


@pytest.mark.parametrize("is_over", [False, True])
def test_who_is_cut_off_restores_nothing_over_what_another_wrote(
    originals: Path, stored: Stored, *, is_over: bool
) -> None:
    document("a.pdf", b"A")
    stored["originals/a.pdf"] = b"A"
    with attempt(), rolled_back():
        (originals / "a.pdf").write_bytes(b"NEW")
        if is_over:
            taken_over()
            stored["originals/a.pdf"] = b"ANOTHER'S"
    assert stored["originals/a.pdf"] == (b"ANOTHER'S" if is_over else b"A")


@pytest.mark.parametrize("is_adopted", [False, True])
def test_who_is_cut_off_moves_nothing_back_that_a_row_names(
    originals: Path, stored: Stored, *, is_adopted: bool
) -> None:
    document("a.pdf", b"A")
    stored["originals/a.pdf"] = b"A"
    with attempt(), rolled_back():
        shutil.move(originals / "a.pdf", originals / "b.pdf")
        taken_over()
        if is_adopted:
            elsewhere("UPDATE documents_document SET filename = 'b.pdf'")
    assert left(stored) == {"originals/b.pdf" if is_adopted else "originals/a.pdf": b"A"}


def test_who_is_cut_off_writes_nothing(originals: Path, stored: Stored) -> None:
    def write() -> None:
        with transaction.atomic():
            taken_over()
            (originals / "a.pdf").write_bytes(b"A")

    with attempt(), pytest.raises(AttemptOverError):
        write()
    assert left(stored) == {}


def test_what_is_being_removed_cannot_be_committed(originals: Path) -> None:
    """Whatever made the sweeper think so: the note is a fence of its own."""

    def write() -> None:
        with transaction.atomic():
            document("a.pdf", b"A")
            (originals / "a.pdf").write_bytes(b"A")
            elsewhere("UPDATE paperfleet_written SET removing = now()")

    with attempt(), pytest.raises(AttemptOverError, match="being removed"):
        write()
    assert not Document.objects.exists()


def test_what_was_swept_too_early_is_noted_again(originals: Path, stored: Stored) -> None:
    """The sweeper saw no file; then the request of a host that was cut off arrived."""
    with attempt(), rolled_back():
        (originals / "a.pdf").write_bytes(b"A")
        elsewhere("DELETE FROM paperfleet_written")
    assert notes() == ["originals/a.pdf"]
    ends()
    assert removal.settle(0) == ["originals/a.pdf"]
    assert left(stored) == {}


# What the sweeper leaves


def orphaned(originals: Path, name: str = "a.pdf", content: bytes = b"A") -> None:
    """Let a task write a file, and end without its document."""
    with attempt(), rolled_back():
        (originals / name).write_bytes(content)
    ends()
    assert notes() == [f"{originals.name}/{name}"]


def test_other_content_stays(originals: Path, stored: Stored) -> None:
    orphaned(originals)
    stored["originals/a.pdf"] = b"B"
    assert removal.settle(0) == []
    assert left(stored) == {"originals/a.pdf": b"B"}
    assert notes() == [], "paperfleet_check calls it orphaned"


@pytest.mark.parametrize("name", ["a.pdf", "A.PDF", "folder/../a.pdf"])
@pytest.mark.parametrize("is_trashed", [False, True])
def test_what_a_row_names_stays(
    originals: Path, stored: Stored, name: str, *, is_trashed: bool
) -> None:
    orphaned(originals)
    one = document(name, b"A")
    if is_trashed:
        one.delete()
    assert removal.settle(0) == []
    assert left(stored) == {"originals/a.pdf": b"A"}


def test_what_a_document_of_old_has_by_its_number_stays(originals: Path, stored: Stored) -> None:
    one = Document.objects.create(title="old", checksum="")
    orphaned(originals, f"{one.pk:07}.pdf")
    assert removal.settle(0) == []
    assert left(stored) == {f"originals/{one.pk:07}.pdf": b"A"}


def test_what_may_be_the_rest_of_a_document_stays(originals: Path, stored: Stored) -> None:
    orphaned(originals)
    document("gone.pdf", b"A")
    assert removal.settle(0) == []
    assert left(stored) == {"originals/a.pdf": b"A"}
    orphaned(originals, "b.pdf")
    stored["originals/gone.pdf"] = b"A"
    assert removal.settle(0) == ["originals/b.pdf"]


@pytest.mark.parametrize("is_staged", [True, False])
def test_the_last_copy_of_an_upload_stays(
    originals: Path, stored: Stored, *, is_staged: bool
) -> None:
    """As after a restore of the database: in truth the document was committed."""
    given = StagedFile("staging/task/0", "/scratch/a", 1, hashlib.sha256(b"A").hexdigest(), 0)
    stored["staging/task/0"] = b"A"
    with attempt(given), rolled_back():
        (originals / "a.pdf").write_bytes(b"A")
    Work.objects.update(state=states.FAILED)
    if not is_staged:
        del stored["staging/task/0"]
    assert removal.settle(0) == (["originals/a.pdf"] if is_staged else [])
    assert ("originals/a.pdf" in stored) is not is_staged
    assert notes() == []


def test_a_name_that_an_open_transaction_has_just_given_stays(
    originals: Path, stored: Stored
) -> None:
    """As when paperless-ngx finds a document's file under its new name already."""
    orphaned(originals)
    one = document("old.pdf", b"B")
    stored["originals/old.pdf"] = b"B"
    with closing(psycopg.connect(**connection.get_connection_params())) as other:
        rename = "UPDATE documents_document SET filename = 'a.pdf' WHERE id = %s"
        other.execute(rename, (one.pk,))
        assert removal.settle(0) == []
        assert notes() == ["originals/a.pdf"]
        other.commit()
    assert removal.settle(0) == []
    assert "originals/a.pdf" in stored
    assert notes() == []


def test_a_name_that_is_given_while_others_are_waited_for_stays(
    originals: Path, stored: Stored
) -> None:
    orphaned(originals)
    one = document("old.pdf", b"B")
    stored["originals/old.pdf"] = b"B"
    with (
        closing(psycopg.connect(**connection.get_connection_params())) as other,
        in_another_thread() as settled,
        ThreadPoolExecutor(1) as pool,
    ):
        rename = "UPDATE documents_document SET filename = 'a.pdf' WHERE id = %s"
        other.execute(rename, (one.pk,))
        waiting = pool.submit(settled)
        wait_for_lock(other)
        other.commit()
        assert waiting.result(60) == []
    assert "originals/a.pdf" in stored
    assert notes() == []


def wait_for_lock(session: psycopg.Connection[Any]) -> None:
    """Return once somebody waits for the table of documents; the sweeper does for 5 s."""
    query = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'documents_document'::regclass"
    end = time.monotonic() + 30
    while session.execute(query).fetchone() is None:
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.02)


def test_what_changes_while_it_is_looked_at_stays(
    originals: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphaned(originals)
    read = digests.read

    def changing(storage: FullStorage, name: str) -> digests.FileDigests:
        found = read(storage, name)
        stored["originals/a.pdf"] = b"LONGER"
        return found

    monkeypatch.setattr(digests, "read", changing)
    assert removal.settle(0) == []
    assert left(stored) == {"originals/a.pdf": b"LONGER"}
    assert notes() == ["originals/a.pdf"], "it is looked at again"


def test_a_media_lock_that_is_held_keeps_it(
    originals: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphaned(originals)
    monkeypatch.setattr(removal, "_LOCK_SECONDS", 0.5)
    with media_lock(), in_another_thread() as settled:
        assert settled() == []
    assert notes() == ["originals/a.pdf"]
    assert removal.settle(0) == ["originals/a.pdf"]
    assert left(stored) == {}


@contextmanager
def in_another_thread() -> Iterator[Callable[[], list[str]]]:
    def settled() -> list[str]:
        try:
            return removal.settle(0)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(settled).result(60)


def test_a_thumbnail_goes_with_its_number(stored: Stored) -> None:
    one = document("a.pdf", b"A")
    for number in (one.pk, one.pk + 1):
        stored[f"thumbnails/{number:07}.webp"] = b"T"
    assert is_named("thumbnails", f"{one.pk:07}.webp")
    assert not is_named("thumbnails", f"{one.pk + 1:07}.webp")
    assert is_named("thumbnails", "of somebody.webp"), "nobody knows whose it is"


def test_the_end_of_an_attempt_is_final(originals: Path, stored: Stored) -> None:
    """A retry keeps the row and its task: the next attempt has another number."""
    with attempt(), rolled_back():
        (originals / "a.pdf").write_bytes(b"A")
    Work.objects.update(state=states.WAITING)
    with attempt() as second:
        assert second.claim.attempt == 2
        assert removal.settle(0) == ["originals/a.pdf"]
        with transaction.atomic():
            document("a.pdf", b"SECOND")
            (originals / "a.pdf").write_bytes(b"SECOND")
    assert left(stored) == {"originals/a.pdf": b"SECOND"}
