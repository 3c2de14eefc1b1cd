"""Names of files in the middle of a save, which tell how old they are."""

from __future__ import annotations

import re
import secrets
import time

from paperfleet.storage.names import TEMPORARY_PREFIX

_MADE_HERE = re.compile(re.escape(TEMPORARY_PREFIX) + r"put-([0-9a-f]{8,12})-[0-9a-f]{16}")


def temporary_beside(name: str) -> str:
    """Return a new temporary name in the folder of ``name``; it tells the second it was made."""
    folder, slash, _ = name.rpartition("/")
    made = f"put-{int(time.time()):08x}-{secrets.token_hex(8)}"
    return f"{folder}{slash}{TEMPORARY_PREFIX}{made}"


def age(name: str, now: float) -> float | None:
    """Return how many seconds ago ``temporary_beside`` made a name; None if it did not.

    Only what a save left behind may be swept, not the step of a rename, which is a document. The
    time of the file itself says nothing: it is that of the document.
    """
    made = _MADE_HERE.fullmatch(name.rpartition("/")[2])
    return now - int(made[1], 16) if made else None
