"""Whatever happens at the source: what cannot be read at the target stays as it is, then agrees."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import ServerPlace
from tests.integration.test_mirror_unreadable import Hider
from tests.property.test_mirror_machine import EXAMPLES
from tests.servers.dialect_server import Hiding, dialect_server
from tests.servers.nextcloud_double import nextcloud_double
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.property, pytest.mark.timeout(1200)]

FOLDERS = ["a", "a/b"]
FILES = st.sampled_from(["x", "y", "a/x", "a/y", "a/b/x", "a/b/y", "a/b/c/x", "d/x"])
CONTENTS = st.sampled_from([b"1", b"2", b"33", b"444"])
STEPS = st.one_of(
    st.tuples(st.just("write"), FILES, CONTENTS),
    st.tuples(st.just("delete"), FILES, st.just(b"")),
    st.tuples(st.just("rename"), st.tuples(FILES, FILES), st.just(b"")),
    st.tuples(st.just("rename"), st.just(("a", "e")), st.just(b"")),
    st.tuples(st.sampled_from(["hide", "show"]), st.sampled_from(FOLDERS), st.just(b"")),
    st.tuples(st.just("once"), st.just(""), st.just(b"")),
)
Kind = Literal["refuses", "hides", "obeys", "a Nextcloud"]
WAYS = {"refuses": Hiding(), "hides": Hiding(member=500), "obeys": Hiding(below=None)}


@contextmanager
def hider_on(kind: Kind) -> Iterator[Hider]:
    with (
        tempfile.TemporaryDirectory(prefix="unreadable-") as base,
        nextcloud_double() if kind == "a Nextcloud" else dialect_server() as server,
    ):
        rig = Rig(Path(base), ServerPlace(server))
        rig.put_foreign({"theirs": b"theirs", "a/theirs": b"theirs", "a/b/theirs": b"theirs"})
        rig.write({"keep": b"an empty source deletes nothing"})
        yield Hider(rig, WAYS.get(kind, Hiding()))


def change(rig: Rig, step: str, names: str | tuple[str, str], content: bytes) -> None:
    """Change the source, if that can be done as it is."""
    old, new = (names, names) if isinstance(names, str) else names
    old_path, new_path = rig.path(old), rig.path(new)
    if step == "delete":
        old_path.unlink(missing_ok=True)
    if step == "write":
        rig.write({old: content})
    if step == "rename" and old_path.exists() and not new_path.exists():
        new_path.parent.mkdir(parents=True, exist_ok=True)
        old_path.rename(new_path)


@pytest.mark.parametrize("kind", ["refuses", "hides", "obeys", "a Nextcloud"])
@settings(EXAMPLES, max_examples=max(EXAMPLES.max_examples // 4, 5))
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_what_cannot_be_read_stays_as_it_is(
    kind: Kind, steps: list[tuple[str, str | tuple[str, str], bytes]]
) -> None:
    with hider_on(kind) as hider:
        rig, hidden = hider.rig, set[str]()
        for step, names, content in [*steps, ("once", "", b"")]:
            if step == "hide" and str(names) not in hidden and not hidden:
                hidden.add(str(names))
                hider.hide(str(names))
            elif step == "show" and str(names) in hidden:
                hidden.discard(str(names))
                hider.show(str(names))
            elif step == "once":
                before = {name: content for f in hidden for name, content in hider.below(f).items()}
                rig.once()
                assert {n: c for f in hidden for n, c in hider.below(f).items()} == before
                assert rig.foreign.items() <= rig.place.tree().items()
            else:
                change(rig, step, names, content)
        for folder in hidden:
            hider.show(folder)
        rig.once()
        assert not rig.quarantined()
        assert rig.place.tree() == read_tree(rig.source) | rig.foreign
