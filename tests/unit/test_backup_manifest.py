"""The manifest of a backup: what was written is read, and what was changed is noticed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperfleet.backup.manifest import BackedUpFile, Manifest, lines, parse
from paperfleet.errors import BackupError

SHA = "ab" * 32
TEXT = st.text()
FILES = st.builds(
    BackedUpFile,
    st.integers(0, 2**40),
    TEXT,
    TEXT,
    TEXT,
    st.integers(0, 2**50),
    st.sampled_from(["", SHA, "cd" * 32]),
    TEXT,
)


def manifest(*files: BackedUpFile) -> Manifest:
    return Manifest("2026-01-31T12:00:00+00:00", "3.0.5", "0.1.0", "id", "file:///x", 2, files)


@given(st.lists(FILES))
def test_what_was_written_is_read(files: list[BackedUpFile]) -> None:
    written = manifest(*files)
    assert parse(list(lines(written))) == written


def test_where_a_content_lies() -> None:
    assert BackedUpFile(1, "originals", "a", sha256=SHA).path == f"files/ab/{SHA}"
    assert BackedUpFile(1, "originals", "a", fault="gone").path == ""


def test_a_content_counts_once_and_faults_are_told() -> None:
    found = manifest(
        BackedUpFile(1, "originals", "a", "a.pdf", 5, SHA),
        BackedUpFile(2, "originals", "b", "b.pdf", 5, SHA),
        BackedUpFile(2, "archive", "c", "c.pdf", fault="gone"),
    )
    assert found.size == 5
    assert [file.key for file in found.faults] == ["c"]


def test_every_line_that_is_changed_left_out_or_doubled_is_noticed() -> None:
    whole = list(
        lines(
            manifest(
                BackedUpFile(1, "originals", "a", "a.pdf", 5, SHA),
                BackedUpFile(2, "originals", "b", "b.pdf", 6, SHA),
            )
        )
    )
    for number in range(1, len(whole)):
        others = whole[:number], whole[number + 1 :]
        changed = whole[number].replace("5", "6").replace("b", "d")
        for broken in ([], [whole[number]] * 2, [changed]):
            with pytest.raises(BackupError, match="damaged"):
                parse([*others[0], *broken, *others[1]])


@pytest.mark.parametrize(
    "head", ["", "{}\n", '{"paperfleet_backup": 2}\n', '{"paperfleet_backup": 1}\n']
)
def test_another_file_or_version_is_refused(head: str) -> None:
    with pytest.raises(BackupError):
        parse([head])


def test_a_line_of_something_else_is_refused() -> None:
    head, _, _ = lines(manifest(BackedUpFile(1, "originals", "a")))
    for row in ({"document": "1"}, {"document": 1, "size": True}, {"document": 1, "role": 3}):
        with pytest.raises(BackupError, match="is not a file's"):
            parse([head, json.dumps(row) + "\n", "{}\n"])
