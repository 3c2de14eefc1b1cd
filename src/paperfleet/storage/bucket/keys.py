"""Names of documents and keys of objects. Pure.

A key is the location, a slash and the name, at most 1,024 bytes of UTF-8 (Amazon S3 user guide,
"Naming Amazon S3 objects"; Google Cloud Storage has the same limit, Azure 1,024 characters).
"""

from __future__ import annotations

import re

from paperfleet.errors import ConfigurationError, InvalidNameError, NameRefusedError, NotFoundError
from paperfleet.storage.conditions import check_saved_name
from paperfleet.storage.names import TEMPORARY_PREFIX, check_name, check_prefix, is_utf8, readable

LONGEST = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
WORK = f"{TEMPORARY_PREFIX}work"
"""The folder below the location in which unfinished work lies; it is never listed."""
_LONGEST_WORK = len(f"{WORK}/move-") + 32


class Keys:
    """Turns names into keys below one location, and back."""

    def __init__(self, location: str, label: str) -> None:
        self.label = label
        self._before = f"{location}/" if location else ""

    def saved(self, name: str, operation: str) -> str:
        """Return the key under which a document may be stored.

        Raises ``InvalidNameError``, and ``NameRefusedError`` for a name that stores do not keep:
        longer than a key can be, not UTF-8, or with control characters, which the answers of S3
        (XML 1.0) cannot carry.
        """
        check_saved_name(name, storage=self.label)
        if is_work(name):
            raise InvalidNameError(
                "names below this folder are kept for unfinished files",
                operation=operation,
                name=name,
                storage=self.label,
            )
        reason = self.refusal(name)
        if reason:
            raise NameRefusedError(
                reason,
                operation=operation,
                name=readable(name),
                storage=self.label,
                hint="Rename the file",
            )
        return self._before + name

    def found(self, name: str, operation: str) -> str:
        """Return the key of a name that is asked for; ``NotFoundError`` when it can have none."""
        check_name(name, storage=self.label, operation=operation)
        if self.refusal(name):
            raise NotFoundError(
                "there is no such file", operation=operation, name=name, storage=self.label
            )
        return self._before + name

    def refusal(self, name: str) -> str:
        """Return why stores do not keep a name, '' when they do."""
        if not is_utf8(name):
            return "the name is not UTF-8"
        if _CONTROL.search(name):
            return "the name has a control character"
        length = len((self._before + name).encode())
        if length > LONGEST:
            return f"the key would have {length} bytes, and {LONGEST} are the limit"
        return ""

    def folder(self, prefix: str) -> str | None:
        """Return what to list for a folder of names; None for everything there is."""
        folder = check_prefix(prefix, storage=self.label)
        return (self._before + folder).removesuffix("/") or None

    def can_hold(self, prefix: str) -> bool:
        """Say whether a folder of this name can hold any file."""
        return not prefix or not self.refusal(prefix)

    def name(self, key: str) -> str:
        """Return the name of a listed key; '' for the location itself."""
        return key[len(self._before) :]

    def work(self, kind: str, token: str) -> str:
        """Return the key of an object of our own."""
        return f"{self._before}{WORK}/{kind}-{token}"

    @property
    def work_folder(self) -> str:
        """What to list to find all objects of our own."""
        return self._before + WORK


def is_work(name: str) -> bool:
    """Say whether a name is that of unfinished work, at any depth."""
    return any(segment.startswith(TEMPORARY_PREFIX) for segment in name.split("/"))


def normal_location(location: str) -> str:
    """Return a prefix of keys without slashes around it; raise ``ConfigurationError``."""
    folder = location.strip("/")
    if not folder:
        return ""
    try:
        check_name(folder)
    except InvalidNameError as error:
        raise ConfigurationError(
            f"the location {readable(location)!r} is not the path of a folder: {error.reason}"
        ) from None
    keys = Keys("", "")
    reason = keys.refusal(folder)
    if reason or len(folder.encode()) + 1 + _LONGEST_WORK > LONGEST:
        raise ConfigurationError(f"the location cannot be used: {reason or 'it is too long'}")
    return folder
