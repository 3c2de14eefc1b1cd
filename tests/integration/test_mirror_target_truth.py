"""What others do at the target: ours is put back, theirs is kept, the rest is left alone."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.integration.conftest import BUCKET, PLACES, rig_on
from tests.integration.mirror_places import ServerPlace
from tests.servers.nextcloud_double import NextcloudDouble
from tests.wide import first_of

from paperfleet.mirror.events import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.mirror_kit import Rig

START = {
    "a.pdf": b"content of a",
    "b.pdf": b"content of b",
    "folder/c.pdf": b"content of c",
    "folder/deep/d.pdf": b"content of d",
    "folder/deep/e.pdf": b"content of e",
    "other/f.pdf": b"content of f",
}
DECOMPOSED = unicodedata.normalize("NFD", "Bücher/ä.pdf")


@pytest.fixture(params=[BUCKET, *first_of(PLACES, 2)])
def rig(request: pytest.FixtureRequest, tmp_path: Path, quick: None) -> Iterator[Rig]:  # noqa: ARG001
    """Return a mirror to one kind of target after the other, with a bucket each time."""
    yield from rig_on(request, tmp_path)


@pytest.fixture
def server(cloud: Rig) -> NextcloudDouble:
    """Return the double behind ``cloud``."""
    assert isinstance(cloud.place, ServerPlace)
    assert isinstance(cloud.place.server, NextcloudDouble)
    return cloud.place.server


def kept(rig: Rig) -> dict[str, bytes]:
    """Return what was set aside, by the name that it has now."""
    tree = rig.place.tree()
    return {e.new_name: tree[e.new_name] for e in rig.seen_done("set aside") if e.new_name}


def test_a_changed_file_is_put_back_and_theirs_is_kept(rig: Rig) -> None:
    rig.skip_on("nine methods", "without etags another content of the same size is not noticed")
    rig.write(START)
    rig.sync()
    rig.place.write("a.pdf", b"changed by somebody")
    rig.place.write("folder/deep/d.pdf", b"CONTENT OF D")
    rig.once()
    rig.foreign |= kept(rig)
    rig.check()
    assert rig.counts()["restored"] == 2
    if rig.keeps_versions:
        assert rig.was_kept("a.pdf", b"changed by somebody")
        assert rig.was_kept("folder/deep/d.pdf", b"CONTENT OF D")
    else:
        assert sorted(rig.foreign.values()) == [b"CONTENT OF D", b"changed by somebody"]
    told = [notice.text for notice in rig.seen(Notice)]
    assert any("a.pdf was changed at the target by others" in text for text in told)
    rig.sync()
    assert rig.done() == []


def test_on_slow_servers(far_rig: Rig) -> None:
    rig = far_rig
    rig.write(START)
    rig.sync()
    rig.place.write("a.pdf", b"changed by somebody")
    rig.place.delete("folder/deep")
    rig.once()
    rig.foreign |= kept(rig)
    rig.check()
    assert rig.counts() == {"restored": 3, "set aside": 1}
    assert list(rig.foreign.values()) == [b"changed by somebody"]


def test_a_removed_file_is_put_back(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.place.delete("a.pdf")
    rig.place.delete("folder/deep/d.pdf")
    rig.sync()
    assert rig.counts() == {"restored": 2}


def test_a_removed_folder_is_put_back(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.place.delete("folder")
    rig.sync()
    assert rig.counts() == {"restored": 3}


def test_an_emptied_target_is_filled_again(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    for name in ("a.pdf", "b.pdf", "folder", "other"):
        rig.place.delete(name)
    rig.sync()
    assert rig.counts() == {"restored": len(START)}


def test_a_removed_folder_of_another_unicode_form_is_put_back(rig: Rig) -> None:
    rig.write({DECOMPOSED: b"content", **START})
    rig.sync()
    rig.place.delete(rig.target_name(DECOMPOSED).rpartition("/")[0])
    rig.sync()
    assert rig.counts() == {"restored": 1}


def test_additions_of_others_are_left_alone(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.put_foreign({"theirs.txt": b"1", "folder/theirs.txt": b"2", "new/deep/theirs.txt": b"3"})
    rig.sync()
    assert rig.done() == []
    rig.path("folder/c.pdf").unlink()
    rig.sync()


def test_a_file_of_theirs_replaced_by_a_folder(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.place.delete("a.pdf")
    rig.put_foreign({"a.pdf/theirs.txt": b"theirs"})
    rig.absent = set() if rig.place.side_by_side else {"a.pdf"}
    rig.sync()
    assert rig.quarantined().keys() == rig.absent


def test_moved_away_by_somebody(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    cloud.sync()
    server.move("folder", "taken")
    cloud.once()
    cloud.foreign = {
        "taken/c.pdf": b"content of c",
        "taken/deep/d.pdf": b"content of d",
        "taken/deep/e.pdf": b"content of e",
    }
    cloud.check()
    assert cloud.counts() == {"restored": 3}


def test_theirs_is_set_aside_where_a_nextcloud_keeps_no_versions(
    cloud: Rig, server: NextcloudDouble
) -> None:
    server.keeps_versions = False
    cloud.place.write("b.pdf", b"theirs from the start")
    cloud.write(START)
    cloud.once()
    cloud.foreign |= kept(cloud)
    cloud.check()
    assert list(cloud.foreign.values()) == [b"theirs from the start"]
    cloud.place.write("a.pdf", b"their work")
    cloud.once()
    cloud.foreign |= kept(cloud)
    cloud.check()
    assert sorted(cloud.foreign.values()) == [b"their work", b"theirs from the start"]


def test_versions_may_be_switched_off_while_the_mirror_runs(
    cloud: Rig, server: NextcloudDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperfleet.storage.nextcloud.server.BELIEVED", 0.0)
    cloud.write(START)
    cloud.options["target_check"] = 0.1
    with cloud.live() as live:
        live.until_same()
        cloud.place.write("a.pdf", b"their work")
        live.until(lambda: cloud.place.tree()["a.pdf"] == START["a.pdf"], "it was put back")
        server.keeps_versions = False
        cloud.place.write("b.pdf", b"their other work")
        live.until(lambda: cloud.place.tree().get("b.pdf") == START["b.pdf"], "it was put back")
    assert cloud.was_kept("a.pdf", b"their work")
    assert list(kept(cloud).values()) == [b"their other work"]


def test_theirs_is_set_aside_where_its_name_is_too_long_for_an_upload(cloud: Rig) -> None:
    """Such a file is replaced by MOVE, with which its versions go."""
    name = "x" * 240 + ".pdf"
    cloud.write({name: b"ours"})
    cloud.place.write(name, b"their work")
    cloud.once()
    cloud.foreign |= kept(cloud)
    cloud.check()
    assert list(cloud.foreign.values()) == [b"their work"]


def test_changed_there_and_deleted_here(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.place.write("a.pdf", b"their work")
    rig.foreign["a.pdf"] = b"their work"
    rig.path("a.pdf").unlink()
    rig.sync()
    assert rig.done() == ["let go a.pdf"]


def test_changed_there_and_here(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.place.write("a.pdf", b"their work")
    rig.write({"a.pdf": b"our work"})
    rig.once()
    rig.foreign |= kept(rig)
    rig.check()
    if rig.keeps_versions:
        assert rig.was_kept("a.pdf", b"their work")
    else:
        assert list(rig.foreign.values()) == [b"their work"]


def test_changed_there_and_renamed_here(rig: Rig) -> None:
    rig.write(START)
    rig.sync()
    rig.place.write("a.pdf", b"their work")
    rig.foreign["a.pdf"] = b"their work"
    rig.path("a.pdf").rename(rig.path("renamed.pdf"))
    rig.sync()


@pytest.mark.parametrize("moment", ["before the look", "between look and write"])
def test_changed_by_somebody_in_the_same_moment(rig: Rig, moment: str) -> None:
    """Nothing of theirs is lost, whoever comes first."""
    rig.skip_on("nine methods", "they know no conditions: a writer in between is not noticed")
    rig.write(START)
    rig.options["target_check"] = 3600.0
    with rig.live() as live:
        live.until_same()
        if moment == "before the look":
            rig.place.write("a.pdf", b"their work")
            rig.write({"a.pdf": b"our work"})
        else:
            with rig.tap.held(rig.sending_method(), "a.pdf") as hold:
                rig.write({"a.pdf": b"our work"})
                live.until(hold.reached.is_set, "the upload began")
                rig.place.write("a.pdf", b"their work")
        live.until(lambda: rig.place.tree().get("a.pdf") == b"our work", "ours")
    rig.foreign |= kept(rig)
    rig.check()
    if rig.keeps_versions:
        assert rig.was_kept("a.pdf", b"their work")
    else:
        assert list(rig.foreign.values()) == [b"their work"]


def test_changed_there_and_renamed_here_in_the_same_moment(rig: Rig) -> None:
    """What is renamed there is ours, not what somebody has put in its place since the last look."""
    rig.skip_on("nine methods", "without etags another content of the same size is not noticed")
    rig.write(START)
    rig.options["target_check"] = 3600.0
    with rig.live() as live:
        live.until_same()
        rig.place.write("a.pdf", b"THEIR WORK A")
        rig.path("a.pdf").rename(rig.path("renamed.pdf"))
        live.until(lambda: rig.place.tree().get("renamed.pdf") == START["a.pdf"], "ours")
    if rig.keeps_versions:
        assert rig.was_kept("renamed.pdf", b"THEIR WORK A")
    else:
        rig.foreign = kept(rig) or {"a.pdf": b"THEIR WORK A"}
        assert list(rig.foreign.values()) == [b"THEIR WORK A"]
    rig.sync()


def test_changed_there_after_its_folder_was_renamed(rig: Rig) -> None:
    """What is known of a file is known of it in its new folder, too."""
    rig.skip_on("nine methods", "without etags another content of the same size is not noticed")
    rig.write(START)
    rig.options["target_check"] = 3600.0
    with rig.live() as live:
        live.until_same()
        rig.path("folder").rename(rig.path("moved"))
        live.until_same()
        rig.place.write("moved/c.pdf", b"their work")
        rig.write({"moved/c.pdf": b"our work"})
        live.until(lambda: rig.place.tree().get("moved/c.pdf") == b"our work", "ours")
    rig.foreign |= kept(rig)
    rig.place.write("moved/deep/d.pdf", b"THEIR WORK D")
    rig.once()
    rig.foreign |= kept(rig)
    rig.check()
    if rig.keeps_versions:
        assert rig.was_kept("moved/c.pdf", b"their work")
        assert rig.was_kept("moved/deep/d.pdf", b"THEIR WORK D")
    else:
        assert sorted(rig.foreign.values()) == [b"THEIR WORK D", b"their work"]


def test_changed_there_right_after_it_was_renamed(disk: Rig) -> None:
    """The etag that is noted after a move is of what was moved."""
    disk.write(START)
    disk.options["target_check"] = 3600.0
    with disk.live() as live:
        live.until_same()
        with disk.tap.held("stat", "renamed.pdf") as hold:
            disk.path("a.pdf").rename(disk.path("renamed.pdf"))
            live.until(hold.reached.is_set, "it was moved")
            disk.place.write("renamed.pdf", b"their work")
        live.until(lambda: disk.place.tree().get("renamed.pdf") == START["a.pdf"], "ours")
    disk.foreign = kept(disk)
    disk.sync()
    assert list(disk.foreign.values()) == [b"their work"]


def test_changed_there_and_deleted_here_in_the_same_moment(rig: Rig) -> None:
    rig.skip_on("nine methods", "without etags another content of the same size is not noticed")
    rig.write(START)
    rig.options["target_check"] = 3600.0
    with rig.live() as live:
        live.until_same()
        rig.foreign["a.pdf"] = b"THEIR WORK A"
        rig.place.write("a.pdf", b"THEIR WORK A")
        rig.path("a.pdf").unlink()
        live.until(lambda: "a.pdf" not in rig.known(), "it is let go")
    rig.sync()


def test_deleted_by_somebody_in_the_same_moment(rig: Rig) -> None:
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        rig.place.delete("a.pdf")
        rig.place.delete("b.pdf")
        rig.place.delete("folder/c.pdf")
        rig.path("a.pdf").unlink()
        rig.write({"b.pdf": b"changed here"})
        rig.path("folder/c.pdf").rename(rig.path("c.pdf"))
        live.until_same()
    assert rig.quarantined() == {}


def test_found_while_it_runs(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.options["target_check"] = 0.1
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        server.write("a.pdf", b"changed by somebody")
        live.until(lambda: cloud.counts()["restored"] == 1, "it is put back")
        server.delete("folder")
        live.until(lambda: cloud.counts()["restored"] == 4, "the folder is put back")
        live.until_same()


def test_found_while_it_runs_on_any_server(rig: Rig) -> None:
    """Where there are no folder etags, with each full scan."""
    rig.options |= {"target_check": 0.2, "scan_interval": 0.3}
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        rig.place.write("a.pdf", b"changed by somebody")
        rig.place.delete("folder/deep")
        live.until(lambda: rig.counts()["restored"] == 3, "all is put back")
        rig.foreign |= kept(rig)
        live.until_same()


def test_an_unchanged_tree_costs_one_request(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(cloud.tree(60) | {DECOMPOSED: b"x"})
    cloud.put_foreign({"folder 1/theirs.txt": b"theirs", "theirs/too.txt": b"too"})
    cloud.sync()
    server.requests.clear()
    cloud.sync()
    assert server.requests.pairs() == [("PROPFIND", "")]


def test_a_change_deep_down_costs_a_request_for_each_level(
    cloud: Rig, server: NextcloudDouble
) -> None:
    cloud.write(cloud.tree(60))
    cloud.sync()
    server.write("deep/folder 1/document 1.pdf", b"changed by somebody")
    server.requests.clear()
    cloud.sync()
    assert cloud.counts() == {"restored": 1}
    listings = [path for method, path in server.requests.pairs() if method == "PROPFIND"]
    assert len(listings) < 12, listings


def test_a_mirror_without_any_changes_asks_now_and_then(
    cloud: Rig, server: NextcloudDouble
) -> None:
    cloud.options["target_check"] = 0.1
    cloud.write(START)
    cloud.sync()
    with cloud.live() as live:
        live.until_same()
        server.requests.clear()
        live.until(lambda: server.requests.count() >= 3, "it asks")
    assert set(server.requests.pairs()) == {("PROPFIND", "")}


TOUCHES: dict[str, Callable[[NextcloudDouble], None]] = {
    "the same bytes": lambda server: server.write("a.pdf", START["a.pdf"]),
    "a folder": lambda server: server.make_folder("folder/new"),
    "a file of theirs": lambda server: server.write("folder/deep/theirs.txt", b"theirs"),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_what_others_do_beside_ours_sends_nothing(
    cloud: Rig, server: NextcloudDouble, touch: str
) -> None:
    cloud.write(START)
    cloud.sync()
    TOUCHES[touch](server)
    cloud.foreign_folders = {"folder/new"}
    if touch == "a file of theirs":
        cloud.foreign["folder/deep/theirs.txt"] = b"theirs"
    cloud.sync()
    assert cloud.tap.sent == []
    server.requests.clear()
    cloud.sync()
    assert server.requests.pairs() == [("PROPFIND", "")]
