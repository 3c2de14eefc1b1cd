"""The documents of a paperless-ngx as the source of a mirror: storage, watcher, who looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.documents.inventory import USER, DocumentsInventory
from paperfleet.documents.storage import DocumentsStorage, ListFault
from paperfleet.documents.watching import MISSING_SECONDS, DocumentsWatcher

if TYPE_CHECKING:
    from paperfleet.documents.api import PaperlessApi
    from paperfleet.documents.index import DocumentIndex
    from paperfleet.documents.rules import Rules

POLL_SECONDS = 5.0
"""How often it is asked what was saved: 20 ms of its work, with 10,000 documents (v3.0.5)."""


class Viewer:
    """Whose view of the documents it is (``paperfleet.mirror.accident.Disk``).

    Another user sees other documents: then no missing one is believed to be gone.
    """

    changed = "the token is of another user of paperless-ngx than before"

    def __init__(self, index: DocumentIndex) -> None:
        self._index = index

    def filesystem(self) -> str | None:
        """Return the user of the token, None where that may not be known."""
        user = self._index.fact(USER)
        return str(user) if user else None

    def mounts(self) -> dict[str, str]:
        """Return nothing: it lies on no disk of this machine."""
        return {}

    def device(self, folder: str) -> str | None:  # noqa: ARG002  # there is none of any folder
        """Return nothing: it lies on no disk of this machine."""
        return None


class PaperlessDocuments(NamedTuple):
    """What follows a paperless-ngx; nothing of it has been entered."""

    storage: DocumentsStorage
    watcher: DocumentsWatcher
    disk: Viewer
    fault: ListFault


def documents_of(
    api: PaperlessApi,
    index: DocumentIndex,
    rules: Rules,
    *,
    poll_seconds: float,
    missing_seconds: float = MISSING_SECONDS,
) -> PaperlessDocuments:
    """Return the documents of a paperless-ngx, and who tells of their changes."""
    fault = ListFault()
    watcher = DocumentsWatcher(
        lambda go_on: DocumentsInventory(api, index, rules, go_on),
        fault,
        poll_seconds=poll_seconds,
        missing_seconds=missing_seconds,
    )
    storage = DocumentsStorage(api, index, fault, watcher.doubt)
    return PaperlessDocuments(storage, watcher, Viewer(index), fault)
