"""Receipts: written, read again, and noticed when damaged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from paperfleet.migration.receipt import Entry, ReceiptError, lines, parse

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ENTRIES = [Entry("b/ü.pdf", 3, "bb"), Entry("a.pdf", 1, "aa"), Entry("line\nend", 0, "cc")]


def written(entries: list[Entry] = ENTRIES) -> list[str]:
    return list(lines(entries, source="file:///a", target="s3://b", now=NOW))


def test_a_receipt_is_read_as_it_was_written() -> None:
    receipt = parse(written())
    assert receipt.entries == tuple(sorted(ENTRIES))
    assert (receipt.source, receipt.target) == ("file:///a", "s3://b")
    assert receipt.created == "2026-01-31T12:00:00+00:00"
    assert receipt.size == 4


def test_an_empty_storage_has_a_receipt_too() -> None:
    assert parse(written([])).entries == ()


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
    ],
)
def test_a_damaged_receipt_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(ReceiptError):
        parse(damage(written()))
