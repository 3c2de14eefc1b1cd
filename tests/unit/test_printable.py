"""What is shown of a text of others: nothing that a terminal obeys, nothing that hides."""

from __future__ import annotations

import json

import pytest

from paperfleet.errors import LockedError, PaperfleetError
from paperfleet.printable import readable, readable_json

HOSTILE = {
    "ESC": "\x1b]0;owned\x07\x1b[2J",
    "newline": "a\nupdated b",
    "CR": "a\rb",
    "tab": "a\tb",
    "DEL": "a\x7fb",
    "C1": "a\x9b31mb\x85c",
    "bidi": "fdp.\u202eexe\u2066",
    "zero width": "a\u200bb\ufeffc\u2060",
    "line separator": "a\u2028b\u2029c",
    "surrogate": "a\udc9b\udcffb",
    "tag": "a\U000e0041b",
    "private": "a\ue000b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_becomes_escapes(text: str) -> None:
    shown = readable(text)
    assert shown.isprintable()
    assert "\\" in shown
    assert readable(shown) == shown


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_says_the_same_in_escapes(text: str, indent: int | None) -> None:
    value = {text: [text, 1, None]}
    shown = readable_json(value, indent=indent)
    assert json.loads(shown) == value
    assert all(line.isprintable() for line in shown.split("\n"))
    assert indent or "\n" not in shown
    shown.encode()


@pytest.mark.parametrize("text", ["", "Rechnung Müller.pdf", "請求書 2024.pdf", "a\\b 'c' 😀"])
def test_what_can_be_seen_stays(text: str) -> None:
    assert readable(text) == text
    assert readable_json(text) == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_errors_are_fit_to_be_shown(text: str) -> None:
    error = LockedError(text, operation="save", name=text, storage=text, hint=f"do this\n  {text}")
    shown = f"{error}\n{error.message}\n{error.reason}\n{error.strerror}\n{error.hint}"
    assert all(line.isprintable() for line in shown.split("\n"))
    assert error.name == text
    assert str(PaperfleetError("a", hint="b\nc")) == "a. b\nc"
