"""Headers: those that are sent, as libcurl takes them, and those of an answer, as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.storage.transport.exchange import UnusableAddressError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PACKINGS = "gzip, deflate"
_CODE = slice(9, 12)
_EMPTY = (b"\r\n", b"\n")


def sent_headers(headers: Mapping[str, str]) -> tuple[Sequence[str | bytes], int | None, str]:
    """Return the lines for libcurl, the length of the body, and which packings are understood.

    Raises ``UnusableAddressError`` for what would end a line.
    """
    lines = ["Expect:"]  # a proxy may hold it back; servers refuse early without it too
    length: int | None = None
    packings, typed = _PACKINGS, False
    for name, value in headers.items():
        low = name.lower()
        if low == "content-length":
            length = int(value)
        elif low == "accept-encoding":
            packings = value
        else:
            typed = typed or low == "content-type"
            lines.append(f"{name}: {value}" if value else f"{name};")
    if not typed:
        lines.append("Content-Type:")  # libcurl would add that of a form
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        raise UnusableAddressError("a header has a line break in it", sent=False)
    # pycurl takes text of ASCII alone.
    return (lines if text.isascii() else [line.encode() for line in lines]), length, packings


class Head:
    """The head of an answer, made of the lines that libcurl hands over; 1xx is passed over."""

    def __init__(self) -> None:
        self.complete = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.cookies: list[str] = []
        self._lines: list[bytes] = []

    def add(self, line: bytes) -> None:
        """Take a line with its end; after the head (trailers) nothing is kept."""
        if line not in _EMPTY:
            self._lines.append(line)
        elif not self.complete:
            self._read()
            self.complete = self.status >= 200

    def _read(self) -> None:
        """Take over the lines since the last empty one."""
        headers = self.headers
        for line in _texts(self._lines):
            if line.startswith("HTTP/"):
                self.status = int(line[_CODE]) if _is_code(line[_CODE]) else 0
                self.headers = headers = {}
                self.cookies = []
                continue
            name, colon, value = line.partition(":")
            if not colon:
                continue
            name, value = name.strip().lower(), value.strip()
            if name == "set-cookie":
                self.cookies.append(value)
            else:
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._lines = []


def _is_code(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _texts(lines: Sequence[bytes]) -> list[str]:
    try:
        return b"".join(lines).decode().split("\n")
    except UnicodeDecodeError:
        return [_text(line) for line in lines]


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
