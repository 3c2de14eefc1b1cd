"""Names of files in the middle of a save, which tell how old they are."""

from __future__ import annotations

import re
import secrets
import time

from paperfleet.storage.names import RESERVED, TEMPORARY_PREFIX, is_temporary, is_utf8

LISTED_PREFIX = "paperfleet-"
"""Instead of ``TEMPORARY_PREFIX`` where the server does not list names that begin with a dot."""

_MADE_HERE = re.compile(r"\.?paperfleet-(?:put|try)-([0-9a-f]{8,12})-[0-9a-f]{16}")


def temporary_beside(name: str, *, listed: bool = False) -> str:
    """Return a new temporary name in the folder of ``name``; it tells the second it was made.

    ``listed``: a name without a leading dot, which every server lists.
    """
    folder, slash, _ = name.rpartition("/")
    prefix = LISTED_PREFIX if listed else TEMPORARY_PREFIX
    return f"{folder}{slash}{prefix}put-{_stamp()}"


def trial_folder() -> str:
    """Return a new name for a folder in which a server is tried; every server lists it."""
    return f"{LISTED_PREFIX}try-{_stamp()}"


def _stamp() -> str:
    return f"{int(time.time()):08x}-{secrets.token_hex(8)}"


def trial_above(name: str) -> str:
    """Return the folder of trials that a name is or lies in, '' for none."""
    segments = name.split("/")
    for depth, segment in enumerate(segments, start=1):
        if segment.startswith(f"{LISTED_PREFIX}try-") and _MADE_HERE.fullmatch(segment):
            return "/".join(segments[:depth])
    return ""


def is_own(name: str) -> bool:
    """Say whether a name is, or lies below, one of our own that is no document."""
    if LISTED_PREFIX not in name:
        return False
    return any(is_temporary(one) or _MADE_HERE.fullmatch(one) for one in name.split("/"))


def is_hidden(name: str) -> bool:
    """Say whether a name is not for others: of our own, below one of our own, or not text."""
    return bool(why_hidden(name))


def why_hidden(name: str) -> str:
    """Return why a name is not for others, '' if it is."""
    if is_own(name):
        return RESERVED
    return "" if name.isascii() or is_utf8(name) else "the name is not UTF-8"


def age(name: str, now: float) -> float | None:
    """Return how many seconds ago ``temporary_beside`` made a name; None if it did not.

    Only what a save left behind may be swept, not the step of a rename, which is a document. The
    time of the file itself says nothing: it is that of the document. A folder of trials is as old
    as its name says, and so is all in it.
    """
    for segment in name.split("/"):
        if made := _MADE_HERE.fullmatch(segment):
            return now - int(made[1], 16)
    return None
