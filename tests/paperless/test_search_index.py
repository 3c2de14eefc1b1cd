"""A search index for each web host, fed by the database: real PostgreSQL; S3 by moto."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.paperless.children import PROJECT, SMALL
from tests.paperless.delivery_kit import ON_SERVERS, PATIENCE, Fleet, fleet_with_tables, wait_for
from tests.paperless.search_kit import Searcher, folder_of, searching, state_of
from tests.servers.base import HOST, free_port
from tests.wide import WIDE, first_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = ON_SERVERS
INSERT = (
    "INSERT INTO documents_document (title, mime_type, checksum, modified)"
    " VALUES (%s, 'application/pdf', '', now()) RETURNING id"
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_with_tables(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.host("first").python(
            "from paperfleet.paperless.activation import documents; documents.require_usable()"
        )
        yield fleet


@pytest.fixture
def fleet(servers: Fleet, tmp_path: Path) -> Fleet:
    servers.ask("TRUNCATE documents_document, paperfleet_searchreplica CASCADE")
    return servers.anew(tmp_path)


def new(fleet: Fleet, title: str) -> int:
    """Make a document past Django, as an import does."""
    ((number,),) = fleet.ask(INSERT, title)
    return int(number)


def test_each_host_finds_what_any_host_has_changed(fleet: Fleet) -> None:
    before = new(fleet, "there before")
    with searching(fleet.host("a")) as a, searching(fleet.host("b")) as b:
        for host in (a, b):
            host.finds("there before", before)
        one, two = a.ask("new", "green paper"), b.ask("new", "green parrot")
        for host in (a, b):
            host.finds("green", one, two)
            assert host.ask("autocomplete", "pa") == ["paper", "parrot"]
            assert two in host.ask("similar", one)
        a.ask("rename", one, "blue paper")
        b.ask("trash", two)
        for host in (a, b):
            host.finds("blue", one)
            host.finds("green")
        fleet.ask("UPDATE documents_document SET deleted_at = NULL, title = 'red'")
        for host in (a, b):
            host.finds("red", before, one, two)
        fleet.ask("DELETE FROM documents_document WHERE id = %s", two)
        for host in (a, b):
            host.finds("red", before, one)
    told = fleet.ask("SELECT host, current FROM paperfleet_searchreplica")
    assert [current is not None for _, current in told] == [True, True]


def test_a_search_finds_the_edit_that_its_own_server_made_just_before(fleet: Fleet) -> None:
    with searching(fleet.host("a")) as a:
        number = a.ask("new", "early")
        for title in ("one", "two", "three"):
            assert a.ask("rename", number, title) == [number]


def test_what_commits_after_a_later_change_is_not_passed_over(fleet: Fleet) -> None:
    url = fleet.postgres.url
    with (
        searching(fleet.host("a")) as a,
        psycopg.connect(url) as slow,
        psycopg.connect(url) as twin,
    ):
        ((early,),) = slow.execute(INSERT, ["early"]).fetchall()
        ((kept,),) = twin.execute(INSERT, ["kept back"]).fetchall()
        late = new(fleet, "late")
        a.finds("late", late)
        slow.commit()
        a.finds("early", early)
        a.kill()
        with searching(fleet.host("a")) as again:
            built = again.state()["index"]
            twin.commit()
            again.finds("kept back", kept)
            again.finds("early", early)
            assert again.state()["index"] == built, "it follows, and is not built anew"


BUILDING = ("search.begun", "search.built", "search.switched")
FOLLOWING = ("search.applied", "search.read", "search.noted")


@pytest.mark.parametrize("point", first_of([*FOLLOWING, *BUILDING]))
def test_a_host_that_is_killed_never_has_an_index_that_misses_what_it_says_it_has(
    fleet: Fleet, point: str
) -> None:
    host, number = fleet.host("a"), new(fleet, "first")
    if point in FOLLOWING:
        with searching(host) as a:
            a.finds("first", number)
    # Whatever happens to be there at the kill: a change before, and one after.
    killed = Searcher(host, PAPERFLEET_TEST_POINT=f"{point}:kill")
    second = new(fleet, "second")
    assert killed.process.wait(PATIENCE) == -signal.SIGKILL
    killed.kill()
    third = new(fleet, "third")
    with searching(host) as a:
        a.finds("second", second)
        a.finds("third", third)
        a.finds("first", number)
        left = [path.name for path in folder_of(host).iterdir() if path.is_dir()]
        wait_for("one index is left", lambda: left == [a.state()["index"]] or len(left) < 3)


@WIDE
def test_a_host_that_was_away_for_too_long_builds_its_index_anew(fleet: Fleet) -> None:
    number = new(fleet, "kept")
    with searching(fleet.host("a")) as a:
        a.finds("kept", number)
        built = a.state()["index"]
    gone = new(fleet, "gone")
    fleet.ask("UPDATE documents_document SET title = 'changed' WHERE id = %s", gone)
    fleet.ask("DELETE FROM paperfleet_searchchange")
    later = new(fleet, "later")
    with searching(fleet.host("a")) as a:
        a.finds("changed", gone)
        a.finds("later", later)
        assert a.state()["index"] != built


@WIDE
def test_changes_that_nobody_noted_lead_to_a_new_index(fleet: Fleet) -> None:
    with searching(fleet.host("a")) as a:
        built = a.state()["index"]
    triggers = fleet.ask(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'documents_document'::regclass"
        " AND NOT tgisinternal"
    )
    assert triggers
    for (name,) in triggers:
        fleet.ask(f'DROP TRIGGER "{name}" ON documents_document')
    unnoted = new(fleet, "unnoted")
    with searching(fleet.host("a")) as a:
        a.finds("unnoted", unnoted)
        assert a.state()["index"] != built
        a.finds("noted", unnoted, new(fleet, "noted again"))


@WIDE
def test_a_column_that_is_gone_stops_no_change_and_leads_to_a_new_index(fleet: Fleet) -> None:
    fleet.ask("ALTER TABLE documents_document ADD root_document_id integer")
    with searching(fleet.host("a")) as a:
        root = new(fleet, "root")
        a.finds("root", root)
        built = a.state()["index"]
        fleet.ask("ALTER TABLE documents_document DROP root_document_id")
        later = new(fleet, "later")
        a.finds("later", later)
        a.finds("root", root)
        assert a.state()["index"] != built


@WIDE
def test_reindex_lets_each_host_build_its_index_anew(fleet: Fleet) -> None:
    host = fleet.host("a")
    with searching(host) as a, searching(fleet.host("b")) as b:
        built = [one.state()["index"] for one in (a, b)]
        for options in (["--if-needed"], ["--recreate"]):
            command = ["manage.py", "document_index", "reindex", *options]
            done = SMALL.run(command, host.environment())
            assert done.returncode == 0, done.stderr
            if "--if-needed" in options:
                assert [one.state()["index"] for one in (a, b)] == built
        wait_for(
            "new indexes",
            lambda: not {one.state()["index"] for one in (a, b)} & set(built),
        )
        a.finds("new", number := new(fleet, "new"))
        b.finds("new", number)


WITHOUT = """
from django.conf import settings
from paperfleet.errors import ConfigurationError
from paperfleet.paperless.seams import selftest, table
selftest.run(settings)
for label, (owner, name, original, replacement) in table._installed.items():
    if label.startswith("documents.search."):
        setattr(owner, name, original)
        try:
            selftest.run(settings)
        except ConfigurationError as error:
            assert "'search'" in str(error), error
            print("noticed", name)
        setattr(owner, name, replacement)
