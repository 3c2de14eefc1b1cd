"""What is left of a look at the target beside which the mirror touched names: a table of cases."""

from __future__ import annotations

import pytest

from paperfleet.mirror.busy import TouchedNames
from paperfleet.mirror.finding import TargetFinding, still_contradicted
from paperfleet.model import FileStat, KnownFile


def row(name: str, target_name: str = "", *, sure: bool = True) -> KnownFile:
    return KnownFile(name, target_name or name, 3, "ab" * 32, 1, "1", None, "etag", sure)


def touched(*names: str, proven: tuple[str, ...] = ()) -> TouchedNames:
    found = TouchedNames()
    found.add(names)
    found.proven.update(proven)
    return found


FINDING = TargetFinding(
    [row("a"), row("f/b"), row("f/c", sure=False), row("g/d", "g/D elsewhere")],
    {"a": FileStat("a", 1)},
    {"": "1", "f": "2", "f/deep": "3", "g": "4"},
    frozenset({"gone"}),
    {"f": frozenset({"f/theirs", "f/ours"})},
    whole=True,
    absent=frozenset({"f/c"}),
    unreadable={},
)


def test_where_nothing_was_touched_all_is_believed() -> None:
    assert FINDING.without(touched()) == (FINDING, [])


@pytest.mark.parametrize(
    ("names", "doubtful", "unclear", "etags"),
    [
        (["other"], "a f/b f/c g/d", "", "f f/deep g"),
        (["a"], "f/b f/c g/d", "a", "f f/deep g"),
        (["A"], "f/b f/c g/d", "a", "f f/deep g"),
        (["f/b"], "a f/c g/d", "f/b", "f/deep g"),
        (["f"], "a g/d", "f/b f/c", "g"),
        (["f/deep/new"], "a f/b f/c g/d", "", "g"),
        (["g/D elsewhere"], "a f/b f/c", "g/d", "f f/deep"),
        (["g/d/below it"], "a f/b f/c", "g/d", "f f/deep"),
    ],
)
def test_what_is_touched_is_left_out(
    names: list[str], doubtful: str, unclear: str, etags: str
) -> None:
    finding, later = FINDING.without(touched(*names))
    assert " ".join(known.name for known in finding.doubtful) == doubtful
    assert " ".join(known.name for known in later) == unclear
    assert " ".join(finding.etags) == etags
    assert finding.listing is None
    assert finding.distrusted >= FINDING.distrusted


def test_no_etag_of_a_folder_above_is_trusted_where_anything_was_touched() -> None:
    finding, _ = FINDING.without(touched("f/deep/x"))
    assert "" not in finding.trusted


def test_what_was_proven_meanwhile_is_no_doubt() -> None:
    finding, later = FINDING.without(touched("f/b", "a", proven=("f/b",)))
    assert [known.name for known in later] == ["a"]
    assert [known.name for known in finding.doubtful] == ["f/c", "g/d"]


def test_what_is_touched_is_neither_absent_nor_a_stranger() -> None:
    finding, later = FINDING.without(touched("f/c", "f/ours"))
    assert finding.absent == frozenset()
    assert finding.strange == {"f": frozenset({"f/theirs"})}
    assert [known.name for known in later] == ["f/c"]


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({}, True),
        ({"modified_ns": 7, "file_id": "9"}, True),
        ({"target_etag": "other"}, False),
        ({"size": 4}, False),
        ({"sha256": "cd" * 32}, False),
        ({"target_name": "elsewhere"}, False),
        ({"sure": False}, False),
    ],
)
def test_a_contradiction_counts_while_the_row_says_the_same_of_the_target(
    change: dict[str, object], still: bool
) -> None:
    before = row("a")
    assert still_contradicted(before, before._replace(**change)) == still  # type: ignore[arg-type]  # the table's values fit


def test_a_row_that_is_gone_contradicts_nothing() -> None:
    assert not still_contradicted(row("a"), None)
