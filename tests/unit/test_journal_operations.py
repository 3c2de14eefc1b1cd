"""Operations: recorded, tried, and what the journal holds when nobody saw the end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from paperfleet.errors import JournalError
from paperfleet.journal.journal import Journal
from paperfleet.journal.operations import PendingOperation, decode, doubts_of, encode
from paperfleet.model import Delete, FileStat, KnownFile, Move, MoveFolder, Operation, Put

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
DAY = 24 * 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, source="s", target="t", clock=clock) as opened:
        yield opened


def file(name: str, sha256: str = A) -> KnownFile:
    return KnownFile(name, f"T/{name}", 7, sha256, 17, "2049:12", "v1", '"e1"')


def stat(name: str, sha256: str | None = B) -> FileStat:
    return FileStat(name, 9, 19, "v2", "2049:13", sha256)


def put(name: str, sha256: str | None = B) -> Put:
    return Put(stat(name, sha256), f"T/{name}", "created")


def move(old: str, new: str, sha256: str = A) -> Move:
    return Move(file(old, sha256), new, f"T/{new}", stat(new))


def folder_move(old: str, new: str, *names: str) -> MoveFolder:
    members = tuple(move(f"{old}/{name}", f"{new}/{name}") for name in names)
    return MoveFolder(old, new, f"T/{old}", f"T/{new}", members)


def run(journal: Journal, operations: Sequence[Operation]) -> list[int]:
    ids = journal.record(operations)
    journal.start(ids)
    return ids


def table(journal: Journal) -> list[str]:
    """Say each row as ``name: content``, with ``?`` and what was intended for an unsure one."""
    return [
        f"{known.name}: {known.sha256[:1] or '-'}"
        + ("" if known.sure else f" ? {(known.intended_sha256 or '-')[:1]}")
        for known in journal.known()
    ]


def test_record_gives_ids_in_order_and_never_one_twice(journal: Journal) -> None:
    first = journal.record([put("a"), put("b")])
    journal.withdraw(first)
    second = journal.record([put("c")])
    assert [*first, *second] == sorted({*first, *second})
    assert journal.record([]) == []


def test_pending_says_what_goes_on(journal: Journal, clock: Clock) -> None:
    ids = journal.record([put("a"), move("b", "c"), folder_move("d", "e", "x"), Delete(file("f"))])
    journal.start(ids[2:])
    assert journal.pending() == [
        PendingOperation("put", "a", "recorded", clock.now),
        PendingOperation("move", "b", "recorded", clock.now),
        PendingOperation("move folder", "d", "running", clock.now),
        PendingOperation("delete", "f", "running", clock.now),
    ]
    assert journal.pending(limit=1) == journal.pending()[:1]
    assert journal.count_pending() == 4


def test_complete_writes_what_is_known_and_ends_the_operation(journal: Journal) -> None:
    journal.remember([file("old")])
    [operation_id] = run(journal, [move("old", "new")])
    journal.complete(operation_id, [file("new")], ["old"])
    assert table(journal) == ["new: a"]
    assert journal.pending() == []


def test_complete_is_whole_or_not_at_all(journal: Journal) -> None:
    journal.remember([file("old")])
    ids = run(journal, [put("a"), put("b")])
    bad = file("b")._replace(version="\udcff")
    with pytest.raises(ValueError, match="UTF-8"):
        journal.complete_many([(ids[0], [file("a")], ["old"]), (ids[1], [bad], [])])
    assert table(journal) == ["old: a"]
    assert journal.count_pending() == 2


def test_complete_many_stops_at_an_unknown_operation(journal: Journal) -> None:
    [operation_id] = run(journal, [put("a")])
    with pytest.raises(JournalError, match="has ended"):
        journal.complete_many([(operation_id, [file("a")], []), (99, [file("b")], [])])
    assert table(journal) == []
    assert journal.count_pending() == 1


def test_start_is_whole_or_not_at_all(journal: Journal) -> None:
    ids = journal.record([put("a"), put("b")])
    with pytest.raises(JournalError, match="has ended"):
        journal.start([*ids, 99])
    assert [operation.state for operation in journal.pending()] == ["recorded", "recorded"]


def test_what_is_not_utf8_is_not_recorded(journal: Journal) -> None:
    for bad in (put("x\udcff"), folder_move("a", "b", "x\udcff"), move("a", "x\udcff")):
        with pytest.raises(ValueError, match="UTF-8"):
            journal.record([put("good"), bad])
    assert journal.pending() == []


def test_fail_and_withdraw_leave_what_is_known(journal: Journal) -> None:
    journal.remember([file("a")])
    [tried] = run(journal, [put("a")])
    journal.fail(tried)
    journal.withdraw(journal.record([Delete(file("a"))]))
    assert table(journal) == ["a: a"]
    assert journal.pending() == []


DOUBTS = {
    "put of a new name": ([], put("n"), ["n: - ? b"]),
    "put over a known one": (["n"], put("n"), ["n: a ? b"]),
    "put of unknown content": ([], put("n", None), ["n: - ? -"]),
    "move": (["o"], move("o", "n"), ["n: - ? a", "o: a ? -"]),
    "move onto a known name": (["n", "o"], move("o", "n", C), ["n: a ? c", "o: a ? -"]),
    "folder": (
        ["f/x", "f/y", "z"],
        folder_move("f", "g", "x", "y"),
        ["f/x: a ? -", "f/y: a ? -", "g/x: - ? a", "g/y: - ? a", "z: a"],
    ),
    "delete": (["o", "z"], Delete(file("o")), ["o: a ? -", "z: a"]),
    "delete of a forgotten row": ([], Delete(file("o")), ["o: a ? -"]),
}


@pytest.mark.parametrize(("known", "operation", "expected"), DOUBTS.values(), ids=DOUBTS)
def test_doubt(
    journal: Journal, known: list[str], operation: Operation, expected: list[str]
) -> None:
    journal.remember(map(file, known))
    [operation_id] = run(journal, [operation])
    journal.doubt(operation_id)
    assert table(journal) == expected
    assert journal.pending() == []
    assert not any(journal.known_at([name])[name].sure for name in operation.names)


@pytest.mark.parametrize(("known", "operation", "expected"), DOUBTS.values(), ids=DOUBTS)
@pytest.mark.parametrize("started", [False, True])
def test_leftovers_are_doubted_after_a_restart(
    tmp_path: Path,
    known: list[str],
    operation: Operation,
    expected: list[str],
    started: bool,
) -> None:
    path = tmp_path / "again.sqlite"
    with Journal.open(path, source="s", target="t") as journal:
        journal.remember(map(file, known))
        ids = journal.record([operation])
        journal.start(ids if started else [])
    with Journal.open(path, source="s", target="t") as journal:
        assert journal.settle_leftovers() == 1
        assert table(journal) == expected
        assert journal.settle_leftovers() == 0


@pytest.mark.parametrize("done", range(4))
def test_a_swap_is_doubted_wherever_it_stopped(journal: Journal, done: int) -> None:
    """A swap goes through a temporary name; afterwards every name still to be touched is unsure."""
    journal.remember([file("a", A), file("b", B)])
    temporary = file(".paperfleet-1", A)
    steps = [
        Move(file("a", A), temporary.name, temporary.target_name, None),
        Move(file("b", B), "a", "T/a", stat("a")),
        Move(temporary, "b", "T/b", stat("b")),
    ]
    ids = run(journal, steps)
    results = [([temporary], ["a"]), ([file("a", B)], ["b"]), ([file("b", A)], [temporary.name])]
    for operation_id, (upserts, forgets) in list(zip(ids, results, strict=True))[:done]:
        journal.complete(operation_id, upserts, forgets)
    assert journal.settle_leftovers() == 3 - done
    expected = {
        0: [".paperfleet-1: - ? a", "a: a ? b", "b: b ? a"],
        1: [".paperfleet-1: a ? -", "a: - ? b", "b: b ? a"],
        2: [".paperfleet-1: a ? -", "a: b", "b: - ? a"],
        3: ["a: b", "b: a"],
    }
    assert table(journal) == expected[done]


def test_a_doubted_put_says_what_it_would_have_written() -> None:
    assert list(doubts_of(put("n"))) == [
        KnownFile("n", "T/n", 9, "", 19, "2049:13", "v2", None, sure=False, intended_sha256=B)
    ]


def test_a_doubted_move_has_the_new_source_and_the_old_content() -> None:
    left, arrived = doubts_of(move("o", "n"))
    assert left == file("o")._replace(sure=False)
    assert arrived == KnownFile(
        "n", "T/n", 7, "", 19, "2049:13", "v2", None, sure=False, intended_sha256=A
    )


def test_a_doubted_step_keeps_the_old_source() -> None:
    _, arrived = doubts_of(Move(file("o"), ".tmp", "T/.tmp", None))
    assert arrived == KnownFile(
        ".tmp", "T/.tmp", 7, "", 17, "2049:12", "v1", None, sure=False, intended_sha256=A
    )


def test_a_move_of_an_unsure_file_hands_on_what_was_intended() -> None:
    unsure = file("o", "")._replace(sure=False, intended_sha256=C)
    left, arrived = doubts_of(Move(unsure, "n", "T/n", stat("n")))
    assert left == unsure
    assert (arrived.sha256, arrived.intended_sha256) == ("", C)


@pytest.mark.parametrize("operation", [put("ü\n\"'\\"), folder_move("a", "b", "x", "y")])
def test_doubts_pass_through_json(operation: Operation) -> None:
    assert decode(encode(operation)) == list(doubts_of(operation))


def test_deletions_are_counted_for_a_day(journal: Journal, clock: Clock) -> None:
    begin = clock.now
    ids = run(journal, [Delete(file(name)) for name in "abcde"] + [put("x")])
    journal.complete(ids[0], forgets=["a"])
    journal.complete(ids[1], forgets=["b"])
    clock.now += 60
    journal.complete_many([(ids[2], [], ["c"]), (ids[5], [file("x")], [])])
    journal.fail(ids[3])
    assert journal.deletions_since(begin) == 3
    assert journal.deletions_since(begin + 1) == 1
    assert journal.deletions_since(begin + 61) == 0
    clock.now = begin + DAY + 1
    journal.complete(ids[4], forgets=["e"])
    assert journal.deletions_since(0) == 2


def test_overwrites_are_counted_for_a_day_by_what_is_lost(journal: Journal, clock: Clock) -> None:
    begin = clock.now
    names = ["empty", "less", "more", "same", "new"]
    journal.remember(file(name) for name in names[:-1])
    ids = run(journal, [put(name) for name in names])
    rows = {
        name: file(name, B)._replace(size=size)
        for name, size in zip(names, [0, 3, 9, 7, 7], strict=True)
    }
    rows["same"] = file("same", A)
    journal.complete(ids[0], [rows["empty"]])
    clock.now += 60
    journal.complete_many([(one, [rows[n]], []) for one, n in zip(ids[1:], names[1:], strict=True)])
    assert journal.overwrites_since(begin) == {"empty": "empty", "less": "shrink", "more": "change"}
    assert journal.overwrites_since(begin + 1) == {"less": "shrink", "more": "change"}
    assert journal.overwrites_since(begin + 61) == {}
    clock.now = begin + DAY + 1
    (last,) = run(journal, [put("less")])
    journal.complete(last, [file("less", C)._replace(size=0)])
    assert journal.overwrites_since(0) == {"less": "empty", "more": "change"}


def test_a_move_overwrites_nothing(journal: Journal) -> None:
    journal.remember([file("old"), file("new", B)])
    (moved,) = run(journal, [move("old", "new")])
    journal.complete(moved, [file("new")], ["old"])
    assert journal.overwrites_since(0) == {}


def test_only_the_record_waits_for_the_disk(journal: Journal) -> None:
    statements: list[str] = []
    journal._database._connection.set_trace_callback(statements.append)
    [operation_id] = journal.record([put("a")])
    assert statements[:2] == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"]
    assert statements[-2:] == ["COMMIT", "PRAGMA synchronous = NORMAL"]
    statements.clear()
    journal.start([operation_id])
    journal.complete(operation_id, [file("a")])
    assert statements.count("COMMIT") == 2
    assert not any(statement.startswith("PRAGMA") for statement in statements)
    assert journal._database.value("PRAGMA synchronous") == 1
