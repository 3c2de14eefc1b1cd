"""Temporary names: own ones only, and how old they are."""

from __future__ import annotations

import time

import pytest

from paperfleet.storage.dav.temporary import age, temporary_beside
from paperfleet.storage.names import is_temporary


@pytest.mark.parametrize("name", ["a.pdf", "a/b/c.pdf", "ü/" + "x" * 255])
def test_beside_the_file_hidden_and_short(name: str) -> None:
    made = temporary_beside(name)
    assert made.rpartition("/")[0] == name.rpartition("/")[0]
    assert is_temporary(made)
    assert len(made.rpartition("/")[2].encode()) < 60
    assert temporary_beside(name) != made


def test_age() -> None:
    made = temporary_beside("a/b")
    old = age(made, time.time() + 100)
    assert old is not None
    assert 99 <= old <= 101


@pytest.mark.parametrize(
    "name",
    [
        "a.pdf",
        ".paperfleet-0123456789abcdef0123456789abcdef",
        ".paperfleet-move-65000000-0123456789abcdef",
        ".paperfleet-put-65000000",
        ".paperfleet-put-65000000-0123456789abcdef.pdf",
        ".paperfleet-put-65000000-0123456789abcdeg",
        "x.paperfleet-put-65000000-0123456789abcdef",
    ],
)
def test_what_a_save_did_not_make_has_no_age(name: str) -> None:
    assert age(name, time.time()) is None
