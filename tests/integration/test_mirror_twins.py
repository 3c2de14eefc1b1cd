"""Names that are one to the target: nothing of ours is set aside, and the second one is told."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import ServerPlace
from tests.servers.folding_server import folding_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.base import WebDavServer

NFC = unicodedata.normalize("NFC", "Gebühren.pdf")
NFD = unicodedata.normalize("NFD", NFC)
TWINS = {
    "case": ("a/Brief.pdf", "a/brief.pdf"),
    "dot": ("a/e.V", "a/e.V."),
    "space": ("a/note", "a/note "),
    "unicode": (f"a/{NFC}", f"a/{NFD}"),
    "folder": ("e.V/a.pdf", "e.V./a.pdf"),
}
OTHERS = {"a/other.pdf": b"another", "z.pdf": b"z"}


@pytest.fixture(scope="module")
def running() -> Iterator[WebDavServer]:
    with folding_server() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path, quick: None, running: WebDavServer) -> Rig:  # noqa: ARG001
    """Return a mirror to a server that folds names."""
    running.clear()
    return Rig(tmp_path, ServerPlace(running))


def contents(rig: Rig) -> list[bytes]:
    """Return the content of every file at the target."""
    return sorted(rig.place.tree().values())


def mirrored(rig: Rig, *contents_there: bytes) -> bool:
    return contents(rig) == sorted([*contents_there, *OTHERS.values()])


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("second", [b"second", b"the first"], ids=["other", "equal"])
def test_the_second_of_two_is_in_quarantine(rig: Rig, kind: str, second: bytes) -> None:
    one, two = TWINS[kind]
    rig.write(OTHERS | {one: b"the first", two: second})
    for _ in range(3):
        assert rig.once().failed == 1
        (name,) = rig.quarantined()
        (other,) = {one, two} - {name}
        assert f"takes it for {other!r}" in rig.quarantined()[name]
        assert rig.seen_done("set aside") == []
        assert mirrored(rig, b"the first" if other == one else second)
        assert name not in rig.known()
    assert rig.done() == []


@pytest.mark.parametrize("gone", ["deleted", "moved", "the second renamed"])
def test_it_arrives_once_the_name_is_free(rig: Rig, gone: str) -> None:
    one, two = TWINS["case"]
    rig.write(OTHERS | {one: b"the first"})
    with rig.live() as live:
        rig.write({two: b"second"})
        live.until(lambda: two in rig.quarantined(), "quarantine")
        if gone == "deleted":
            rig.path(one).unlink()
            live.until(lambda: mirrored(rig, b"second"), "the second")
        else:
            old = rig.path(one if gone == "moved" else two)
            old.rename(rig.path("a/renamed.pdf"))
            live.until(lambda: mirrored(rig, b"the first", b"second"), "both")
        live.until(lambda: not rig.quarantined(), "the end of the quarantine")
    assert rig.seen_done("set aside") == []
    rig.once()
    assert rig.done() == []


@pytest.mark.parametrize("content", [b"the first", b"changed too"])
def test_a_rename_to_a_twin_is_one(rig: Rig, content: bytes) -> None:
    one, two = TWINS["case"]
    rig.write(OTHERS | {one: b"the first"})
    rig.once()
    rig.path(one).rename(rig.path(two))
    rig.path(two).write_bytes(content)
    assert rig.once().failed == 0
    assert mirrored(rig, content)
    assert rig.known().keys() == {two, *OTHERS}
    assert rig.seen_done("set aside") == []
    rig.once()
    assert rig.done() == []


def test_two_rows_of_one_file_are_not_one_delete(rig: Rig) -> None:
    one, two = TWINS["case"]
    rig.write(OTHERS | {one: b"the first", two: b"the first"})
    rig.once()
    (name,) = rig.quarantined()
    rig.path(name).unlink()
    rig.once()
    assert mirrored(rig, b"the first")
    assert rig.quarantined() == {}
    assert rig.done() == []


def test_files_of_folders_that_are_one_live_in_one(rig: Rig) -> None:
    rig.write(OTHERS | {"e.V/a.pdf": b"a", "e.V./b.pdf": b"b"})
    rig.once()
    assert mirrored(rig, b"a", b"b")
    rig.once()
    assert rig.done() == []
    rig.path("e.V/a.pdf").unlink()
    rig.once()
    assert mirrored(rig, b"b")