"""


def test_the_self_test_notices_each_seam_of_the_index_that_is_not_there(fleet: Fleet) -> None:
    noticed = fleet.host("a").python(WITHOUT).split("noticed ")[1:]
    assert {name.strip() for name in noticed} == {
        *("batch_update", "rebuild", "open_or_rebuild_index"),
        *("search_ids", "autocomplete", "more_like_this_ids"),
    }


@WIDE
def test_one_process_of_a_host_writes_and_another_takes_over(fleet: Fleet) -> None:
    host = fleet.host("a")
    with searching(host) as first, searching(host) as second:
        number = new(fleet, "before")
        first.finds("before", number)
        second.finds("before", number)
        first.kill()
        second.finds("after", new(fleet, "after"))


@WIDE
def test_a_document_without_an_entry_holds_nothing_up_and_is_told_of(fleet: Fleet) -> None:
    with searching(fleet.host("a")) as a:
        bad = new(fleet, "unindexable")
        a.finds("good", new(fleet, "good"))
        wait_for("it is kept in mind", lambda: a.state()["failed"] == [bad])
        wait_for(
            "it is told of",
            lambda: (
                f"without an entry: {bad}"
                in str(fleet.ask("SELECT state FROM paperfleet_searchreplica"))
            ),
        )
        fleet.ask("UPDATE documents_document SET title = 'mended' WHERE id = %s", bad)
        a.finds("mended", bad)
        wait_for("it is mended", lambda: a.state()["failed"] == [])


@WIDE
def test_a_host_without_a_web_server_has_no_index(fleet: Fleet) -> None:
    worker = fleet.host("worker")
    with searching(fleet.host("a")) as a:
        worker.python(
            "from documents.models import Document\n"
            "from documents.search import get_backend\n"
            "made = Document.objects.create(title='by a worker')\n"
            "get_backend().add_or_update(made)\n"
        )
        ((number,),) = fleet.ask("SELECT id FROM documents_document")
        a.finds("by a worker", number)
    assert state_of(worker) == {}
    assert not (worker.folder / "data_dir" / "index").exists()


@WIDE
def test_a_web_server_is_ready_with_its_index_and_not_when_that_is_behind(fleet: Fleet) -> None:
    host = fleet.host("a")
    environment = host.environment(
        PAPERLESS_SRC=str(PROJECT),
        PAPERLESS_DBENGINE="postgresql",
        PAPERFLEET_SEARCH_LAG_SECONDS="5",
        GRANIAN_HOST=HOST,
        GRANIAN_PORT=str(free_port()),
    )
    program = [sys.executable, "-m", "paperfleet", "run", "web"]

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, "--check", "ready"],
            env=environment,
            cwd=host.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    with (host.folder / "web.log").open("wb") as log:
        web = subprocess.Popen(program, env=environment, cwd=host.folder, stdout=log, stderr=log)
    try:
        wait_for("ready", lambda: ask().returncode == 0 or web.poll() is not None)
        assert state_of(host), (host.folder / "web.log").read_text()
        with psycopg.connect(fleet.postgres.url) as session:
            session.execute("LOCK TABLE paperfleet_searchchange IN ACCESS EXCLUSIVE MODE")
            wait_for("not ready", lambda: "behind" in ask().stdout)
            assert ask().returncode == 1
        wait_for("ready again", lambda: ask().returncode == 0)
        check = SMALL.run(["manage.py", "paperfleet_check"], environment)
        assert "note: the search index of " in check.stdout, check.stdout + check.stderr
        assert "s behind" in check.stdout
    finally:
        os.kill(web.pid, signal.SIGKILL)
        web.wait()
