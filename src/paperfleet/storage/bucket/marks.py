"""What is noted in the store of a move that is under way. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.storage.bucket import client as requests

if TYPE_CHECKING:
    from paperfleet.storage.bucket.client import FoundObject


class MoveMark(NamedTuple):
    """What a move was about, as of its beginning."""

    old_name: str
    new_name: str
    size: int
    modified_ns: int
    etag: str | None
    mover: str
    left: tuple[str, ...] = ()
    """Other names under which earlier moves of this file left a copy before they were cut off."""
    token: str = ""
    """What the copy has noted, of a move that was claimed before the file was looked at.

    Size, time and etag are not known then; the copy has them noted, too (``state_of``).
    """

    def as_bytes(self) -> bytes:
        """Return what is stored."""
        return json.dumps(self._asdict()).encode()

    @classmethod
    def of(cls, stored: bytes) -> MoveMark | None:
        """Return the mark that ``as_bytes`` made, None for anything else."""
        try:
            known = json.loads(stored)
            mark = cls(**known | {"left": tuple(known.get("left", ()))})
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        texts = [mark.old_name, mark.new_name, mark.mover, mark.etag or "", mark.token, *mark.left]
        numbers = [mark.size, mark.modified_ns]
        good = all(isinstance(text, str) for text in texts)
        return mark if good and all(type(number) is int for number in numbers) else None

    def is_of(self, found: FoundObject) -> bool:
        """Say whether the old file is still the one that was to be moved."""
        state = (found.size, found.modified_ns, found.etag)
        return state == (self.size, self.modified_ns, self.etag)

    def of_file(self, found: FoundObject) -> MoveMark:
        """Return the mark with what was found under its claim."""
        state = (found.size, found.modified_ns, found.etag)
        return self._replace(size=state[0], modified_ns=state[1], etag=state[2], token="")

    def made(self, copy: FoundObject, old: FoundObject) -> bool:
        """Say whether a copy is that of this move, of the old file as it is now."""
        noted = (copy.noted.get(requests.SAVE), copy.noted.get(requests.FROM))
        return bool(self.token) and noted == (self.token, state_of(old))


def state_of(found: FoundObject) -> str:
    """Return what tells one state of an object from another, as it is noted with a copy."""
    state = f"{found.size} {found.modified_ns} {found.etag}"
    return hashlib.sha256(state.encode()).hexdigest()[:32]
