"""Headers: those that are sent, as libcurl takes them, and those of an answer, as they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.storage.transport.exchange import UnusableAddressError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKINGS = "gzip, deflate"
_STATUS_AT = slice(9, 12)


def sent_headers(headers: Mapping[str, str]) -> tuple[list[bytes], int | None, str]:
    """Return the lines for libcurl, the length of the body, and which packings are understood.

    Raises ``UnusableAddressError`` for what would end a line.
    """
    lines = [b"Expect:"]  # a proxy may hold it back; servers refuse early without it too
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
            lines.append((f"{name}: {value}" if value else f"{name};").encode())
    if any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines):
        raise UnusableAddressError("a header has a line break in it", sent=False)
    if not typed:
        lines.append(b"Content-Type:")  # libcurl would add that of a form
    return lines, length, packings


class Head:
    """The head of an answer, made of the lines that libcurl hands over; 1xx is passed over."""

    def __init__(self) -> None:
        self.complete = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.cookies: list[str] = []

    def add(self, line: bytes) -> None:
        """Take a line with its end; after the head (trailers) nothing is kept."""
        if self.complete:
            return
        text = _text(line).rstrip("\r\n")
        if not text:
            self.complete = self.status >= 200
        elif ":" not in text or text.startswith("HTTP/"):
            self._begin(text)
        else:
            name, _, value = text.partition(":")
            self._keep(name.strip().lower(), value.strip())

    def _begin(self, line: str) -> None:
        if line.startswith("HTTP/"):
            code = line[_STATUS_AT]
            self.status = int(code) if code.isascii() and code.isdigit() else 0
            self.headers, self.cookies = {}, []

    def _keep(self, name: str, value: str) -> None:
        if name == "set-cookie":
            self.cookies.append(value)
        else:
            before = self.headers.get(name)
            self.headers[name] = value if before is None else f"{before}, {value}"


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")
