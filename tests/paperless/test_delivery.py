"""Tasks between hosts without a common folder: real PostgreSQL, Redis and workers; S3 by moto."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.paperless.children import SMALL
from tests.paperless.delivery_kit import (
    ON_SERVERS,
    PATIENCE,
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


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_with_tables(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def fleet(servers: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    yield from emptied(servers, tmp_path)


def local_files(fleet: Fleet, host: str, folder: str = "scratch_dir") -> list[str]:
    below = fleet.host(host).folder / folder
    return [path.name for path in below.rglob("*") if path.is_file()]


def test_what_one_host_takes_another_makes_into_a_document(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    assert fleet.rows() == [("waiting", 0, 0)]
    assert len(fleet.objects("staging")) == 1
    assert local_files(fleet, "web") == []
    with fleet.host("worker").worker():
        wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    assert fleet.objects("staging") == []
    assert local_files(fleet, "worker") == []


FULL = """
from paperfleet.errors import UnavailableError
from paperfleet.paperless.activation import documents
documents.require_usable()
def refuse(name, upload, expect):
    raise UnavailableError("is full", operation="save", name=name)
documents.opened().save_with = refuse
"""
CONSUME = """
from documents.data_models import ConsumableDocument
from documents.tasks import consume_file
consume_file.apply_async(kwargs={{"input_doc": ConsumableDocument({path!r})}})
"""
BEFORE = ("run.claimed", "run.restored", "run.fenced", "run.committed")
AFTER = ("run.returned", "finish.row")
"""Celery may have stored the result there, and then it gives the message to nobody again."""


@WIDE
def test_a_task_whose_child_is_killed_at_each_moment_makes_one_document(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    points = ",".join(f"{name}:kill" for name in (*BEFORE, *AFTER))
    with fleet.host("worker").worker(points, PAPERFLEET_TASK_DEATHS="20"):
        passed(fleet, "run.returned")
        fleet.age(16)
        assert fleet.host("web").sweep() == ["Fence"]
        passed(fleet, "finish.row")
    assert all((fleet.folder / "gate" / name).exists() for name in BEFORE)
    assert fleet.rows() == []
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    left = fleet.objects("staging")
    assert fleet.host("web").sweep_staging(later=3000) == []
    assert [f"fleet/{key}" for key in fleet.host("web").sweep_staging(later=4000)] == left


def test_a_dead_host_s_task_is_the_next_that_another_one_begins(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("run.restored:wait") as worker:
        passed(fleet, "run.restored")
        assert fleet.statuses() == ["started"]
        fleet.host("first").kill(worker)
    assert fleet.host("web").sweep() == [], "its last heartbeat is not old"
    fleet.host("web").upload("b.pdf", "content of b")
    fleet.age(16)
    assert fleet.host("web").sweep() == ["Fence"]
    assert fleet.rows() == [("waiting", 1, 1), ("waiting", 0, 0)]
    assert fleet.statuses() == ["pending"] * 2
    with fleet.host("second").worker():
        wait_for("the documents", fleet.all_ended)
    assert fleet.ask("SELECT title FROM documents_document ORDER BY id") == [("a",), ("b",)]
    assert fleet.statuses() == ["success"] * 2
    assert fleet.objects("staging") == []


@WIDE
def test_a_dead_host_s_task_runs_elsewhere_after_its_silence_and_a_sweep(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("web").sweeping():
        with fleet.host("first").worker("run.restored:wait") as worker:
            passed(fleet, "run.restored")
            fleet.host("first").kill(worker)
        killed = time.monotonic()
        with fleet.host("second").worker():
            wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    ((marks,),) = fleet.ask("SELECT broker_marks FROM paperfleet_installation")
    mark = wait_for("a mark", lambda: fleet.broker().get("pre paperfleet-fleet"))
    assert mark.decode() in marks, "by which others find that they have this Redis"
    print(f"done {time.monotonic() - killed:.1f} s after the kill, with a silence of 15 s")


@WIDE
def test_a_worker_that_is_asked_to_end_ends_its_task_and_gives_back_the_next(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    fleet.host("web").upload("b.pdf", "content of b")
    with contextlib.closing(fleet.broker()) as broker:
        with fleet.host("worker").worker("run.restored:wait") as worker:
            passed(fleet, "run.restored")
            wait_for("it has taken the next one", lambda: broker.llen("pre celery") == 0)
            os.kill(worker.pid, signal.SIGTERM)
            wait_for("it hears of it", lambda: "Warm shutdown" in fleet.host("worker").log())
            go_on(fleet, "run.restored")
            assert worker.wait(PATIENCE) == 0
        assert broker.llen("pre celery") == 1
    assert fleet.titles() == ["a"]
    assert fleet.rows() == [("waiting", 0, 0)]
    assert fleet.statuses() == ["success", "pending"]


CONFIGURED = """
from celery import current_app
from paperfleet.paperless.delivery.tasks import REPEATED, TASKS
for name in sorted(TASKS.keys() & current_app.tasks.keys()):
    task = current_app.tasks[name]
    assert (bool(task.acks_late), bool(task.reject_on_worker_lost)) == (name in REPEATED,) * 2, name
    print("task", name)
