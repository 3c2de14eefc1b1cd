"""A look at the whole target goes on beside the work: of what is touched it is not believed."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.integration.mirror_places import remove
from tests.servers.nextcloud_errors import DavError

from paperfleet.errors import UnavailableError
from paperfleet.journal.journal import Journal
from paperfleet.journal.tables import STRANGERS
from paperfleet.mirror.events import Notice, Paused, Resumed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.mirror_kit import Live, Rig

START = {
    "a.pdf": b"content of a",
    "else/changed.pdf": b"first",
    "else/renamed.pdf": b"to be renamed",
    "else/gone.pdf": b"to be deleted",
    "else/stays.pdf": b"stays as it is",
    "folder/b.pdf": b"content of b",
    "folder/c.pdf": b"content of c",
    "goes/with/d.pdf": b"content of d",
    "goes/e.pdf": b"content of e",
}


class Change(NamedTuple):
    """Something that a person does at the source, and how it is seen to have arrived."""

    make: Callable[[Rig], object]
    arrived: Callable[[dict[str, bytes]], bool]


CHANGES = {
    "new": Change(
        lambda rig: rig.write({"else/new.pdf": b"new"}),
        lambda tree: tree.get("else/new.pdf") == b"new",
    ),
    "new in a new folder": Change(
        lambda rig: rig.write({"else/deep/er/new.pdf": b"new"}),
        lambda tree: tree.get("else/deep/er/new.pdf") == b"new",
    ),
    "changed": Change(
        lambda rig: rig.write({"else/changed.pdf": b"second, longer"}),
        lambda tree: tree.get("else/changed.pdf") == b"second, longer",
    ),
    "renamed": Change(
        lambda rig: rig.path("else/renamed.pdf").rename(rig.path("else/other.pdf")),
        lambda tree: "else/other.pdf" in tree and "else/renamed.pdf" not in tree,
    ),
    "deleted": Change(
        lambda rig: rig.path("else/gone.pdf").unlink(), lambda tree: "else/gone.pdf" not in tree
    ),
    "folder renamed": Change(
        lambda rig: rig.path("folder").rename(rig.path("else/moved")),
        lambda tree: "else/moved/b.pdf" in tree and "folder/b.pdf" not in tree,
    ),
    "folder deleted": Change(
        lambda rig: remove(rig.path("goes")), lambda tree: "goes/with/d.pdf" not in tree
    ),
}


def has_arrived(rig: Rig, change: Change) -> bool:
    return change.arrived(rig.place.tree())


def looks_often(rig: Rig) -> None:
    rig.options |= {"target_check": 0.1, "scan_interval": 0.3}


def others_add_something(rig: Rig, folder: str = "") -> None:
    """Let the next look read the folder; where folders have etags it reads what has changed."""
    rig.put_foreign({f"{folder}/theirs.txt" if folder else "theirs.txt": b"theirs"})


def strangers(rig: Rig) -> object:
    with Journal.read(rig.journal) as view:
        return view.get_fact(STRANGERS)


def put_back(rig: Rig) -> list[str]:
    """Return what the mirror took for changed by others."""
    told = [notice.text for notice in rig.seen(Notice) if "by others" in notice.text]
    return [*told, *(event.name for event in rig.seen_done("restored"))]


@pytest.mark.parametrize("folder", ["", "else"])
def test_what_the_mirror_did_beside_a_listing_is_not_taken_for_others(
    rig: Rig, folder: str
) -> None:
    """The listing has read everything before the changes arrive, and is believed after them."""
    if folder and not rig.tap.capabilities.folder_etags:
        pytest.skip("lists the whole tree at once")
    looks_often(rig)
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        with rig.tap.held_listing(folder) as hold:
            others_add_something(rig, folder)
            live.until(hold.reached.is_set, "the listing was read")
            for name, change in CHANGES.items():
                change.make(rig)
                live.until(partial(has_arrived, rig, change), f"{name} arrived")
            sent = len(rig.tap.sent)
        live.until_same()
        assert put_back(rig) == []
        assert len(rig.tap.sent) == sent
    assert rig.quarantined() == {}
    assert strangers(rig) == {folder: 1}
    rig.sync()
    assert rig.done() == []


@pytest.mark.parametrize("folder", ["", "else"])
def test_what_others_change_during_a_listing_is_found(rig: Rig, folder: str) -> None:
    if folder and not rig.tap.capabilities.folder_etags:
        pytest.skip("lists the whole tree at once")
    looks_often(rig)
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        with rig.tap.held_listing(folder) as hold:
            others_add_something(rig, folder)
            live.until(hold.reached.is_set, "the listing was read")
            rig.write({"else/new.pdf": b"new", "else/changed.pdf": b"second, longer"})
            live.until(partial(both_are_known, rig), "both have arrived")
            rig.place.delete("else/new.pdf")
            rig.place.delete("else/stays.pdf")
            rig.place.write("else/changed.pdf", b"changed by somebody")
        live.until(partial(all_is_put_back, rig), "all is put back")
        live.until(lambda: rig.keeps_versions or rig.seen_done("set aside"), "theirs is told")
        keep_what_was_set_aside(rig)
        live.until_same()


def both_are_known(rig: Rig) -> bool:
    sizes = {name: row.size for name, row in rig.known().items() if row.sure}
    return (sizes.get("else/new.pdf"), sizes.get("else/changed.pdf")) == (3, 14)


def all_is_put_back(rig: Rig) -> bool:
    tree = rig.place.tree()
    wanted = {"else/new.pdf": b"new", "else/changed.pdf": b"second, longer"}
    return (wanted | {"else/stays.pdf": START["else/stays.pdf"]}).items() <= tree.items()


def keep_what_was_set_aside(rig: Rig) -> None:
    tree = rig.place.tree()
    rig.foreign |= {e.new_name: tree[e.new_name] for e in rig.seen_done("set aside") if e.new_name}


def test_what_others_do_between_a_save_and_its_answer_is_found(rig: Rig) -> None:
    """The listing shows theirs, the row is ours: no etag of that listing may be trusted."""
    rig.skip_on("nine methods", "without etags another content of the same size is not noticed")
    looks_often(rig)
    rig.options["bulk"] = False
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        with rig.tap.held_answer(rig.sending_method(), "else/new.pdf") as answer:
            with rig.tap.held_listing() as listing:
                others_add_something(rig, "else")
                live.until(listing.reached.is_set, "the root was read")
                rig.write({"else/new.pdf": b"content that is new"})
                live.until(answer.reached.is_set, "it was saved")
                rig.place.write("else/new.pdf", b"CONTENT THAT IS NEW")
            live.edit_elsewhere()
        live.until(lambda: rig.counts()["restored"] == 1, "ours is put back")
        live.until(lambda: rig.keeps_versions or rig.seen_done("set aside"), "theirs is told")
        keep_what_was_set_aside(rig)
        live.until_same()


def one_look(rig: Rig, live: Live) -> None:
    """Let an operation fail as if the server were gone: after the pause there is one look."""
    rig.tap.fail(rig.sending_method(), "fails.pdf", error=UnavailableError, when="before")
    rig.write({"fails.pdf": b"fails at first"})
    live.until_event(Paused)


def test_what_a_listing_found_is_not_lost_when_the_name_is_touched(rig: Rig) -> None:
    """Others removed a file; while the listing that shows it is under way, only our row changes."""
    rig.options |= {"target_check": 3600.0, "scan_interval": 3600.0, "bulk": False}
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        rig.place.delete("else/stays.pdf")
        rig.place.delete("else/renamed.pdf")
        with rig.tap.held_listing() as hold:
            one_look(rig, live)
            live.until(hold.reached.is_set, "the listing was read")
            stats = rig.path("else/stays.pdf").stat()
            touch(rig, "else/stays.pdf", stats.st_mtime_ns + 10**9)
            live.until(
                lambda: rig.known()["else/stays.pdf"].modified_ns == stats.st_mtime_ns + 10**9,
                "the time was noted",
            )
            live.edit_elsewhere()
        live.until(lambda: rig.counts()["restored"] == 2, "both are put back")
        live.until_same()
    assert rig.seen(Resumed)


def touch(rig: Rig, name: str, modified_ns: int) -> None:
    os.utime(rig.path(name), ns=(modified_ns, modified_ns))


def test_the_mirror_does_not_say_that_all_is_done_while_it_looks(rig: Rig) -> None:
    looks_often(rig)
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        with rig.tap.held_listing() as hold:
            others_add_something(rig)
            live.until(hold.reached.is_set, "the listing was read")
            rig.write({"else/new.pdf": b"new"})
            live.until(lambda: "else/new.pdf" in rig.place.tree(), "the new one arrived")
            live.edit_elsewhere()
            assert not live.rests()
            live.until(lambda: state_of(rig) == "syncing", "it says so")
        live.until_same()
        live.until(lambda: state_of(rig) == "idle", "it rests")


def state_of(rig: Rig) -> object:
    with Journal.read(rig.journal) as view:
        beat = view.get_fact("heartbeat")
    return beat.get("state") if isinstance(beat, dict) else None


def test_nothing_is_sent_before_the_target_has_answered_once(rig: Rig) -> None:
    rig.write(START)
    with rig.tap.held_listing() as hold, rig.live() as live:
        live.until(hold.reached.is_set, "the first listing was read")
        rig.write({"new.pdf": b"new"})
        live.until(lambda: state_of(rig) is not None, "it lives")
        assert rig.tap.sent == []
        hold.released.set()
        live.until_same()


def test_a_target_that_is_slow_to_answer_again_holds_up_no_signal(rig: Rig) -> None:
    rig.options["bulk"] = False
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        with rig.tap.held("exists", "paperfleet") as hold:
            one_look(rig, live)
            live.until(hold.reached.is_set, "it is asked")
            rig.write({"new.pdf": b"new"})
            beat = beat_of(rig)
            live.until(lambda: beat_of(rig) != beat, "its heart beats")
            assert "new.pdf" not in rig.tap.sent
        live.until_same()


def beat_of(rig: Rig) -> object:
    with Journal.read(rig.journal) as view:
        return view.get_fact("heartbeat")


@pytest.mark.parametrize("seed", [1, 2])
def test_all_agree_in_the_end_whatever_happens_beside_slow_looks(cloud: Rig, seed: int) -> None:
    """Each listing is believed some time after it was read; others delete and overwrite ours."""
    chance = random.Random(seed)  # noqa: S311  # test data, no secret
    cloud.options |= {"target_check": 0.05, "scan_interval": 0.7}
    kept = [f"kept/{n}.pdf" for n in range(5)]
    cloud.write(dict.fromkeys(kept, b"first") | START)
    with cloud.live() as live:
        live.until_same()
        for operation in ("list_folder", "folder_etag"):
            cloud.tap.fail(operation, error=None, when="after", delay=0.04, times=None)
        for number in range(120):
            one_of_many(cloud, chance, kept, number)
            with cloud.happened:
                cloud.happened.wait(chance.choice([0.0, 0.01, 0.05]))
        cloud.tap.heal()
        live.until_same()


def one_of_many(rig: Rig, chance: random.Random, kept: list[str], number: int) -> None:
    """Change the source, or what the mirror has put at the target."""
    names = sorted(rig.source_names() - set(kept))
    name, content = chance.choice(names or kept), b"content %d" % number
    action = chance.choice(["new", "change", "rename", "delete", "others delete", "others write"])
    if action == "new" or not names:
        rig.write({f"{chance.choice(['else', 'folder', 'deep/er'])}/{number}.pdf": content})
    elif action == "change":
        rig.write({chance.choice([name, *kept]): content})
    elif action == "rename":
        new = rig.path(f"{chance.choice(['else', 'goes'])}/renamed {number}.pdf")
        new.parent.mkdir(exist_ok=True)
        rig.path(name).rename(new)
    elif action == "delete":
        rig.path(name).unlink()
    elif action == "others delete":
        delete_if_there(rig, chance.choice([name, *kept]))
    else:
        with suppress(DavError):  # it is locked while it is being written
            rig.place.write(chance.choice(kept), b"of others %d" % number)


def delete_if_there(rig: Rig, name: str) -> None:
    with suppress(FileNotFoundError, DavError):  # the mirror may move or delete it at this moment
        rig.place.delete(name)
