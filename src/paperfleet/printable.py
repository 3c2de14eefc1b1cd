"""Every text of others that is shown goes through here: names, answers of servers, errors.

A name may hold what a terminal obeys (ESC, C1), what starts a line that was never written (newline,
CR, U+2028), and what shows letters in another order or not at all (bidi controls, zero width).
"""

from __future__ import annotations

import json

_LINE = json.JSONEncoder(ensure_ascii=False).encode


def readable(text: str) -> str:
    r"""Return the text fit for one line of a log or a table; what cannot be seen as an escape.

    Printable text stays as it is. Escapes are Python's: ``\n``, ``\x9b``, ``\u202e``, and
    ``\udcff`` for a byte of a name that is not UTF-8.
    """
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if safe.isprintable():
        return safe
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)


def readable_json(value: object, *, indent: int | None = None) -> str:
    """Return JSON that says the same to a program and is fit to be seen: see ``readable``.

    Without ``indent`` it is one line. Escapes are those of JSON, so that nothing is lost.
    """
    text = _LINE(value) if indent is None else json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    escape = json.dumps(character)[1:-1]
    return escape if escape != character else f"\\u{ord(character):04x}"
