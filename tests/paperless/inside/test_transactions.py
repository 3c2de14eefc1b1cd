"""Documents follow the database: commit, rollback, savepoints, and a kill in between."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from tests.paperless.inside import stores
from tests.paperless.inside.stores import store

from paperfleet.errors import AlreadyExistsError
from paperfleet.paperless.documents import transactions

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

    Stored = MutableMapping[str, bytes]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    yield
    assert transactions._mine.effects == []
    assert not transactions.in_transaction()


@pytest.fixture
def a(originals: Path, stored: Stored) -> Path:
    stored["originals/a.pdf"] = b"A"
    return originals / "a.pdf"


def documents(stored: Stored) -> dict[str, bytes]:
    """Return what is stored, but for the mark."""
    return {name: content for name, content in stored.items() if name != "paperfleet.json"}


class Stop(Exception):  # noqa: N818
    pass


@contextmanager
def rolled_back() -> Iterator[None]:
    """Open a transaction, or a savepoint in one, that an exception ends."""
    with suppress(Stop), transaction.atomic():
        yield
        raise Stop


def replace(a: Path) -> None:
    a.write_bytes(b"NEW")


def replace_twice(a: Path) -> None:
    a.write_bytes(b"NEW")
    a.write_bytes(b"NEWER")


def move(a: Path) -> None:
    shutil.move(a, a.parent / "folder" / "b.pdf")


def move_twice(a: Path) -> None:
    move(a)
    shutil.move(a.parent / "folder" / "b.pdf", a.parent / "c.pdf")


def move_and_refill(a: Path) -> None:
    move(a)
    a.write_bytes(b"NEW")


def delete(a: Path) -> None:
    a.unlink()


def delete_and_recreate(a: Path) -> None:
    a.unlink()
    a.write_bytes(b"NEW")


def delete_recreate_delete(a: Path) -> None:
    delete_and_recreate(a)
    a.unlink()


def delete_and_move_there(a: Path) -> None:
    a.with_name("z.pdf").write_bytes(b"Z")
    a.unlink()
    shutil.move(a.with_name("z.pdf"), a)


def rename_over(a: Path) -> None:
    a.with_name("z.pdf").write_bytes(b"Z")
    a.with_name("z.pdf").replace(a)


def save_and_delete(a: Path) -> None:
    a.with_name("z.pdf").write_bytes(b"Z")
    a.with_name("z.pdf").unlink()


def swap(a: Path) -> None:
    b, between = a.with_name("b.pdf"), a.with_name("between.pdf")
    b.write_bytes(b"B")
    shutil.move(a, between)
    shutil.move(b, a)
    shutil.move(between, b)


def copy_within(a: Path) -> None:
    shutil.copy(a, a.with_name("copy.pdf"))


WORK = {
    replace: {"originals/a.pdf": b"NEW"},
    replace_twice: {"originals/a.pdf": b"NEWER"},
    move: {"originals/folder/b.pdf": b"A"},
    move_twice: {"originals/c.pdf": b"A"},
    move_and_refill: {"originals/a.pdf": b"NEW", "originals/folder/b.pdf": b"A"},
    delete: {},
    delete_and_recreate: {"originals/a.pdf": b"NEW"},
    delete_recreate_delete: {},
    delete_and_move_there: {"originals/a.pdf": b"Z"},
    rename_over: {"originals/a.pdf": b"Z"},
    save_and_delete: {"originals/a.pdf": b"A"},
    swap: {"originals/a.pdf": b"B", "originals/b.pdf": b"A"},
    copy_within: {"originals/a.pdf": b"A", "originals/copy.pdf": b"A"},
}
each_work = pytest.mark.parametrize("work", WORK)


@each_work
def test_without_a_transaction(work: Any, a: Path, stored: Stored) -> None:  # noqa: ANN401
    work(a)
    assert documents(stored) == WORK[work]


@each_work
def test_a_commit_keeps_what_was_done(work: Any, a: Path, stored: Stored) -> None:  # noqa: ANN401
    with transaction.atomic():
        work(a)
    assert documents(stored) == WORK[work]


@each_work
def test_within_the_transaction_it_is_seen_as_done(work: Any, a: Path) -> None:  # noqa: ANN401
    with transaction.atomic():
        work(a)
        names = {f"originals/{p.relative_to(a.parent)}" for p in a.parent.rglob("*.pdf")}
        assert names == set(WORK[work])
        for name, content in WORK[work].items():
            path = a.parent / name.removeprefix("originals/")
            assert path.is_file()
            assert path.read_bytes() == content
        assert a.exists() == ("originals/a.pdf" in WORK[work])


@each_work
def test_a_rollback_takes_it_back(work: Any, a: Path, stored: Stored) -> None:  # noqa: ANN401
    with rolled_back():
        work(a)
    assert documents(stored) == {"originals/a.pdf": b"A"}
    assert a.read_bytes() == b"A"


@each_work
def test_a_rollback_to_a_savepoint_takes_its_part_back(
    work: Any,  # noqa: ANN401
    a: Path,
    stored: Stored,
) -> None:
    with transaction.atomic():
        a.with_name("kept.pdf").write_bytes(b"kept")
        with rolled_back():
            work(a)
        assert a.read_bytes() == b"A"
    assert documents(stored) == {"originals/a.pdf": b"A", "originals/kept.pdf": b"kept"}


@each_work
def test_an_outer_rollback_takes_a_finished_inner_block_back(
    work: Any,  # noqa: ANN401
    a: Path,
    stored: Stored,
) -> None:
    with rolled_back():
        with transaction.atomic():
            work(a)
        with transaction.atomic(savepoint=False):
            a.with_name("more.pdf").write_bytes(b"more")
    assert documents(stored) == {"originals/a.pdf": b"A"}


@each_work
def test_two_rounds_of_the_same(work: Any, a: Path, stored: Stored) -> None:  # noqa: ANN401
    """A savepoint that was rolled back leaves nothing that disturbs a second try."""
    with transaction.atomic():
        with rolled_back():
            work(a)
        work(a)
    assert documents(stored) == WORK[work]


def test_set_rollback_counts_as_a_rollback(a: Path, stored: Stored) -> None:
    with transaction.atomic():
        move(a)
        transaction.set_rollback(True)
    assert documents(stored) == {"originals/a.pdf": b"A"}


def test_effects_and_callbacks_keep_their_order(a: Path, stored: Stored) -> None:
    seen: list[object] = []
    with transaction.atomic():
        transaction.on_commit(lambda: seen.append("originals/a.pdf" in stored))
        a.unlink()
        transaction.on_commit(lambda: seen.append("originals/a.pdf" in stored))
    assert seen == [True, False]


def test_a_deleted_document_is_there_for_others_until_the_commit(a: Path, stored: Stored) -> None:
    seen: list[object] = []

    def other() -> None:
        seen.append(a.read_bytes())

    with transaction.atomic():
        a.unlink()
        assert not a.exists()
        with pytest.raises(FileNotFoundError):
            a.read_bytes()
        with pytest.raises(FileNotFoundError):
            a.unlink()
        assert list(a.parent.iterdir()) == []
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
    assert seen == [b"A"]
    assert documents(stored) == {}


def test_a_storage_that_fails_during_the_work_is_an_error_and_a_rollback(
    a: Path, stored: Stored
) -> None:
    store.fail("save_with", "originals/b.pdf", times=None)

    @transaction.atomic
    def work() -> None:
        a.with_name("c.pdf").write_bytes(b"C")
        a.with_name("b.pdf").write_bytes(b"B")

    with pytest.raises(OSError, match="a fault of the test"):
        work()
    assert documents(stored) == {"originals/a.pdf": b"A"}


def test_a_delete_that_fails_after_the_commit_is_said_and_leaves_the_file(
    a: Path, stored: Stored, caplog: pytest.LogCaptureFixture
) -> None:
    store.fail("delete", times=None)
    logging.getLogger("paperfleet").propagate = True
    with caplog.at_level(logging.ERROR, "paperfleet.paperless"), transaction.atomic():
        a.unlink()
    assert "could not be finished after the commit" in caplog.text
    assert "paperfleet_check --repair" in caplog.text
    assert documents(stored) == {"originals/a.pdf": b"A"}


def test_what_cannot_be_taken_back_is_said_and_the_rest_goes_on(
    a: Path, stored: Stored, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "paperfleet.paperless"), rolled_back():
        move(a)
        a.with_name("b.pdf").write_bytes(b"B")
        store.fail("delete", "originals/b.pdf", times=None)
    assert "could not be finished after the rollback" in caplog.text
    assert documents(stored) == {"originals/a.pdf": b"A", "originals/b.pdf": b"B"}


def test_a_rollback_leaves_what_somebody_else_put_there(a: Path, stored: Stored) -> None:
    with rolled_back():
        move(a)
        stored["originals/a.pdf"] = b"of somebody else"
    assert stored["originals/a.pdf"] == b"of somebody else"
    assert stored["originals/folder/b.pdf"] == b"A"


def test_a_move_never_overwrites(a: Path, stored: Stored) -> None:
    stored["originals/b.pdf"] = b"B"
    with pytest.raises(AlreadyExistsError), transaction.atomic():
        shutil.move(a, a.with_name("b.pdf"))
    assert documents(stored) == {"originals/a.pdf": b"A", "originals/b.pdf": b"B"}


def test_threads_have_transactions_of_their_own(a: Path, stored: Stored) -> None:
    from django.db import connections

    def other() -> None:
        try:
            a.with_name("other.pdf").write_bytes(b"other")
            transactions.settle()
        finally:
            connections.close_all()

    with rolled_back():
        replace(a)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20)
    assert documents(stored) == {"originals/a.pdf": b"A", "originals/other.pdf": b"other"}


KILLED = """
    import django, os, signal
    django.setup()
    from pathlib import Path
    from django.conf import settings
    from django.db import transaction
    import shutil
    root = Path(settings.ORIGINALS_DIR)
    (root / "a.pdf").write_bytes(b"A")
    (root / "m.pdf").write_bytes(b"M")
    (root / "d.pdf").write_bytes(b"D")
    with transaction.atomic():
        (root / "new.pdf").write_bytes(b"N")
        (root / "a.pdf").write_bytes(b"NEW")
        shutil.move(root / "m.pdf", root / "moved.pdf")
        (root / "d.pdf").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_every_content_where_it_can_be_listed(tmp_path: Path) -> None:
    place = tmp_path / "store"
    environment = {
        **os.environ,
        "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.LocalFilesystemBackend",
        "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": f'{{"root": "{place}"}}',
        "PAPERLESS_SCRATCH_DIR": str(tmp_path),
        "PAPERLESS_DATA_DIR": str(stores.belonging(tmp_path / "data", place)),
    }
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED)], env=environment)
    assert done.returncode == -signal.SIGKILL
    found = {
        str(path.relative_to(place)): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file() and path.name != "paperfleet.json"
    }
    aside = {name: content for name, content in found.items() if name.startswith("aside/")}
    assert [name.split("/", 2)[2] for name in aside] == ["originals/a.pdf"]
    assert list(aside.values()) == [b"A"]
    assert {name: c for name, c in found.items() if name not in aside} == {
        "originals/a.pdf": b"NEW",
        "originals/moved.pdf": b"M",
        "originals/d.pdf": b"D",
        "originals/new.pdf": b"N",
    }
