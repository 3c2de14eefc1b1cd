"""What is known: what goes in comes out, by name, by folder, by content."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paperfleet.errors import JournalError
from paperfleet.journal.database import queries
from paperfleet.journal.journal import Journal
from paperfleet.model import KnownFile
from paperfleet.storage.names import is_below

A, B = "aa" * 32, "bb" * 32


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.sqlite", source="s", target="t") as opened:
        yield opened


def file(name: str, sha256: str = A) -> KnownFile:
    return KnownFile(name, name, 7, sha256, 1_700_000_000_123_456_789, "2049:12", "v1", '"e1"')


def names_at(journal: Journal, *names: str) -> list[str]:
    return sorted(journal.known_at(names))


@pytest.mark.parametrize(
    "known",
    [
        file("2024/acme/invoice.pdf"),
        file("a")._replace(target_name="b/a"),
        file("a")._replace(modified_ns=None, file_id=None, version=None, target_etag=None),
        file("a")._replace(sure=False, sha256="", intended_sha256=B),
        file("a")._replace(sure=False, intended_sha256=""),
        file("a")._replace(modified_ns=-1, size=0),
        file("a")._replace(modified_ns=2**63 - 1, size=2**62),
        file("a")._replace(modified_ns=2**63),
        file("a")._replace(modified_ns=-(2**70)),
        file("line\nbreak 'quote' \"q\" ; -- % \\ \x01 ü 漢 \U0001f4c4"),
        file("a\u0308 NFD"),
    ],
)
def test_a_row_comes_back_as_it_was(journal: Journal, known: KnownFile) -> None:
    journal.remember([known])
    assert list(journal.known()) == [known]
    assert journal.known_at([known.name]) == {known.name: known}


def test_a_row_survives_closing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, source="s", target="t") as journal:
        journal.remember([file("a")])
    with Journal.open(path, source="s", target="t") as journal:
        assert list(journal.known()) == [file("a")]


def test_remember_forgets_first_and_then_replaces(journal: Journal) -> None:
    journal.remember([file("a"), file("b"), file("c")])
    journal.remember([file("a", B), file("d")], forgets=["a", "b", "never known"])
    assert list(journal.known()) == [file("a", B), file("c"), file("d")]
    assert journal.count_known() == 3


def test_known_is_ordered_by_code_point(journal: Journal) -> None:
    names = ["é", "a/b", "a", "a-b", "Z", "a b", "\U0001f4c4", "\uffee", "a/a"]
    journal.remember(map(file, names))
    assert [known.name for known in journal.known()] == sorted(names)


def test_known_is_the_state_of_one_moment(journal: Journal) -> None:
    journal.remember(file(f"{number:04}") for number in range(3000))
    seen = 0
    for known in journal.known():
        journal.remember([known._replace(name="z" + known.name)], forgets=[known.name])
        seen += 1
    assert seen == journal.count_known() == 3000


def test_a_folder_is_not_a_prefix(journal: Journal) -> None:
    journal.remember(map(file, ["a", "a/x", "a/b/y", "a!", "a-x", "a.pdf", "a0", "ab/x", "b"]))
    assert names_at(journal, "a") == ["a", "a/b/y", "a/x"]
    assert names_at(journal, "a/b", "b", "missing") == ["a/b/y", "b"]
    assert names_at(journal, "a/b", "a") == ["a", "a/b/y", "a/x"]
    assert names_at(journal, "b", "") == names_at(journal, "") == sorted(names_at(journal, ""))
    assert len(names_at(journal, "")) == 9
    assert names_at(journal) == []


def test_wildcards_are_letters(journal: Journal) -> None:
    journal.remember(map(file, ["%/x", "a/x", "_/x", "?/x", "*/x"]))
    assert names_at(journal, "%", "_", "*", "?") == ["%/x", "*/x", "?/x", "_/x"]


def test_content_is_found_by_digest(journal: Journal) -> None:
    journal.remember([file("a", A), file("b", B), file("c", A), file("d", "")])
    found = journal.known_with_content([A, A.upper(), "cc" * 32, ""])
    assert sorted(found) == [file("a", A), file("c", A)]


@pytest.mark.parametrize("digest", ["ab", "zz" * 32, A + "aa", A[:-1]])
def test_only_a_digest_is_a_digest(journal: Journal, digest: str) -> None:
    journal.remember([file("kept")])
    with pytest.raises(ValueError, match=r"SHA-256|hex"):
        journal.remember([file("a"), file("b", digest)], forgets=["kept"])
    assert list(journal.known()) == [file("kept")]


@pytest.mark.parametrize("field", ["name", "target_name", "file_id", "version", "target_etag"])
def test_text_that_is_not_utf8_is_refused_whole(journal: Journal, field: str) -> None:
    journal.remember([file("kept")])
    bad = file("b")._replace(**{field: "x\udcff"})  # type: ignore[arg-type]  # a name of the table
    with pytest.raises(ValueError, match="Only UTF-8") as caught:
        journal.remember([file("a"), bad], forgets=["kept"])
    assert not isinstance(caught.value, UnicodeError)
    assert list(journal.known()) == [file("kept")]


def test_an_interrupted_transaction_leaves_nothing(journal: Journal) -> None:
    def interrupted() -> Iterator[KnownFile]:
        yield file("a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.remember(interrupted(), forgets=[])
    assert journal.count_known() == 0
    journal.remember([file("b")])
    assert names_at(journal, "") == ["b"]


def test_a_transaction_within_another_undoes_both(journal: Journal) -> None:
    def meddling() -> Iterator[KnownFile]:
        yield file("a")
        journal.set_fact("heartbeat", 1)
        yield file("b")

    with pytest.raises(JournalError, match="within another"):
        journal.remember(meddling())
    assert journal.count_known() == 0
    assert journal.get_fact("heartbeat") is None


@pytest.mark.parametrize(
    ("query", "index"),
    [("at", "PRIMARY KEY"), ("with_content", "known_by_content"), ("forget", "PRIMARY KEY")],
)
def test_every_search_uses_an_index(tmp_path: Path, query: str, index: str) -> None:
    path = tmp_path / "journal.sqlite"
    Journal.open(path, source="s", target="t").close()
    with closing(sqlite3.connect(path)) as connection:
        arguments = ["x", "x/", "x0"] if query == "at" else ["x"]
        rows = connection.execute(f"EXPLAIN QUERY PLAN {queries('known')[query]}", arguments)
        steps = [str(row[3]) for row in rows]
    assert not any(step.startswith("SCAN known") for step in steps)
    assert any(index in step for step in steps)


SEGMENT = st.sampled_from(["a", "b", "a0", "a-", "é", "\uffff", "\U00010000", " "])
NAME = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
KNOWN = st.builds(
    KnownFile,
    name=NAME,
    target_name=NAME,
    size=st.integers(0, 2**40),
    sha256=st.sampled_from(["", A, B]),
    modified_ns=st.none() | st.integers(-(2**70), 2**70),
    file_id=st.none() | st.just("1:2"),
    version=st.none() | st.just("v"),
    target_etag=st.none() | st.just("e"),
    sure=st.booleans(),
    intended_sha256=st.sampled_from([None, "", A, B]),
)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.lists(KNOWN, max_size=6), st.lists(NAME, max_size=3)), max_size=6),
    asked=st.lists(NAME | st.just(""), max_size=3),
)
def test_the_table_is_a_dict(
    steps: list[tuple[list[KnownFile], list[str]]], asked: list[str]
) -> None:
    model: dict[str, KnownFile] = {}
    with (
        TemporaryDirectory() as folder,
        Journal.open(Path(folder, "journal"), source="s", target="t") as journal,
    ):
        for upserts, forgets in steps:
            journal.remember(upserts, forgets)
            for name in forgets:
                model.pop(name, None)
            model.update({known.name: known for known in upserts})
        assert list(journal.known()) == [model[name] for name in sorted(model)]
        assert journal.known_at(asked) == {
            name: known
            for name, known in model.items()
            if any(name == folder or is_below(name, folder) for folder in asked)
        }
        assert sorted(journal.known_with_content([A])) == sorted(
            known for known in model.values() if known.sha256 == A
        )
