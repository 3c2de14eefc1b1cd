"""Whatever takes long at the target, a change elsewhere arrives while it is still under way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.integration.mirror_places import remove

from paperfleet.mirror.events import Done

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tests.integration.mirror_kit import Hold, Rig

START = {
    "a.pdf": b"content of a",
    "b.pdf": b"content of b, longer",
    "folder/c.pdf": b"content of c",
    "folder/d.pdf": b"content of d",
    "place": b"a file where a folder will be",
    "else/changed.pdf": b"first",
    "else/renamed.pdf": b"to be renamed",
    "else/gone.pdf": b"to be deleted",
}
BIG = b"0123456789abcdef" * 300_000


class Slow(NamedTuple):
    """What is held: calls of a method with a name; ``start`` is what brings it about."""

    method: str
    name: str
    start: Callable[[Rig], object]


def swap(rig: Rig) -> None:
    rig.path("a.pdf").rename(rig.path("between"))
    rig.path("b.pdf").rename(rig.path("a.pdf"))
    rig.path("between").rename(rig.path("b.pdf"))


def make_way(rig: Rig) -> None:
    rig.path("place").unlink()
    rig.write({"place/inner.pdf": b"inside what was a file"})


SLOW = {
    "move": Slow("move", "a.pdf", lambda rig: rig.path("a.pdf").rename(rig.path("z.pdf"))),
    "swap": Slow("move", "a.pdf", swap),
    "folder move": Slow(
        "move_folder", "folder", lambda rig: rig.path("folder").rename(rig.path("renamed"))
    ),
    "delete": Slow("delete", "a.pdf", lambda rig: remove(rig.path("a.pdf"))),
    "delete that makes room": Slow("delete", "place", make_way),
    "folder to be made": Slow(
        "make_folder", "fresh", lambda rig: rig.write({"fresh/new.pdf": b"in a new folder"})
    ),
    "folder to be removed": Slow("remove_folder", "folder", lambda rig: remove(rig.path("folder"))),
    "save": Slow("save", "a.pdf", lambda rig: rig.write({"a.pdf": b"other content of a"})),
    "big save": Slow("save", "big.bin", lambda rig: rig.write({"big.bin": BIG})),
    "listing": Slow("listing", "", lambda rig: rig.put_foreign({"theirs.txt": b"theirs"})),
}

Change = tuple["Callable[[Rig], object]", "Callable[[Rig], bool]"]


def there(rig: Rig, name: str, content: bytes) -> bool:
    return rig.place.tree().get(name) == content


CHANGES: dict[str, Change] = {
    "new": (
        lambda rig: rig.write({"else/new.pdf": b"new"}),
        lambda rig: there(rig, "else/new.pdf", b"new"),
    ),
    "new in a new folder": (
        lambda rig: rig.write({"else/deep/er/new.pdf": b"new"}),
        lambda rig: there(rig, "else/deep/er/new.pdf", b"new"),
    ),
    "changed": (
        lambda rig: rig.write({"else/changed.pdf": b"second"}),
        lambda rig: there(rig, "else/changed.pdf", b"second"),
    ),
    "renamed": (
        lambda rig: rig.path("else/renamed.pdf").rename(rig.path("else/other.pdf")),
        lambda rig: there(rig, "else/other.pdf", b"to be renamed"),
    ),
    "deleted": (
        lambda rig: rig.path("else/gone.pdf").unlink(),
        lambda rig: "else/gone.pdf" not in rig.place.tree(),
    ),
}


def held(rig: Rig, slow: Slow) -> AbstractContextManager[Hold]:
    """Hold what is slow."""
    if slow.method == "listing":
        return rig.tap.held_listing()
    return rig.tap.held(method_of(rig, slow), slow.name)


def method_of(rig: Rig, slow: Slow) -> str:
    """Return the method by which this target does it."""
    if slow.method == "save":
        return rig.sending_method()
    can = rig.tap.capabilities
    if slow.method == "delete" and can.conditional_delete:
        return "delete_if"
    if slow.method in {"make_folder", "remove_folder"} and not can.folders:
        pytest.skip("folders do not exist on their own here")
    if slow.method == "move_folder" and not can.move_folder:
        pytest.skip("folders cannot be moved here")
    return slow.method


@pytest.mark.parametrize("slow", SLOW)
def test_nothing_waits_for_what_is_slow(rig: Rig, slow: str) -> None:
    rig.write(START)
    rig.options["bulk"] = False
    if slow == "listing":
        rig.options |= {"target_check": 0.1, "scan_interval": 0.3}
    with rig.live() as live:
        live.until_same()
        what = SLOW[slow]
        with held(rig, what) as hold:
            what.start(rig)
            live.until(hold.reached.is_set, f"the {slow} began")
            for name, (change, arrived) in CHANGES.items():
                change(rig)
                live.until(partial(arrived, rig), f"{name} beside a slow {slow}")
            assert not hold.released.is_set()
        live.until_same()
    assert rig.quarantined() == {}


def test_what_needs_the_slow_one_waits_for_it(rig: Rig) -> None:
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        rig.tap.calls.clear()
        with rig.tap.held("move", "a.pdf") as hold:
            rig.path("a.pdf").rename(rig.path("z.pdf"))
            rig.write({"a.pdf": b"another document of that name"})
            live.until(hold.reached.is_set, "the move began")
            live.edit_elsewhere()
            assert "a.pdf" not in rig.tap.sent
            assert rig.place.tree()["a.pdf"] == START["a.pdf"]
        live.until_same()
    assert ("moved", "a.pdf") in [(e.action, e.name) for e in rig.events if isinstance(e, Done)]
    assert rig.quarantined() == {}


def test_what_is_put_into_a_folder_that_is_being_moved_waits(rig: Rig) -> None:
    if not rig.tap.capabilities.move_folder:
        pytest.skip("folders cannot be moved here")
    rig.write(START)
    with rig.live() as live:
        live.until_same()
        with rig.tap.held("move_folder", "folder") as hold:
            rig.path("folder").rename(rig.path("renamed"))
            live.until(hold.reached.is_set, "the move began")
            rig.write({"renamed/new.pdf": b"new there", "folder/again.pdf": b"and here again"})
            live.edit_elsewhere()
            assert not {"renamed/new.pdf", "folder/again.pdf"} & set(rig.tap.sent)
        live.until_same()
    moves = [call for call in rig.tap.calls if call.operation == "move"]
    assert moves == []
    assert rig.quarantined() == {}
