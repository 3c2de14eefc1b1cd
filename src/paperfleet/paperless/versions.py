"""Which versions of paperless-ngx are known to pass their documents where ``seams`` says. Pure.

Inside a major version the seams and the self-test decide whether a version works; what was never
tested, or is older than what this database has seen, works with a warning.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TESTED = ("2.20.15", "3.0.0", "3.0.5")
"""Versions whose own tests pass with documents in a storage (docs/reference/tested-versions.md)."""
_NUMBER = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(.*)", re.DOTALL)


class Version(NamedTuple):
    """A version of paperless-ngx; ``rest`` is what follows the numbers, as of a beta."""

    major: int
    minor: int
    patch: int
    rest: str

    @property
    def is_release(self) -> bool:
        """Whether it is no beta, release candidate or build of a branch."""
        return not self.rest

    @property
    def order(self) -> tuple[int, int, int, bool]:
        """What is larger for a newer version; a release is newer than its candidates."""
        return self.major, self.minor, self.patch, self.is_release


def parse(text: str) -> Version | None:
    """Return what a version says, None for a text that is none."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    major, minor, patch, rest = found.groups()
    return Version(int(major), int(minor), int(patch or 0), rest.strip())


_KNOWN = tuple(version for text in TESTED if (version := parse(text)))


def is_supported(text: str) -> bool:
    """Say whether a version is of a major one that was tested."""
    found = parse(text)
    return found is not None and found.major in {known.major for known in _KNOWN}


def warning(text: str) -> str:
    """Say why a supported version deserves a word; empty for a tested one.

    What lies between two tested versions of its minor series counts as tested.
    """
    found = parse(text)
    if found is None:
        return f"paperless-ngx {text!r} is no version that can be compared"
    series = [known.order for known in _KNOWN if known[:2] == found[:2]]
    if found.is_release and series and min(series) <= found.order <= max(series):
        return ""
    what = "" if found.is_release else "a pre-release, "
    return (
        f"paperless-ngx {text} was not tested with Paperfleet ({what}tested: {', '.join(TESTED)})"
    )


def downgrade(text: str, newest: str) -> str:
    """Say that a version is older than the newest that this database has seen; empty if not."""
    found, seen = parse(text), parse(newest)
    if found is None or seen is None or found.order >= seen.order:
        return ""
    return (
        f"this is paperless-ngx {text}, and {newest} has worked on this database: paperless-ngx"
        " supports neither a way back nor two versions side by side"
    )


def newer(text: str, newest: str) -> bool:
    """Say whether a version is newer than the newest so far; a text that is none never is."""
    found, seen = parse(text), parse(newest)
    return found is not None and (seen is None or found.order > seen.order)
