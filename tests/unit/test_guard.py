"""What looks like an accident waits: the guard as a table of text.

A file is written ``name=content`` (``name=`` is an empty one), as in the tests of the planner.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from paperfleet.mirror.planning.guard import Circumstances, Judgement, Limits, judge
from paperfleet.mirror.planning.plan import plan
from paperfleet.mirror.planning.view import View
from paperfleet.model import FileStat, KnownFile


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def tree(text: str) -> dict[str, str]:
    """Return contents by name; ``3x=ab`` stands for x0, x1 and x2."""
    files: dict[str, str] = {}
    for word in text.split():
        name, _, content = word.partition("=")
        stem = name.lstrip("0123456789")
        count = name.removesuffix(stem)
        files |= {f"{stem}{n}" if count else stem: content for n in range(int(count or 1))}
    return files


def verdict(
    before: str,
    after: str,
    limits: Limits | None = None,
    **circumstances: Any,  # noqa: ANN401
) -> Judgement:
    known = {
        n: KnownFile(n, n, len(c), sha(c), 1, f"i-{n}", "v", f"e-{n}")
        for n, c in tree(before).items()
    }
    source = {
        n: FileStat(n, len(c), 2, "w", f"i-{n}", sha(c))
        for n, c in tree(after).items()
        if n not in known or known[n].sha256 != sha(c)
    }
    rows = {n: row for n, row in known.items() if n in source or n not in tree(after)}
    work = plan(View(source=source, known=rows))
    weighed = replace(Circumstances(len(known), rows), **circumstances)
    return judge(work, weighed, limits or Limits())


def kinds(judged: Judgement) -> dict[str, int]:
    counts: dict[str, int] = {}
    for held in judged.refused.values():
        counts[held.loss] = counts.get(held.loss, 0) + 1
    return counts


# before, after → what waits, by kind; None of it runs, all the rest does.
CASES = {
    "one of two is deleted": ("2a=x", "1a=x", {}),
    "two of three are deleted": ("3a=x", "1a=x", {"delete": 2}),
    "the only file is deleted": ("1a=x", "", {"delete": 1}),
    "half of twenty are deleted": ("20a=x", "10a=x", {}),
    "most of twenty are deleted": ("20a=x", "9a=x", {"delete": 11}),
    "more than 20 and a quarter": ("60a=x", "39a=x", {"delete": 21}),
    "20 of 60": ("60a=x", "40a=x", {}),
    "21 of 100": ("100a=x", "79a=x", {}),
    "one of two becomes empty": ("2a=x", "1b=y a0=x a1=", {}),
    "all of three become empty": ("3a=x", "3a=", {"empty": 3}),
    "30 of 100 become empty": ("30a=x 70b=x", "30a= 70b=x", {"empty": 30}),
    "20 of 100 become empty": ("20a=x 80b=x", "20a= 80b=x", {}),
    "empty stays empty": ("30a=", "30a=", {}),
    "deleted and emptied count together": (
        "15a=x 15b=x 50c=x",
        "15b= 50c=x",
        {"delete": 15, "empty": 15},
    ),
    "four of four edited": ("4a=x", "4a=yy", {}),
    "five of five get less": ("5a=xx", "5a=y", {"shrink": 5}),
    "most get other content": ("9a=xx 3b=xx", "9a=yyy 3b=xx", {"change": 9}),
    "half get other content": ("6a=xx 6b=xx", "6a=yyy 6b=xx", {}),
    "less and more together": (
        "4a=xx 4b=xx 2c=xx",
        "4a=y 4b=yyy 2c=xx",
        {"shrink": 4, "change": 4},
    ),
    "what grows goes on while most get less": (
        "9a=xx 1b=xx 2c=xx",
        "9a=y 1b=yyy 2c=xx",
        {"shrink": 9},
    ),
    "a mass rename": ("30a=x", "30b=x", {}),
    "new files go on": ("40a=x", "40a= 30new=y", {"empty": 40}),
}


@pytest.mark.parametrize(("before", "after", "waits"), CASES.values(), ids=CASES.keys())
def test_table(before: str, after: str, waits: dict[str, int]) -> None:
    judged = verdict(before, after)
    assert kinds(judged) == waits
    running = {name for operation in judged.plan.operations for name in operation.names}
    assert running.isdisjoint(judged.refused)
    if not waits:
        assert judged == verdict(before, after, Limits(share=1, overwrite_share=1))


def test_new_files_are_sent_while_overwrites_wait() -> None:
    judged = verdict("40a=x", "40a= 3new=y")
    assert sorted(put.source.name for put in judged.plan.puts) == ["new0", "new1", "new2"]


def test_a_share_of_one_lets_everything_pass() -> None:
    assert not verdict("3a=x", "", Limits(share=1)).refused
    assert not verdict("30a=x", "30a=y", Limits(overwrite_share=1)).refused
    assert not verdict("30a=x", "30a=", Limits(share=1, overwrite_share=1)).refused


def test_what_happened_within_the_hour_counts() -> None:
    assert not verdict("40a=x", "38a=x", deleted=10).refused
    assert kinds(verdict("40a=x", "38a=x", deleted=20)) == {"delete": 2}
    done = {f"b{n}": "change" for n in range(18)}
    assert kinds(verdict("3a=x 18b=z 19c=z", "3a=y 18b=z 19c=z", overwritten=done)) == {"change": 3}
    assert not verdict("1a=x 39b=x", "1a=y 39b=x", overwritten={"a0": "change"}).refused


def test_a_file_that_is_edited_again_and_again_counts_once() -> None:
    done = {"a0": "change", "a1": "change", "a2": "change"}
    assert not verdict("3a=x 3b=x", "3a=y 3b=x", overwritten=done).refused


def test_what_waits_counts_and_what_is_approved_runs() -> None:
    held = {f"a{n}": "delete" for n in range(25)}
    assert kinds(verdict("25a=x 30b=x", "25a=x 29b=x", held=held)) == {"delete": 1}
    everything = {f"a{n}": "delete" for n in range(30)}
    assert not verdict("30a=x", "", held=everything, approved=everything).refused


def test_an_approval_is_for_the_loss_that_was_shown() -> None:
    approved = {f"a{n}": "change" for n in range(30)}
    assert not verdict("30a=x", "30a=y", approved=approved).refused
    assert kinds(verdict("30a=x", "30a=", approved=approved)) == {"empty": 30}


def test_where_versions_are_kept_overwrites_go_with_a_warning() -> None:
    judged = verdict("30a=x", "30a=", keeps_versions=True)
    assert not judged.refused
    assert "30 of 30 files would be emptied within an hour" in judged.warning
    judged = verdict("30a=x", "30a=yy", keeps_versions=True)
    assert judged.warning == "30 of 30 files would be overwritten within an hour"
    assert kinds(verdict("30a=x", "", keeps_versions=True)) == {"delete": 30}
    assert not verdict("30a=x", "29a=x a29=yy", keeps_versions=True).warning


def test_a_doubt_holds_back_one_file_of_many() -> None:
    doubts = {"a0": "'disk' is not mounted any more"}
    judged = verdict("1a=x 99b=x", "99b=x", doubts=doubts)
    assert {n: h.reason for n, h in judged.refused.items()} == doubts
    judged = verdict("1a=xx 99b=x", "1a=y 99b=x", doubts=doubts, keeps_versions=True)
    assert kinds(judged) == {"shrink": 1}


def test_a_fault_of_the_source_holds_back_every_delete() -> None:
    judged = verdict("100a=x", "99a=x 1new=y", source_fault="the source is empty")
    assert [held.reason for held in judged.refused.values()] == ["the source is empty"]
    assert len(judged.plan.puts) == 1


# before, after → what is said of each kind of loss.
REASONS = {
    "deleted": (
        "3a=x",
        "1a=x",
        {"delete": "2 of 3 files would be deleted within an hour, more than 50%"},
    ),
    "emptied": (
        "3a=x",
        "3a=",
        {"empty": "3 of 3 files would be emptied within an hour, more than 50%"},
    ),
    "both": (
        "15a=x 15b=x 50c=x",
        "15b= 50c=x",
        dict.fromkeys(
            ("delete", "empty"),
            "30 of 80 files would be deleted or emptied within an hour, more than 20 and more than"
            " 25%",
        ),
    ),
    "less": (
        "3a=xx 3b=xx",
        "3a=y 3b=",
        {
            "empty": "6 of 6 files would have less content within an hour",
            "shrink": "6 of 6 files would have less content within an hour",
        },
    ),
    "overwritten": (
        "3a=xx 2b=xx 2c=xx",
        "3a=yyy 2b=y 2c=",
        dict.fromkeys(
            ("empty", "shrink", "change"), "7 of 7 files would be overwritten within an hour"
        ),
    ),
}


@pytest.mark.parametrize(("before", "after", "reasons"), REASONS.values(), ids=REASONS.keys())
def test_what_waits_says_why(before: str, after: str, reasons: dict[str, str]) -> None:
    held = verdict(before, after).refused.values()
    assert {one.loss: one.reason for one in held} == reasons


def test_what_went_within_the_hour_was_among_all() -> None:
    assert not verdict("40a=x", "38a=x", deleted=35, limits=Limits(share=0.5)).refused
    assert kinds(verdict("40a=x", "37a=x", deleted=38, limits=Limits(share=0.5))) == {"delete": 3}


def test_what_keeps_its_versions_does_not_count_as_gone() -> None:
    judged = verdict("15a=x 15b=x 50c=x", "15b= 50c=x", keeps_versions=True)
    assert not judged.refused


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("3a=x 1b=x", "b0/below=new"),
        ("3a=x d/e/f=x", "d/e=new"),
    ],
    ids=["a file becomes a folder", "a folder becomes a file"],
)
def test_what_needs_the_place_of_a_delete_that_waits_is_told(before: str, after: str) -> None:
    judged = verdict(before, after)
    (name,) = tree(after)
    assert kinds(judged) == {"delete": 4}
    assert not judged.plan.operations
    (problem,) = judged.plan.problems
    assert (problem.name, problem.hint) == (name, "paperfleet approve")
    assert problem.reason == "a delete that waits for approval is in the way"


def test_a_move_into_the_place_of_a_delete_that_waits_waits() -> None:
    judged = verdict("4a=x 1move=y", "a0/below=y")
    assert kinds(judged) == {"delete": 4}
    assert [wave for wave in judged.plan.moves if wave] == []
