"""What tasks write and do not commit: real PostgreSQL, Redis and workers; S3 by moto."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.paperless.delivery_kit import (
    ON_SERVERS,
    Fleet,
    emptied,
    fleet_with_tables,
    go_on,
    passed,
    wait_for,
)
from tests.wide import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = ON_SERVERS
EVERYWHERE = {
    "PAPERLESS_FILENAME_FORMAT": "{{ title }}",
    # A worker that is stopped may have the media lock: nobody waits a minute for it here.
    "PAPERFLEET_MEDIA_LOCK_SECONDS": "5",
}
SETTLED = 1300
"""Seconds, more than until what was not committed is removed."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_with_tables(tmp_path_factory.mktemp("fleet"), more=EVERYWHERE) as fleet:
        yield fleet


@pytest.fixture
def fleet(servers: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    yield from emptied(servers, tmp_path)


def stored(fleet: Fleet) -> dict[str, bytes]:
    """Return the originals by name."""
    found = fleet.objects("originals")
    return {key.removeprefix("fleet/originals/"): fleet.content(key) for key in found}


def lost_at(fleet: Fleet, point: str) -> None:
    """Let a host that works on the only task die at a moment, and another one do it."""
    with fleet.host("first").worker(f"{point}:wait") as worker:
        passed(fleet, point)
        fleet.host("first").kill(worker)
    taken_over(fleet)


def taken_over(fleet: Fleet) -> None:
    """Let the only task be done by another host."""
    fleet.age(16)
    assert fleet.host("web").sweep() == ["Fence"]
    with fleet.host("second").worker():
        wait_for("the document", fleet.all_ended)


@pytest.mark.parametrize("point", ["save.stored", pytest.param("run.fenced", marks=WIDE)])
def test_what_a_dead_host_wrote_and_did_not_commit_is_removed(fleet: Fleet, point: str) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    lost_at(fleet, point)
    assert stored(fleet) == {"a.pdf": b"content of a", "a_01.pdf": b"content of a"}
    written = fleet.notes()
    assert written[0] == "originals/a.pdf"
    assert len(written) == (1 if point == "save.stored" else 2), "the thumbnail comes later"
    told = fleet.host("web").check()
    assert told["agrees"]
    assert sorted(one["name"] for one in told["uncommitted"]) == sorted(written)
    assert told["orphaned"] == []
    assert fleet.host("web").settle(later=1000) == [], "its requests may still be under way"
    assert fleet.host("web").settle(SETTLED) == written
    assert stored(fleet) == {"a_01.pdf": b"content of a"}
    assert fleet.ask("SELECT filename FROM documents_document") == [("a_01.pdf",)]
    assert len(fleet.objects("thumbnails")) == 1
    assert fleet.notes() == []
    told = fleet.host("web").check()
    assert (told["agrees"], told["uncommitted"]) == (True, [])


@WIDE
def test_what_a_dead_host_was_about_to_write_is_forgotten(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    lost_at(fleet, "save.noted")
    assert stored(fleet) == {"a.pdf": b"content of a"}
    assert fleet.notes() == ["originals/a.pdf"]
    assert fleet.host("web").settle(SETTLED) == [], "it is the document of the second attempt"
    assert fleet.notes() == []
    assert stored(fleet) == {"a.pdf": b"content of a"}


@WIDE
def test_what_a_committed_document_has_is_not_noted_any_more(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    lost_at(fleet, "run.committed")
    assert fleet.notes() == []
    assert fleet.host("web").settle(SETTLED) == []
    assert stored(fleet) == {"a.pdf": b"content of a"}


def test_a_worker_that_comes_back_removes_nothing_under_a_name_that_another_has(
    fleet: Fleet,
) -> None:
    """It wrote ``a.pdf``, which the sweeper has removed since; the next upload got the name."""
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("save.stored:wait") as worker:
        passed(fleet, "save.stored")
        os.killpg(worker.pid, signal.SIGSTOP)
        # Its transaction has rows of documents: nobody is at rest before the database ends it.
        fleet.age(16)
        assert fleet.host("web").sweep() == ["Fence"]
        with fleet.host("second").worker():
            wait_for("the document", fleet.all_ended)
            assert fleet.host("web").settle(SETTLED) == []
            assert fleet.notes() == ["originals/a.pdf"], "a transaction may still name it"
            end_transactions(fleet)
            assert fleet.host("web").settle(SETTLED) == ["originals/a.pdf"]
            fleet.host("web").upload("a.pdf", "other content")
            wait_for("the other document", fleet.all_ended)
        assert stored(fleet) == {"a.pdf": b"other content", "a_01.pdf": b"content of a"}
        go_on(fleet, "save.stored")
        os.killpg(worker.pid, signal.SIGCONT)
        wait_for("the first worker to hear of it", lambda: heard(fleet))
    assert stored(fleet) == {"a.pdf": b"other content", "a_01.pdf": b"content of a"}
    assert fleet.host("web").settle(SETTLED) == []
    assert fleet.notes() == []
    assert stored(fleet) == {"a.pdf": b"other content", "a_01.pdf": b"content of a"}
    told = fleet.host("web").check()
    assert (told["agrees"], told["uncommitted"]) == (True, [])


def heard(fleet: Fleet) -> bool:
    log = fleet.host("first").log()
    return "given to another" in log or "attempt 1: " in log


def end_transactions(fleet: Fleet) -> None:
    """End the transactions of who was cut off, as the database does when it finds out."""
    ended = fleet.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert ended
    wait_for(
        "no transaction",
        lambda: (
            not fleet.ask(
                "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'"
                " AND datname = current_database()"
            )
        ),
    )


@WIDE
def test_a_worker_that_comes_back_before_it_wrote_writes_nothing(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("save.noted:wait") as worker:
        passed(fleet, "save.noted")
        os.killpg(worker.pid, signal.SIGSTOP)
        taken_over(fleet)
        end_transactions(fleet)
        assert fleet.host("web").settle(SETTLED) == []
        assert fleet.notes() == []
        go_on(fleet, "save.noted")
        os.killpg(worker.pid, signal.SIGCONT)
        wait_for("the first worker to hear of it", lambda: heard(fleet))
    assert stored(fleet) == {"a.pdf": b"content of a"}
    assert fleet.notes() == []


@WIDE
def test_what_a_task_that_fails_has_written_is_removed(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "fail late")
    with fleet.host("worker").worker():
        wait_for("the end", lambda: fleet.rows() == [("failed", 1, 0)])
    written = fleet.notes()
    assert len(written) == 2
    assert fleet.host("web").settle(SETTLED) == written
    assert (stored(fleet), fleet.objects("thumbnails")) == ({}, [])
    assert len(fleet.objects("staging")) == 1, "the upload itself is kept"


def test_what_a_running_task_writes_is_no_orphan_and_stays(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("worker").worker("save.stored:wait"):
        passed(fleet, "save.stored")
        told = fleet.host("web").check()
        assert (told["agrees"], told["orphaned"], told["uncommitted"]) == (True, [], [])
        assert "1 file of tasks that run have no document yet" in told["notes"]
        assert fleet.host("web").settle(SETTLED) == []
        go_on(fleet, "save.stored")
        wait_for("the document", fleet.all_ended)
    assert stored(fleet) == {"a.pdf": b"content of a"}
    assert fleet.notes() == []


@WIDE
@pytest.mark.parametrize("point", ["sweep.claimed", "sweep.at_rest", "sweep.removed"])
def test_a_sweeper_that_is_killed_is_followed_by_another_an_hour_later(
    fleet: Fleet, point: str
) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    lost_at(fleet, "save.stored")
    fleet.host("web").settle(SETTLED, fails=True, PAPERFLEET_TEST_POINT=f"{point}:kill")
    assert fleet.notes() == ["originals/a.pdf"]
    assert ("a.pdf" in stored(fleet)) is (point != "sweep.removed")
    assert fleet.host("web").settle(SETTLED) == [], "a request of the first may be under way"
    if point == "sweep.removed":  # the name is free, and so somebody gets it
        fleet.host("web").upload("a.pdf", "other content")
        with fleet.host("second").worker():
            wait_for("the other document", fleet.all_ended)
    fleet.ask("UPDATE paperfleet_written SET removing = removing - interval '61 minutes'")
    removed = ["originals/a.pdf"] if point != "sweep.removed" else []
    assert fleet.host("web").settle(SETTLED) == removed
    assert fleet.notes() == []
    assert stored(fleet)["a_01.pdf"] == b"content of a"
    assert stored(fleet).get("a.pdf") == (None if removed else b"other content")
    assert fleet.host("web").check()["agrees"]


@WIDE
def test_a_store_that_is_away_is_asked_again(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    lost_at(fleet, "save.stored")
    away = {"PAPERLESS_DOCUMENT_STORAGE_OPTIONS": "{}"}
    options = fleet.variables()["PAPERLESS_DOCUMENT_STORAGE_OPTIONS"]
    away["PAPERLESS_DOCUMENT_STORAGE_OPTIONS"] = options.replace(
        str(fleet.s3.endpoint_url), "http://127.0.0.1:9"
    )
    fleet.host("web").settle(SETTLED, fails=True, **away)
    assert fleet.notes() == ["originals/a.pdf"]
    fleet.ask("UPDATE paperfleet_written SET removing = NULL")
    assert fleet.host("web").settle(SETTLED) == ["originals/a.pdf"]


@WIDE
def test_the_sweeper_of_a_scheduler_removes_it_by_itself(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    lost_at(fleet, "save.stored")
    fleet.ask("UPDATE paperfleet_written SET ended = now() - interval '20 minutes'")
    with fleet.host("web").sweeping():
        wait_for("it to be removed", lambda: not fleet.notes())
    assert stored(fleet) == {"a_01.pdf": b"content of a"}