print("visibility", current_app.conf.broker_transport_options["visibility_timeout"])
"""


def test_the_broker_keeps_what_runs_and_gets_back_what_may_be_repeated(fleet: Fleet) -> None:
    told = fleet.host("worker").python(CONFIGURED, PAPERLESS_WORKER_TIMEOUT="7200")
    (visibility,) = (line for line in told.splitlines() if line.startswith("visibility"))
    assert int(visibility.split()[1]) > 2 * 7200
    assert {"task documents.tasks.consume_file", "task documents.bulk_edit.delete"} <= set(
        told.splitlines()
    )


@WIDE
def test_what_a_dead_worker_had_taken_and_not_begun_runs_elsewhere(fleet: Fleet) -> None:
    """Without ``--disable-prefetch`` (Celery before 5.6) a worker takes more than it runs."""
    for name in "abc":
        fleet.host("web").upload(f"{name}.pdf", f"content of {name}")
    with fleet.host("first").worker("run.restored:wait") as worker:
        passed(fleet, "run.restored")
        with contextlib.closing(fleet.broker()) as broker:
            wait_for("it takes more", lambda: broker.hlen("pre unacked") > 1)
        fleet.host("first").kill(worker)
    fleet.age(61)
    assert set(fleet.host("web").sweep()) == {"Fence", "Offer"}
    with fleet.host("second").worker():
        wait_for("all documents", fleet.all_ended)
    assert fleet.titles() == ["a", "b", "c"]
    assert fleet.objects("staging") == []


@WIDE
def test_a_document_that_a_dead_host_has_made_is_not_made_again(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("run.committed:wait") as worker:
        passed(fleet, "run.committed")
        fleet.host("first").kill(worker)
    fleet.age(16)
    assert fleet.host("web").sweep() == ["Fence"]
    with fleet.host("second").worker():
        wait_for("the end of the task", fleet.all_ended)
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    assert fleet.objects("staging") == []


def test_a_worker_that_was_away_and_comes_back_writes_nothing(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("run.restored:wait") as worker:
        passed(fleet, "run.restored")
        os.killpg(worker.pid, signal.SIGSTOP)
        fleet.age(16)
        assert fleet.host("web").sweep() == ["Fence"]
        with fleet.host("second").worker():
            wait_for("the document", fleet.all_ended)
        before = fleet.objects("originals")
        go_on(fleet, "run.restored")
        os.killpg(worker.pid, signal.SIGCONT)
        wait_for(
            "the first worker to hear of it",
            lambda: "given to another" in fleet.host("first").log(),
        )
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    assert fleet.objects("originals") == before
    assert fleet.objects("staging") == []


@WIDE
def test_a_host_that_vanishes_before_its_commit_holds_nothing_up(fleet: Fleet) -> None:
    """Its transaction is open and has the row; the database ends it after 30 seconds."""
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("run.fenced:wait") as worker:
        passed(fleet, "run.fenced")
        os.killpg(worker.pid, signal.SIGSTOP)
        assert fleet.host("web").sweep() == []
        fleet.age(16)  # it waits for the row
        assert fleet.host("web").sweep() == ["Fence"]
        with fleet.host("second").worker():
            wait_for("the document", fleet.all_ended)
        assert len(fleet.objects("originals")) == 2, "both have written before their commit"
        go_on(fleet, "run.fenced")
        os.killpg(worker.pid, signal.SIGCONT)
        wait_for(
            "the first worker to hear of it", lambda: "attempt 1: " in fleet.host("first").log()
        )
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    assert len(fleet.objects("originals")) == 2, "the first has left what it wrote"
    assert fleet.host("web").settle(later=1000) == []
    written = fleet.notes()
    assert [name.partition("/")[0] for name in written] == ["originals", "thumbnails"]
    ((document,),) = fleet.ask("SELECT filename FROM documents_document")
    assert fleet.host("web").settle(later=1300) == written
    assert fleet.objects("originals") == [f"fleet/originals/{document}"]
    assert fleet.notes() == []
    assert fleet.objects("staging") == []


@WIDE
def test_a_database_that_restarts_in_the_middle_fails_no_task(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("worker").worker("run.fenced:wait"):
        passed(fleet, "run.fenced")
        fleet.postgres.kill()
        fleet.postgres.start()
        go_on(fleet, "run.fenced")
        wait_for("the row to wait", lambda: fleet.rows() == [("waiting", 1, 1)])
        assert fleet.statuses() == ["pending"]
        fleet.age(61)
        assert fleet.host("web").sweep() == ["Offer"]
        wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    assert fleet.objects("staging") == []


@WIDE
def test_a_task_that_takes_long_stays_its_worker_s(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("worker").worker("run.restored:wait"):
        passed(fleet, "run.restored")
        for _ in range(3):
            fleet.age(12)
            before = fleet.ask("SELECT heartbeat FROM paperfleet_work")
            wait_for(
                "a heartbeat",
                lambda: fleet.ask("SELECT heartbeat FROM paperfleet_work") != before,  # noqa: B023  # called here
            )
            assert fleet.host("web").sweep() == []
        go_on(fleet, "run.restored")
        wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]


@WIDE
def test_a_task_that_keeps_the_gil_has_a_heartbeat(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "hold 20")
    with fleet.host("worker").worker():
        wait_for("its start", lambda: fleet.rows() == [("running", 1, 0)])
        for _ in range(2):
            before = fleet.ask("SELECT heartbeat FROM paperfleet_work")
            wait_for(
                "a heartbeat",
                lambda: fleet.ask("SELECT heartbeat FROM paperfleet_work") != before,  # noqa: B023  # called here
                patience=15,
            )
        assert fleet.rows() == [("running", 1, 0)]
        wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]


@WIDE
def test_what_waits_is_offered_again_by_a_redis_that_came_back_empty(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    fleet.age(61)
    assert fleet.host("web").sweep() == [], "it is in the queue"
    fleet.redis.kill()
    fleet.redis.start()
    fleet.redis.settle()
    assert fleet.host("web").sweep() == ["Offer"]
    with fleet.host("worker").worker():
        wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]


@WIDE
def test_a_message_that_comes_twice_makes_one_document(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    broker = fleet.broker()
    (message,) = broker.lrange("pre celery", 0, -1)
    broker.lpush("pre celery", message, message)
    with fleet.host("worker").worker(PAPERLESS_TASK_WORKERS="2"):
        wait_for("the document", fleet.all_ended)
        wait_for("an empty queue", lambda: not broker.llen("pre celery"))
        wait_for("all messages to be over", lambda: not broker.hlen("pre unacked"))
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]


def test_nothing_is_published_when_it_cannot_be_staged(fleet: Fleet) -> None:
    told = fleet.host("web").upload("a.pdf", "content of a", fails=True, before=FULL)
    assert "UnavailableError" in told
    assert (fleet.rows(), fleet.statuses(), fleet.broker().llen("pre celery")) == ([], [], 0)
    assert local_files(fleet, "web") == ["a.pdf"]


@WIDE
@pytest.mark.parametrize("point", ["publish.staged", "publish.committed", "publish.sent"])
def test_a_publisher_that_is_killed_leaves_no_message_without_a_row(
    fleet: Fleet, point: str
) -> None:
    fleet.host("web").upload(
        "a.pdf", "content of a", fails=True, PAPERFLEET_TEST_POINT=f"{point}:kill"
    )
    is_accepted = point != "publish.staged"
    assert fleet.rows() == ([("waiting", 0, 0)] if is_accepted else [])
    assert fleet.broker().llen("pre celery") == (1 if point == "publish.sent" else 0)
    fleet.age(61)
    assert fleet.host("web").sweep() == (["Offer"] if point == "publish.committed" else [])
    assert fleet.broker().llen("pre celery") == (1 if is_accepted else 0)


@WIDE
def test_a_task_that_kills_its_workers_ends_and_keeps_its_file(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("worker").worker("run.restored:kill", PAPERFLEET_TASK_DEATHS="1"):
        wait_for("the end", lambda: fleet.statuses() == ["failure"])
        wait_for("the row", lambda: fleet.rows() == [("failed", 2, 1)])
    assert fleet.titles() == []
    ((result,),) = fleet.ask("SELECT result_data::text FROM documents_paperlesstask")
    assert "1 workers died while they ran documents.tasks.consume_file" in result
    (key,) = fleet.objects("staging")
    body = fleet.s3.client.get_object(Bucket=fleet.s3.bucket, Key=key)["Body"].read()
    assert body == b"content of a"


@WIDE
def test_a_file_that_is_no_document_is_kept(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "unreadable")
    with fleet.host("worker").worker():
        wait_for("the end", lambda: fleet.rows() == [("failed", 1, 0)])
    assert fleet.statuses() == ["failure"]
    assert len(fleet.objects("staging")) == 1
    assert local_files(fleet, "worker") == []
    ((task,),) = fleet.ask("SELECT task_id FROM paperfleet_work")
    host = fleet.host("web")
    assert "a.pdf is no document" in host.tasks(fails=True)
    saved = host.folder / "a.pdf"
    host.tasks("--save", task, str(host.folder))
    assert saved.read_text() == "unreadable"
    host.tasks("--retry", task)
    assert (fleet.rows(), fleet.statuses()) == ([("waiting", 1, 0)], ["pending"])
    assert fleet.broker().llen("pre celery") == 1
    fleet.ask("UPDATE paperfleet_work SET state = 'failed'")
    host.tasks("--discard", task)
    assert (fleet.rows(), fleet.objects("staging")) == ([], [])


@WIDE
def test_a_split_that_is_killed_half_way_makes_each_part_once(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "split\none\ntwo\nthree")
    with fleet.host("worker").worker("publish.committed:kill"):
        passed(fleet, "publish.committed")
        wait_for("the second attempt to end", lambda: len(fleet.titles()) == 3)
    assert fleet.host("web").sweep() == ["Discard"], "what the first attempt has published"
    assert fleet.titles() == ["a_0", "a_1", "a_2"]
    assert fleet.rows() == []
    assert fleet.statuses() == ["success"] * 4
    assert fleet.objects("staging") == []


@WIDE
def test_a_split_that_is_killed_when_all_is_offered_leaves_a_file_that_is_removed(
    fleet: Fleet,
) -> None:
    fleet.host("web").upload("a.pdf", "split\none\ntwo\nthree")
    (whole,) = fleet.objects("staging")
    with fleet.host("worker").worker("finish.sent:kill"):
        passed(fleet, "finish.sent")
        wait_for("the parts", fleet.all_ended)
    assert fleet.titles() == ["a_0", "a_1", "a_2"]
    assert fleet.statuses() == ["success"] * 4
    # Celery may have given the message to the next child, which has removed it.
    left = fleet.objects("staging")
    assert left in ([], [whole])
    assert [f"fleet/{key}" for key in fleet.host("web").sweep_staging(later=4000)] == left


@WIDE
def test_a_sweeper_that_is_killed_after_it_took_a_task_is_followed_by_another(
    fleet: Fleet,
) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    with fleet.host("first").worker("run.restored:wait") as worker:
        passed(fleet, "run.restored")
        fleet.host("first").kill(worker)
    fleet.age(16)
    fleet.host("web").sweep(fails=True, PAPERFLEET_TEST_POINT="sweep.fenced:kill")
    assert fleet.rows() == [("waiting", 1, 1)]
    assert fleet.statuses() == ["pending"], "and nobody is shown as working on it"
    fleet.age(61)
    assert fleet.host("web").sweep() == ["Offer"]
    with fleet.host("second").worker():
        wait_for("the document", fleet.all_ended)
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"]
    assert fleet.objects("staging") == []


@WIDE
def test_what_a_document_s_transaction_publishes_is_done_after_a_kill(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "tell others")
    with fleet.host("worker").worker("run.fenced:kill,run.committed:kill"):
        passed(fleet, "run.committed")
        wait_for("the end of both tasks", fleet.all_ended)
    assert fleet.titles() == ["a"]
    assert fleet.statuses() == ["success"] * 2


@WIDE
def test_what_deletes_originals_is_not_repeated(fleet: Fleet) -> None:
    fleet.host("web").python("from documents.tasks import delete\ndelete.delay([1])\n")
    with fleet.host("worker").worker("run.restored:wait") as worker:
        passed(fleet, "run.restored")
        fleet.host("worker").kill(worker)
    fleet.age(16)
    assert fleet.host("web").sweep() == ["Fence"]
    with fleet.host("worker").worker():
        wait_for("the end", fleet.all_ended)
    assert fleet.statuses() == ["failure"]


@WIDE
def test_what_follows_a_group_is_done_once_when_all_of_it_has_ended(fleet: Fleet) -> None:
    """As a split that deletes its original (``documents/bulk_edit.py``)."""
    ((original,),) = fleet.ask(
        "INSERT INTO documents_document (title, mime_type, checksum, modified)"
        " VALUES ('original', '', '', now()) RETURNING id"
    )
    fleet.host("web").python(
        "import tempfile, pathlib\n"
        "from celery import chord\n"
        "from django.conf import settings\n"
        "from documents.data_models import ConsumableDocument\n"
        "from documents.tasks import consume_file, delete\n"
        "header = []\n"
        "for name in ('one', 'two'):\n"
        "    path = pathlib.Path(tempfile.mkdtemp(dir=settings.SCRATCH_DIR)) / name\n"
        "    path.write_text(name)\n"
        "    header.append(consume_file.s(input_doc=ConsumableDocument(path)))\n"
        f"chord(header=header, body=delete.si([{original}])).apply_async()\n"
    )
    assert len(fleet.objects("staging")) == 2
    points = "run.committed:kill"
    with fleet.host("worker").worker(points, PAPERLESS_TASK_WORKERS="2"):
        wait_for("all three tasks", lambda: fleet.statuses() == ["success"] * 3)
        wait_for("the end of the last", fleet.all_ended)
    assert fleet.titles() == ["one", "original", "two"]
    kept = fleet.ask("SELECT title FROM documents_document WHERE deleted_at IS NULL ORDER BY title")
    assert kept == [("one",), ("two",)]
    assert fleet.objects("staging") == []


@WIDE
def test_a_file_that_a_crash_left_in_the_consume_folder_is_not_consumed_again(fleet: Fleet) -> None:
    host = fleet.host("web")
    host.environment()
    path = host.folder / "consumption_dir" / "a.pdf"
    path.write_text("content of a")
    consume = CONSUME.format(path=str(path))
    host.python(consume, fails=True, PAPERFLEET_TEST_POINT="publish.committed:kill")
    assert path.exists()
    host.python(consume)
    assert not path.exists()
    assert len(fleet.rows()) == 1


def test_files_of_one_name_are_each_consumed_while_a_worker_has_the_first(fleet: Fleet) -> None:
    """As a scanner brings them, whose files all have one name, beside a worker on the same host."""
    host = fleet.host("web")
    host.environment()
    path = host.folder / "consumption_dir" / "scan.pdf"
    consume = CONSUME.format(path=str(path))
    path.write_text("the first")
    host.python(consume)
    with host.worker("run.restored:wait"):
        passed(fleet, "run.restored")
        assert local_files(fleet, "web", "consumption_dir") == [], "nothing that others may touch"
        path.write_text("the second")
        host.python(consume)
        path.write_text("the third, not taken yet")
        go_on(fleet, "run.restored")
        wait_for("two documents", fleet.all_ended)
    assert path.read_text() == "the third, not taken yet"
    assert fleet.titles() == ["scan", "scan"]
    assert sorted(map(fleet.content, fleet.objects("originals"))) == [b"the first", b"the second"]
    assert fleet.objects("staging") == []
    assert local_files(fleet, "web") == []


@WIDE
def test_a_workflow_for_a_consume_folder_finds_its_files_and_their_parts(fleet: Fleet) -> None:
    """And only a part is one: barcodes give the tags of all pages to whatever says that it is."""
    host = fleet.host("web")
    host.environment()
    folder = host.folder / "consumption_dir" / "bills"
    folder.mkdir()
    (folder / "a.pdf").write_text(f"path {folder}/*")
    (folder / "b.pdf").write_text(f"split\npath {folder}/*")
    (folder / "c.pdf").write_text(f"path {folder}/more/*")
    with host.worker():
        for path in sorted(folder.iterdir()):
            host.python(CONSUME.format(path=str(path)))
        wait_for("all documents", fleet.all_ended)
    assert fleet.titles() == ["part, matches", "whole, does not match", "whole, matches"]
    assert local_files(fleet, "web") == []


def test_another_database_is_refused(tmp_path: Path) -> None:
    done = SMALL.run(
        ["manage.py", "check"],
        SMALL.environment(
            tmp_path,
            PAPERFLEET_FLEET="true",
            PAPERLESS_DOCUMENT_STORAGE_BACKEND="tests.paperless.inside.stores.bucket",
        ),
    )
    assert done.returncode == 1
    assert "paperfleet: PAPERFLEET_FLEET is on, and the database is SQLite" in done.stderr
    assert "A fleet needs PostgreSQL" in done.stderr
