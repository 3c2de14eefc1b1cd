"""Names of documents, one to one, numbered as paperless-ngx numbers them."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from paperfleet.documents.naming import FileKey, NameTable, Renamed, Wish


def key(number: int) -> FileKey:
    return FileKey(number, None)


def wishes(**stems: str | None) -> dict[FileKey, Wish | None]:
    """Return wishes by document: ``d1="a"`` is 'a.pdf' for the first."""
    return {
        key(int(name[1:])): None if stem is None else Wish(stem, ".pdf")
        for name, stem in stems.items()
    }


def names(table: NameTable, count: int = 4) -> list[str | None]:
    return [table.name_of(key(number)) for number in range(1, count)]


def test_the_first_has_the_plain_name() -> None:
    table = NameTable()
    table.assign(wishes(d2="a", d1="a", d3="a"))
    assert names(table) == ["a.pdf", "a_01.pdf", "a_02.pdf"]


def test_a_name_stays_when_another_is_free_again() -> None:
    table = NameTable()
    table.assign(wishes(d1="a", d2="a"))
    assert table.assign(wishes(d1=None)) == {key(1): Renamed("a.pdf", None)}
    assert table.assign(wishes(d2="a")) == {}
    assert names(table) == [None, "a_01.pdf", None]
    table.assign(wishes(d3="a"))
    assert names(table) == [None, "a_01.pdf", "a.pdf"]


def test_where_names_close_up_a_number_goes_when_it_can() -> None:
    table = NameTable()
    table.assign({key(n): Wish("a", ".pdf", closes_up=True) for n in (1, 2, 3)})
    assert names(table) == ["a.pdf", "a_01.pdf", "a_02.pdf"]
    assert table.assign({key(1): None}) == {
        key(1): Renamed("a.pdf", None),
        key(2): Renamed("a_01.pdf", "a.pdf"),
        key(3): Renamed("a_02.pdf", "a_01.pdf"),
    }


def test_two_change_places() -> None:
    table = NameTable()
    table.assign(wishes(d1="a", d2="b"))
    assert table.assign(wishes(d1="b", d2="a")) == {
        key(1): Renamed("a.pdf", "b.pdf"),
        key(2): Renamed("b.pdf", "a.pdf"),
    }


def test_a_numbered_name_may_be_somebodys_plain_one() -> None:
    table = NameTable()
    table.assign(wishes(d1="a_01", d2="a", d3="a"))
    assert names(table) == ["a_01.pdf", "a.pdf", "a_02.pdf"]


def test_other_endings_are_no_collision() -> None:
    table = NameTable()
    table.assign({key(1): Wish("a", ".pdf"), key(2): Wish("a", ".txt")})
    assert names(table) == ["a.pdf", "a.txt", None]


@pytest.mark.property
@given(st.lists(st.dictionaries(st.integers(1, 5), st.sampled_from(["a", "b", "a_01", None]))))
def test_names_are_one_to_one_and_of_their_wishes(rounds: list[dict[int, str | None]]) -> None:
    table, wished = NameTable(), dict[FileKey, Wish]()
    for one in rounds:
        before = {n: table.name_of(key(n)) for n in range(1, 6)}
        asked = {key(n): None if stem is None else Wish(stem, ".pdf") for n, stem in one.items()}
        changed = table.assign(asked)
        for some, wish in asked.items():
            wished.pop(some, None)
            if wish is not None:
                wished[some] = wish
        given_names = {some: table.name_of(some) for some in wished}
        assert len(set(given_names.values())) == len(wished)
        for some, name in given_names.items():
            assert name is not None
            assert name in map(wished[some].name, range(6))
            assert table.key_of(name) == some
        after = {n: table.name_of(key(n)) for n in range(1, 6)}
        assert {k.number for k in changed} == {n for n in before if before[n] != after[n]}
    again = NameTable((k, w, table.name_of(k) or "") for k, w in wished.items())
    assert {k: again.name_of(k) for k in wished} == {k: table.name_of(k) for k in wished}
