"""What a listing shows of one resource, or that the server refuses to tell of it."""

from __future__ import annotations

from typing import NamedTuple

from paperfleet.errors import NotFoundError, StorageError
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.dav.multistatus import DavEntry

PASSING = frozenset({401, 407, 408, 425, 429, 502, 503, 504})
"""What is said of one resource in a listing, and yet passes by itself or means all of them."""


class FoundFile(NamedTuple):
    """A resource below the root; ``name`` is '' for the root itself.

    ``refusal`` is set where the server lists it and tells nothing of it: then nothing is known of
    it, nor of what is below it.
    """

    name: str
    entry: DavEntry
    refusal: StorageError | None = None

    @property
    def stat(self) -> FileStat:
        """What the storage says of this file."""
        entry = self.entry
        return FileStat(self.name, entry.size or 0, entry.modified_ns, entry.etag, entry.file_id)

    @property
    def obstacle(self) -> Obstacle:
        """What a survey says of it where ``refusal`` is set.

        What is listed and not there may have gone at this moment: no reason to stop for.
        """
        error = self.refusal or StorageError("it cannot be listed", name=self.name)
        stops = None if isinstance(error, NotFoundError) else error
        return Obstacle(self.name, error.reason, below=True, refusal=stops)


def refused(name: str, error: StorageError) -> FoundFile:
    """Return what is found of a resource that the server tells nothing of."""
    return FoundFile(name, DavEntry("", is_folder=False), error)
