"""Name rules of the Nextcloud double, as measured on Nextcloud 29.0.6."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote_from_bytes, unquote_to_bytes

from tests.servers.nextcloud_errors import INVALID_PATH, DavError

LONGEST_UPLOADED = 227
LONGEST = 250


def decode(raw: str) -> str:
    """Decode a percent-encoded path: NFC, without leading and trailing slashes.

    Invalid UTF-8 is taken for Latin-1 without a word, as sabre/http does.
    Apache answers an encoded slash or NUL with 404 (`AllowEncodedSlashes Off`).
    """
    if "%2f" in raw.lower() or "%00" in raw:
        raise DavError(404, "Not Found")
    octets = unquote_to_bytes(raw.encode("latin-1"))
    return clean(_text(octets))


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def clean(path: str) -> str:
    """Return the path in NFC without empty segments."""
    segments = unicodedata.normalize("NFC", path).split("/")
    return "/".join(segment for segment in segments if segment)


def encode(path: str) -> str:
    """Encode a path for an href as sabre/http does: lower-case hex, `/~()` and words literal."""
    quoted = quote_from_bytes(path.encode(), safe="/~()")
    parts = quoted.split("%")
    return parts[0] + "".join("%" + part[:2].lower() + part[2:] for part in parts[1:])


def check_new(path: str, longest: int = LONGEST) -> None:
    """Refuse a name that Nextcloud does not let come into being.

    `longest` is in bytes: 227 for an upload, which passes through a longer `.part` name, and 250
    for bulk, MOVE, COPY and MKCOL. Between the two an upload ends in 500, above in 400.
    """
    name = path.rpartition("/")[2]
    if name in {"", ".", ".."} or "\\" in name or any(ord(letter) < 32 for letter in name):
        raise DavError(400, f"Invalid name: {name!r}", kind=INVALID_PATH)
    if name.lower() == ".htaccess":
        raise DavError(403, f"Access to {name} is forbidden")
    if name.lower().endswith(".part"):
        raise DavError(423, f'"files/{path}" is locked')
    _check_length(name, longest)


def _check_length(name: str, longest: int) -> None:
    length = len(name.encode())
    if length > LONGEST:
        raise DavError(400, "File name is too long", kind=INVALID_PATH)
    if length > longest:
        raise DavError(500, "Could not write file contents")
