"""Moves stay moves: nothing is sent again, and a Nextcloud keeps ids, versions and one entry."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_places import ServerPlace, remove
from tests.servers.nextcloud_double import NextcloudDouble
from tests.wide import first_of

from paperfleet.mirror.events import Synced

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.mirror_kit import Rig

START = {
    "a.pdf": b"content of a",
    "b.pdf": b"content of b, longer",
    "c.pdf": b"content of c",
    "folder/d.pdf": b"content of d",
    "folder/e.pdf": b"content of e",
    "folder/deep/f.pdf": b"content of f",
    "other/g.pdf": b"content of g",
    "same/one.pdf": b"the same",
    "same/two.pdf": b"the same",
    "alone/in it.pdf": b"all alone",
}

Moves = dict[str, str]


def file_renamed(rig: Rig) -> Moves:
    return rename(rig, "a.pdf", "z.pdf")


def file_moved(rig: Rig) -> Moves:
    rig.path("new/folder").mkdir(parents=True)
    return rename(rig, "a.pdf", "new/folder/a.pdf") | rename(rig, "other/g.pdf", "folder/g.pdf")


def folder_renamed(rig: Rig) -> Moves:
    return rename(rig, "folder", "renamed")


def folder_moved(rig: Rig) -> Moves:
    return rename(rig, "folder", "other/folder")


def folder_moved_up_and_inside_renamed(rig: Rig) -> Moves:
    rename(rig, "folder/deep", "shallow")
    rename(rig, "folder/d.pdf", "folder/D2.pdf")
    return {"folder/deep/f.pdf": "shallow/f.pdf", "folder/d.pdf": "folder/D2.pdf"}


def swapped(rig: Rig) -> Moves:
    rename(rig, "a.pdf", "tmp")
    rename(rig, "b.pdf", "a.pdf")
    rename(rig, "tmp", "b.pdf")
    return {"a.pdf": "b.pdf", "b.pdf": "a.pdf"}


def folders_swapped(rig: Rig) -> Moves:
    rename(rig, "folder", "tmp")
    rename(rig, "same", "folder")
    rename(rig, "tmp", "same")
    return {
        "folder/d.pdf": "same/d.pdf",
        "folder/e.pdf": "same/e.pdf",
        "folder/deep/f.pdf": "same/deep/f.pdf",
        "same/one.pdf": "folder/one.pdf",
        "same/two.pdf": "folder/two.pdf",
    }


def chain(rig: Rig) -> Moves:
    return (
        rename(rig, "c.pdf", "d.pdf")
        | rename(rig, "b.pdf", "c.pdf")
        | rename(rig, "a.pdf", "b.pdf")
    )


def case_only(rig: Rig) -> Moves:
    return rename(rig, "a.pdf", "A.pdf") | rename(rig, "other", "Other")


def into_its_own_name(rig: Rig) -> Moves:
    rename(rig, "a.pdf", "tmp")
    rig.path("a.pdf").mkdir()
    return {"a.pdf": rename(rig, "tmp", "a.pdf/a.pdf")["tmp"]}


def out_of_its_own_name(rig: Rig) -> Moves:
    rename(rig, "alone/in it.pdf", "tmp")
    rig.path("alone").rmdir()
    return {"alone/in it.pdf": rename(rig, "tmp", "alone")["tmp"]}


def folder_of_one(rig: Rig) -> Moves:
    return rename(rig, "alone", "still alone")


def twice(rig: Rig) -> Moves:
    rename(rig, "folder", "first")
    rename(rig, "first", "second")
    return {
        "folder/d.pdf": "second/d.pdf",
        "folder/e.pdf": "second/e.pdf",
        "folder/deep/f.pdf": "second/deep/f.pdf",
    }


def name_taken_again(rig: Rig) -> Moves:
    moved = rename(rig, "a.pdf", "older.pdf")
    rig.write({"a.pdf": b"a new one under the old name"})
    return moved


def onto_another(rig: Rig) -> Moves:
    """By a rename that replaces: what was there before is gone."""
    rig.path("a.pdf").replace(rig.path("b.pdf"))
    return {}


def rename(rig: Rig, old: str, new: str) -> Moves:
    rig.path(old).rename(rig.path(new))
    if old in START:
        return {old: new}
    return {n: new + n.removeprefix(old) for n in START if n.startswith(old + "/")} or {old: new}


MOVES: list[Callable[[Rig], Moves]] = [
    file_renamed,
    file_moved,
    folder_renamed,
    folder_moved,
    folder_moved_up_and_inside_renamed,
    swapped,
    folders_swapped,
    chain,
    case_only,
    into_its_own_name,
    out_of_its_own_name,
    folder_of_one,
    twice,
    name_taken_again,
    onto_another,
]

moves = pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
SENT_AGAIN = {"name_taken_again": {"a.pdf"}, "onto_another": {"b.pdf"}}


def sent_by(rig: Rig, move: Callable[[Rig], Moves], before: int) -> None:
    assert set(rig.tap.sent[before:]) <= SENT_AGAIN.get(move.__name__, set())


@moves
def test_while_it_runs(rig: Rig, move: Callable[[Rig], Moves]) -> None:
    rig.options["settle"] = 0.15  # within which both halves of a rename have to be seen
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        before = len(rig.tap.sent)
        move(rig)
        live.until_same()
        sent_by(rig, move, before)
    rig.sync()


@moves
def test_while_it_is_stopped(rig: Rig, move: Callable[[Rig], Moves]) -> None:
    rig.write(START)
    rig.sync()
    move(rig)
    rig.sync()
    sent_by(rig, move, 0)


def test_one_after_the_other_on_slow_servers(slow_rig: Rig) -> None:
    for move in MOVES:
        if slow_rig.place.kind == "nginx" and move in {into_its_own_name, out_of_its_own_name}:
            continue  # a folder stays there, in the way of the next file of its name
        for entry in list(slow_rig.source.iterdir()):
            remove(entry)
        slow_rig.write(START)
        slow_rig.sync()
        move(slow_rig)
        slow_rig.sync()
        sent_by(slow_rig, move, 0)


def double_of(cloud: Rig) -> NextcloudDouble:
    assert isinstance(cloud.place, ServerPlace)
    assert isinstance(cloud.place.server, NextcloudDouble)
    return cloud.place.server


@moves
@pytest.mark.parametrize("running", first_of([True, False]), ids=["running", "stopped"])
def test_ids_and_versions_stay(cloud: Rig, move: Callable[[Rig], Moves], running: bool) -> None:
    server = double_of(cloud)
    cloud.write({name: b"first version of " + content for name, content in START.items()})
    cloud.sync()
    cloud.write(START)
    cloud.sync()
    before = {name: (server.file_id(name), server.versions(name)) for name in START}
    if running:
        with cloud.live() as live:
            live.until_event(Synced)
            moved = move(cloud)
            live.until_same()
    else:
        moved = move(cloud)
        cloud.sync()
    left = [name for name in START if name in moved or cloud.path(name).is_file()]
    expected = {moved.get(name, name): before[name] for name in left}
    for name in SENT_AGAIN.get(move.__name__, ()):
        expected.pop(name, None)
    found = {name: (server.file_id(name), server.versions(name)) for name in expected}
    assert found == expected


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("count", [1, 50])
def test_a_folder_is_a_look_one_move_and_one_entry(cloud: Rig, running: bool, count: int) -> None:
    if count == 1 and not running:
        pytest.skip("nobody saw whether the folder was renamed, or its only file moved")
    server = double_of(cloud)
    cloud.write({f"folder/{n % 3}/document {n}.pdf": b"%d" % n for n in range(count)})
    cloud.sync()
    number = server.file_id("folder")
    if running:
        with cloud.live() as live:
            live.until_event(Synced)
            server.requests.clear()
            server.activity.clear()
            cloud.path("folder").rename(cloud.path("renamed"))
            live.until_same()
    else:
        server.requests.clear()
        server.activity.clear()
        cloud.path("folder").rename(cloud.path("renamed"))
        cloud.sync()
    touching = [pair for pair in server.requests.pairs() if pair[1].startswith("folder")]
    assert touching == [("PROPFIND", "folder"), ("MOVE", "folder")]
    changing = {"PUT", "DELETE", "MKCOL", "POST"}
    assert not [pair for pair in server.requests.pairs() if pair[0] in changing]
    assert [entry.text for entry in server.activity] == ["You renamed folder to renamed"]
    assert server.file_id("renamed") == number


def test_a_folder_with_a_decomposed_name(cloud: Rig) -> None:
    server = double_of(cloud)
    old, new = (unicodedata.normalize("NFD", name) for name in ("Bücher", "Blätter"))
    cloud.write({f"{old}/{n}/ä.pdf": b"%d" % n for n in range(5)})
    cloud.sync()
    server.requests.clear()
    cloud.path(old).rename(cloud.path(new))
    cloud.sync()
    assert server.requests.count("MOVE") == 1
    assert cloud.tap.sent == []


def test_a_folder_renamed_right_after_a_file_was_put_into_it(cloud: Rig) -> None:
    server = double_of(cloud)
    cloud.write({f"folder/document {n}.pdf": b"%d" % n for n in range(20)})
    cloud.options["settle"] = 0.0
    with cloud.live() as live:
        live.until_same()
        cloud.write({"folder/late.pdf": b"late"})
        live.until(lambda: "folder/late.pdf" in server.tree(), "the late file")
        cloud.path("folder").rename(cloud.path("renamed"))
        live.until_same()
    # Its etag of before no longer holds; then every file in it is looked at.
    assert [r.status for r in server.requests if r.method == "MOVE"] == [201]


def test_a_folder_with_somebody_elses_file_in_it(rig: Rig) -> None:
    rig.write({f"folder/{n}.pdf": b"%d" % n for n in range(5)} | {"folder/deep/x.pdf": b"x"})
    rig.put_foreign({"folder/deep/theirs.txt": b"theirs"})
    rig.sync()
    rig.path("folder").rename(rig.path("renamed"))
    rig.sync()
    assert rig.tap.sent == []
    rig.path("renamed").rename(rig.path("folder"))
    rig.sync()
    assert rig.tap.sent == []


def test_somebody_elses_file_comes_into_a_folder_before_it_is_renamed(cloud: Rig) -> None:
    server = double_of(cloud)
    cloud.options["target_check"] = 3600.0
    cloud.write({f"folder/{n}.pdf": b"%d" % n for n in range(5)})
    with cloud.live() as live:
        live.until_same()
        cloud.put_foreign({"folder/theirs.txt": b"theirs"})
        cloud.path("folder").rename(cloud.path("renamed"))
        live.until_same()
    moves = [(r.path, r.status) for r in server.requests if r.method == "MOVE"]
    done = sorted(path for path, status in moves if status == 201)
    assert done == [f"folder/{n}.pdf" for n in range(5)]
    assert "created" not in [entry.kind for entry in server.activity[-5:]]


def test_moved_and_changed(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.path("folder").rename(rig.path("renamed"))
    rig.write({"renamed/d.pdf": b"another content altogether", "renamed/new.pdf": b"new"})
    rig.sync()
    assert set(rig.tap.sent) == {"renamed/d.pdf", "renamed/new.pdf"}


def test_a_copy_is_no_move(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.write({"copy of a.pdf": START["a.pdf"]})
    rig.sync()
    assert rig.counts() == {"created": 1}


def test_restored_from_a_backup(rig: Rig) -> None:
    """The same files with other inodes and times: nothing is sent."""
    rig.write(START)
    rig.sync()
    rig.source.rename(rig.source.with_name("old"))
    rig.source.mkdir()
    rig.write(START)
    rig.sync()
    assert rig.tap.sent == []
    assert rig.done() == []
