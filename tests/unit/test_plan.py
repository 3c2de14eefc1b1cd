"""The planner as a table of text: three states in, ordered lines out.

A file is written ``name=content``, with ``#7`` for its inode; at the target ``name=content!`` means
that somebody else changed it. ``-`` means that the target was looked at and has nothing there.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from paperfleet.mirror.planning.classify import aside_name, passing_name
from paperfleet.mirror.planning.plan import describe, plan
from paperfleet.mirror.planning.view import View
from paperfleet.model import Capabilities, FileStat, KnownFile, MoveFolder
from paperfleet.storage.names import collision_key, is_below

PLAIN = Capabilities()
VERSIONS = Capabilities(keeps_versions=True, unicode_form="NFC")
FOLDING = Capabilities(case_sensitive=False)


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def parse(text: str) -> list[tuple[str, str, str | None]]:
    """Return (name, content, inode) of each word."""
    words = []
    for word in text.split():
        name, _, rest = word.partition("=")
        content, _, inode = rest.partition("#")
        words.append((name, content, inode or None))
    return words


def view(
    source: str, known: str, seen: str = "", can: Capabilities = PLAIN, unsure: str = ""
) -> View:
    files = {n: FileStat(n, len(c), 1, "v", i or f"inode-{n}", sha(c)) for n, c, i in parse(source)}
    rows = {
        n: KnownFile(n, n, len(c), sha(c), 1, i or f"inode-{n}", "v", f"etag-{c}", n not in unsure)
        for n, c, i in parse(known)
    }
    target: dict[str, FileStat | None] = {}
    for name, content, _ in parse(seen):
        foreign = content.endswith("!")
        body = content.rstrip("!")
        etag = f"etag-{body}" + ("-foreign" if foreign else "")
        there = FileStat(name, len(body), 1, etag, None, sha(body))
        target[name] = None if content == "-" else there
    keys = {collision_key(n, can): n for n in rows}
    return View(
        source=files,
        known={n: r for n, r in rows.items() if files.get(n) is None or n in files},
        target=target,
        capabilities=can,
        known_below=lambda folder: sum(is_below(n, folder) for n in rows),
        owner=keys.get,
        versioned=target.keys() if can.keeps_versions else (),
    )


CASES = {
    "nothing to do": ("a=1", "a=1", "", []),
    "new": ("a=1", "", "", ["create a"]),
    "changed": ("a=2", "a=1", "", ["update a"]),
    "gone": ("", "a=1", "", ["delete a"]),
    "gone on both sides": ("", "a=1", "a=-", ["forget a"]),
    "gone, but somebody changed it there": ("", "a=1", "a=2!", ["let go a"]),
    "there already and identical": ("a=1", "", "a=1!", ["adopt a"]),
    "foreign file of that name is kept": (
        "x/a.pdf=1",
        "",
        "x/a.pdf=22!",
        ["set aside x/a.pdf -> x/a (kept 72204407).pdf", "update x/a.pdf"],
    ),
    "removed there by somebody": ("a=1", "a=1", "a=-", ["restore a"]),
    "changed there by somebody": (
        "a=1",
        "a=1",
        "a=22!",
        ["set aside a -> a (kept 72204407)", "restore a"],
    ),
    "rename by inode": ("b=1#7", "a=1#7", "", ["move a -> b"]),
    "rename by content": ("b=1", "a=1", "", ["move a -> b"]),
    "same inode, other content is no rename": ("b=2#7", "a=1#7", "", ["create b", "delete a"]),
    "the inode decides between twins": (
        "c=1#8",
        "a=1#7 b=1#8",
        "",
        ["move b -> c", "delete a"],
    ),
    "across folders": ("y/a=1 y/b=2", "x/a=1 y/b=2", "", ["move x/a -> y/a"]),
    "swap": (
        "a=2#2 b=1#1",
        "a=1#1 b=2#2",
        "",
        ["move b -> a (moving ca978112)", "move a -> b", "move a (moving ca978112) -> a"],
    ),
    "chain": ("b=1#1 c=2#2", "a=1#1 b=2#2", "", ["move b -> c", "move a -> b"]),
    "rename over another": ("a=2#2", "a=1#1 b=2#2", "", ["update a", "delete b"]),
    "old content moves on, new content comes": (
        "a=3#9 b=1#1",
        "a=1#1",
        "",
        ["move a -> b", "create a"],
    ),
    "a copy leaves the original": ("a=1#1 b=1#2", "a=1#1", "", ["create b"]),
    "old content copied, then edited": ("a=3#1 b=1#2", "a=1#1", "", ["update a", "create b"]),
    "folder": ("y/a=1 y/s/b=2", "x/a=1 x/s/b=2", "", ["move x/ -> y/ (2 files)"]),
    "folder with one file is a file": ("y/a=1", "x/a=1", "", ["move x/a -> y/a"]),
    "folder, but one stayed": (
        "y/a=1 y/b=2 x/c=3",
        "x/a=1 x/b=2 x/c=3",
        "",
        ["move x/a -> y/a", "move x/b -> y/b"],
    ),
    "inner folder only": (
        "z/a=1 y/s/b=2 y/s/c=3",
        "x/a=1 x/s/b=2 x/s/c=3",
        "",
        ["move x/s/ -> y/s/ (2 files)", "move x/a -> z/a"],
    ),
    "folder into another of ours": (
        "y/o=0 y/a=1 y/b=2",
        "y/o=0 x/a=1 x/b=2",
        "",
        ["move x/a -> y/a", "move x/b -> y/b"],
    ),
    "folders swapped": (
        "x/c=3 x/d=4 y/a=1 y/b=2",
        "x/a=1 x/b=2 y/c=3 y/d=4",
        "",
        [
            "move y/ -> x (moving 2d711642)/ (2 files)",
            "move x/ -> y/ (2 files)",
            "move x (moving 2d711642)/ -> x/ (2 files)",
        ],
    ),
    "folder moved, new file in it": (
        "y/a=1 y/b=2 y/n=9",
        "x/a=1 x/b=2",
        "",
        ["move x/ -> y/ (2 files)", "create y/n"],
    ),
    "file becomes a folder": ("a/b=2", "a=1", "", ["delete a", "create a/b"]),
    "file moves into a folder of its name": (
        "a/b=1",
        "a=1",
        "",
        ["move a -> b (moving c14cddc0)", "move b (moving c14cddc0) -> a/b"],
    ),
    "file leaves its folder for the folder's name": (
        "a=1",
        "a/b=1",
        "",
        ["move a/b -> a (moving ca978112)", "move a (moving ca978112) -> a"],
    ),
    "folder becomes a file": ("a=2", "a/b=1", "", ["delete a/b", "create a"]),
}


@pytest.mark.parametrize("case", CASES)
def test_plan(case: str) -> None:
    source, known, seen, lines = CASES[case]
    assert describe(plan(view(source, known, seen))) == lines


LASTING = {
    "renamed and changed": ("b=2#7", "a=1#7", ["move a -> b", "look again b"]),
    "renamed alone": ("b=1#7", "a=1#7", ["move a -> b"]),
    "the content is another's": (
        "b=2#7 c=1#8",
        "a=1#7 x=3#8",
        ["move a -> c", "create b", "delete x"],
    ),
    "another id": ("b=2#8", "a=1#7", ["create b", "delete a"]),
    "onto a name that stays": ("b=2#7", "a=1#7 b=3#8", ["update b", "delete a"]),
    "a folder, one of it changed": (
        "y/a=1#1 y/b=5#2",
        "x/a=1#1 x/b=2#2",
        ["move x/ -> y/ (2 files)", "look again y/b"],
    ),
    "swapped, one of them changed": (
        "a=2#2 b=5#1",
        "a=1#1 b=2#2",
        ["update a", "update b"],
    ),
}


@pytest.mark.parametrize("case", LASTING)
def test_where_ids_last_a_changed_file_is_renamed_all_the_same(case: str) -> None:
    source, known, lines = LASTING[case]
    shown = replace(view(source, known), lasting_ids=True)
    assert describe(plan(shown)) == lines
    moves = [move for wave in plan(shown).moves for move in wave]
    files = [one for m in moves for one in (m.members if isinstance(m, MoveFolder) else (m,))]
    there = {move.new_name: move.source for move in files}
    for name in plan(shown).again:
        assert there[name] is None, "the row has to say what is there: the old content"


def test_a_target_with_versions_needs_nothing_set_aside() -> None:
    assert describe(plan(view("a=1", "", "a=22!", VERSIONS))) == ["update a"]


def test_other_bytes_under_the_old_etag_are_kept_unless_they_are_an_overwrite_of_ours() -> None:
    """Nextcloud gives two contents of one second one etag, and a cut overwrite the old one."""
    before = view("a=1", "a=1", "a=1", unsure="a")
    there = FileStat("a", 2, 1, "etag-1", None, sha("22"))
    seen = replace(before, target={"a": there})
    lines = describe(plan(seen))
    assert lines[0].startswith("set aside a -> a (kept ")
    assert lines[1:] == ["restore a"]
    assert describe(plan(replace(seen, versioned={"a"}))) == ["restore a"]
    writing = seen.known["a"]._replace(intended_sha256=sha("333"))
    assert describe(plan(replace(seen, known={"a": writing}))) == ["restore a"]


def test_an_unsure_row_is_believed_only_as_far_as_the_target_shows_it() -> None:
    assert describe(plan(view("a=2", "a=1", "a=2!", unsure="a"))) == ["adopt a"]
    assert describe(plan(view("a=2", "a=1", "a=1", unsure="a"))) == ["update a"]
    assert describe(plan(view("a=2", "a=1", "a=-", unsure="a"))) == ["restore a"]


@pytest.mark.parametrize("can", [FOLDING, PLAIN])
def test_a_case_only_rename_passes_through_another_name(can: Capabilities) -> None:
    lines = describe(plan(view("A=1#1", "a=1#1", can=can)))
    assert lines == ["move a -> A (moving 559aead0)", "move A (moving 559aead0) -> A"]


def test_names_that_the_target_folds_into_one_are_refused_but_the_first() -> None:
    lines = describe(plan(view("A=1 a=2", "", can=FOLDING)))
    assert lines == ["create A", "refuse a: the target takes it for 'A'"]
    lines = describe(plan(view("A=1 a=2", "a=2", can=FOLDING)))
    assert lines == ["refuse A: the target takes it for 'a'"]


def test_a_rename_between_unicode_forms_is_no_request() -> None:
    composed, decomposed = "\u00e9", "e\u0301"
    work = plan(view(f"{decomposed}=1#1", f"{composed}=1#1", can=VERSIONS))
    assert work.operations == []
    assert [row.name for row in work.rows] == [decomposed]
    assert work.rows[0].target_name == composed


@pytest.mark.parametrize("name", ["x" * 246 + ".pdf", "ü" * 125, "x." + "y" * 248])
def test_names_of_the_mirror_itself_are_not_too_long(name: str) -> None:
    there = FileStat(name, 1, 1, "etag", None, "")
    for made in (aside_name(f"folder/{name}", there), passing_name(f"folder/{name}")):
        last = made.rpartition("/")[2]
        assert len(last.encode()) <= 227
        assert last.startswith(name[:50])
        assert last.endswith(").pdf" if name.endswith(".pdf") else ")")
    other = there._replace(size=2)
    assert aside_name(name, there) != aside_name(name, other)
