"""Which names carry a prefix."""

from __future__ import annotations

import pytest
from tests.paperless.home_kit import home_of

from paperfleet.paperless.care.prefixes import Carrier, carries, stripped


@pytest.mark.parametrize(
    ("field", "name", "after"),
    [
        ("filename", "originals/a.pdf", "a.pdf"),
        ("filename", "documents/originals/2024/a.pdf", "2024/a.pdf"),
        ("filename", "archive/a.pdf", None),
        ("filename", "originals2/a.pdf", None),
        ("filename", "originals/", None),
        ("filename", "2024/originals/a.pdf", None),
        ("archive_filename", "archive/a.pdf", "a.pdf"),
        ("archive_filename", "documents/archive/a.pdf", "a.pdf"),
        ("archive_filename", "originals/a.pdf", None),
    ],
)
def test_stripped(field: str, name: str, after: str | None) -> None:
    assert stripped(field, name) == after


@pytest.mark.parametrize(
    ("files", "carried"),
    [
        (["originals/a"], True),
        (["originals/originals/a"], False),
        (["originals/a", "originals/originals/a"], False),
        ([], False),
        (["archive/a"], False),
    ],
)
def test_a_prefix_is_one_only_when_the_file_says_so(files: list[str], carried: bool) -> None:
    suspect = Carrier(1, "filename", "originals", "originals/a", "a")
    local, store = home_of({}), home_of(dict.fromkeys(files, b""))
    with local, store:
        assert carries(suspect, [local, store]) is carried
        assert carries(suspect, [store]) is carried


def test_a_name_that_no_storage_takes_is_left_alone() -> None:
    suspect = Carrier(1, "filename", "originals", "originals/../a", "../a")
    with home_of({}) as home:
        assert not carries(suspect, [home])
