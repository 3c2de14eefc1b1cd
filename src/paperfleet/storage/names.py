"""What a name is, and how names compare. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from paperfleet.errors import InvalidNameError
from paperfleet.printable import readable

if TYPE_CHECKING:
    from paperfleet.model import Capabilities

__all__ = [
    "RESERVED",
    "TEMPORARY_PREFIX",
    "check_name",
    "check_prefix",
    "collision_key",
    "is_below",
    "is_temporary",
    "is_unfinished",
    "is_utf8",
    "loose_key",
    "parents",
    "readable",
]

_SURROGATES = re.compile("[\ud800-\udfff]")
_LOOSE_ENDS = re.compile(r"[ .](?:/|$)")
TEMPORARY_PREFIX = ".paperfleet-"
"""Names whose last segment begins so belong to Paperfleet and are never listed as documents."""
RESERVED = "names of this kind are kept for unfinished files; rename it, or remove it"
"""Why a file of somebody else is not listed; a survey tells it."""
_UNFINISHED = re.compile(
    re.escape(TEMPORARY_PREFIX)
    + r"(?:save-[0-9a-f]{16}|put-[0-9a-f]{8,12}-[0-9a-f]{16}|selftest-[0-9a-f]{32}|work"
    r"|[0-9a-f]{32}(?:\.old)?)"
)


def check_name(name: str, *, storage: str = "", operation: str = "") -> str:
    """Return ``name``; raise ``InvalidNameError`` unless it is a relative POSIX key."""
    reason = _fault(name)
    if reason:
        raise InvalidNameError(
            reason,
            name=name,
            storage=storage,
            operation=operation,
            hint="A name is relative, such as 2024/acme/invoice.pdf",
        )
    return name


def _fault(name: str) -> str:
    if not name:
        return "the name is empty"
    if "\0" in name:
        return "the name has a NUL character"
    if name.startswith("/"):
        return "the name is absolute"
    segments = name.split("/")
    if "" in segments:
        return "the name has an empty segment"
    if "." in segments or ".." in segments:
        return "the name has a segment '.' or '..'"
    return ""


def check_prefix(prefix: str, *, storage: str = "") -> str:
    """Return the folder that ``prefix`` means, without a closing slash; '' is the root."""
    folder = prefix.removesuffix("/")
    return check_name(folder, storage=storage, operation="list") if folder else ""


def is_temporary(name: str) -> bool:
    """Say whether this is a file of our own in the middle of a save or move."""
    return name.rpartition("/")[2].startswith(TEMPORARY_PREFIX)


def is_unfinished(name: str) -> bool:
    """Say whether a name, or a folder above it, is of the exact form that we give to such files.

    What is of another form below ``TEMPORARY_PREFIX`` is somebody's document with a bad name.
    """
    return any(_UNFINISHED.fullmatch(segment) for segment in name.split("/"))


def parents(name: str) -> list[str]:
    """Return the folders above ``name``, the outermost first: 'a/b/c' gives ['a', 'a/b']."""
    folder = name.rpartition("/")[0]
    return [*_with_above(folder)] if folder else []


@lru_cache(maxsize=1024)
def _with_above(folder: str) -> tuple[str, ...]:
    segments = folder.split("/")
    return tuple("/".join(segments[:depth]) for depth in range(1, len(segments) + 1))


def is_below(name: str, folder: str) -> bool:
    """Say whether ``name`` lies in ``folder`` at any depth; everything lies in ''."""
    return not folder or name.startswith(folder + "/")


def is_utf8(name: str) -> bool:
    """Say whether the name is text; the bytes of others reach Python as lone surrogates."""
    return _SURROGATES.search(name) is None


def collision_key(name: str, capabilities: Capabilities) -> str:
    """Return what two names share exactly when the storage holds them to be one."""
    key = (
        unicodedata.normalize(capabilities.unicode_form, name)
        if capabilities.unicode_form
        else name
    )
    return key if capabilities.case_sensitive else key.casefold()


@lru_cache(maxsize=4096)
def loose_key(name: str) -> str:
    """Return what names share that some server takes for one, and never two that none does.

    Case, Unicode form (NFC, NFD), and dots and spaces at the end of a segment (Windows).
    """
    if name.isascii() and _LOOSE_ENDS.search(name) is None:
        return name.lower()
    return "/".join(
        unicodedata.normalize("NFC", segment).rstrip(" .").casefold() for segment in name.split("/")
    )
