"""Receipts: written, read again, and noticed when damaged."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from paperfleet.transfer.progress import Progress, VerifiedFile
from paperfleet.transfer.receipt import (
    BY_READING,
    Receipt,
    ReceiptEntry,
    ReceiptError,
    lines,
    merged,
    parse,
    stamp,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENTRIES = [
    ReceiptEntry("b/ü.pdf", 3, "bb", BY_READING),
    ReceiptEntry("a.pdf", 1, "aa"),
    ReceiptEntry("line\nend", 0, "cc"),
]


LEFT_OUT = {"2024/link": "a symbolic link", "bad\udcff": "the name is not UTF-8"}


def written(
    entries: list[ReceiptEntry] = ENTRIES, left_out: dict[str, str] = LEFT_OUT
) -> list[str]:
    return list(lines(Receipt(stamp(NOW), "file:///a", "s3://b", tuple(entries), left_out)))


def test_a_receipt_is_read_as_it_was_written() -> None:
    receipt = parse(written())
    assert receipt.entries == tuple(sorted(ENTRIES))
    assert (receipt.source, receipt.target) == ("file:///a", "s3://b")
    assert receipt.created == "2026-01-31T12:00:00+00:00"
    assert receipt.size == 4
    assert receipt.left_out == {
        "2024/link": "a symbolic link",
        "bad\\udcff": "the name is not UTF-8",
    }


def test_the_total_says_how_much_was_proven_and_how() -> None:
    total = json.loads(written()[-1])
    assert (total["files"], total["bytes"], total["left_out"]) == (3, 4, 2)
    assert total["proven"] == {"read": 1}


def test_receipts_of_the_first_version_are_still_read() -> None:
    row = '{"name": "a.pdf", "size": 1, "sha256": "aa"}\n'
    digest = hashlib.sha256(row.encode()).hexdigest()
    head = '{"paperfleet_receipt": 1, "created": "c", "source": "s", "target": "t"}\n'
    total = json.dumps({"files": 1, "bytes": 1, "sha256": digest}) + "\n"
    assert parse([head, row, total]) == Receipt(
        "c", "s", "t", (ReceiptEntry("a.pdf", 1, "aa"),), {}
    )


def test_receipts_only_grow_and_the_newer_word_counts() -> None:
    both = merged(
        [ReceiptEntry("a", 1, "aa"), ReceiptEntry("b", 1, "bb")], [ReceiptEntry("b", 2, "cc")]
    )
    assert both == [ReceiptEntry("a", 1, "aa"), ReceiptEntry("b", 2, "cc")]


def test_an_empty_storage_has_a_receipt_too() -> None:
    assert parse(written([], {})).entries == ()


def test_it_is_text_a_person_can_read() -> None:
    assert written()[1] == '{"name": "a.pdf", "size": 1, "sha256": "aa"}\n'


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text[:1] + text[2:],
        lambda text: [text[0], text[1].replace("aa", "ab"), *text[2:]],
        lambda text: [text[0], text[2], text[1], *text[3:]],
        lambda text: text[:1],
        lambda _text: [],
        lambda text: ["{}\n", *text[1:]],
        lambda text: [*text[:-1], "not JSON\n"],
        lambda text: [text[0], '{"name": "x"}\n', *text[1:]],
        lambda text: [*text[:-1], "[]\n"],
        lambda text: [*text[:-1], "[" * 100_000 + "\n"],
        lambda text: [text[0], '{"name": "x", "size": true, "sha256": "a"}\n', *text[1:]],
        lambda text: [text[0], f'{{"name": "x", "size": {"9" * 5000}}}\n', *text[1:]],
    ],
)
def test_a_damaged_receipt_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(ReceiptError):
        parse(damage(written()))


@pytest.mark.parametrize(
    "line",
    [
        '["a", "a", "3", "s", "x", "y"]',
        '[["a"], "a", 3, "s", "x", "y"]',
        '["a", "a", 3, null, "x", "y"]',
        '["a", "a", true, "s", "x", "y"]',
        '{"name": "a"}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_a_line_of_progress_that_is_none_is_verified_again(tmp_path: Path, line: str) -> None:
    path = tmp_path / "progress"
    good = VerifiedFile("b", "b", 3, "s", "x", "y")
    path.write_text(f"{line}\n{json.dumps(good)}\n", encoding="utf-8")
    with Progress(path) as progress:
        assert progress.verified == {"b": good}
