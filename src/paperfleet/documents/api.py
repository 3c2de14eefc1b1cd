"""What is asked of paperless-ngx, in its own words. No state."""

from __future__ import annotations

import hashlib
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from paperfleet.documents import lists, records
from paperfleet.errors import BusyError, FileAccessError, NotAStorageError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from paperfleet.documents.client import PaperlessClient
    from paperfleet.documents.lists import ListKind
    from paperfleet.documents.records import DocumentFiles, Kind, ListedDocument

PAGE = 1000
"""Documents of one answer: half a second of paperless-ngx's work (v3.0.5, two shared cores)."""
_NUMBERS_IN_ADDRESS = 200
_NAMES = 10_000
_REPROCESS = "reprocess_document"
_ENDED = {"SUCCESS", "FAILURE", "REVOKED"}


class DocumentGone(NamedTuple):
    """paperless-ngx says that there is no such document: it is in the trash, or deleted."""


class DocumentHidden(NamedTuple):
    """The document is there, and the user of the token may not see it (any more)."""


class DocumentOdd(NamedTuple):
    """What belongs to the document cannot be known now: paperless-ngx fails at it, or tells odd."""

    reason: str


Unseen = DocumentGone | DocumentHidden | DocumentOdd


class PaperlessApi:
    """Questions to one paperless-ngx; safe in many threads. All raise ``StorageError``."""

    def __init__(self, client: PaperlessClient) -> None:
        self.client = client

    def user(self) -> str:
        """Return what tells the user of the token from another one, '' where it may not be known.

        That needs the permission to view the settings of the user interface.
        """
        try:
            told = self.client.json("ui_settings/")
            return f"user {int(told['user']['id'])}"
        except FileAccessError:
            return ""
        except (KeyError, TypeError, ValueError):
            raise NotAStorageError(
                "paperless-ngx does not tell who the user of the token is",
                storage=self.client.address.url,
            ) from None

    def documents(self, **query: object) -> Iterator[ListedDocument]:
        """Yield the documents that a query finds, page by page; one may come twice, or be missed.

        Pages shift when documents come and go meanwhile: what is missing proves nothing.
        """
        page = 1
        while True:
            told = self._page(page, query)
            yield from map(records.listed, told["results"])
            if not told["next"]:
                return
            page += 1

    def _page(self, page: int, query: dict[str, object]) -> dict[str, Any]:
        wanted = {"page": page, "page_size": PAGE, "fields": ",".join(records.FIELDS)}
        try:
            told = self.client.json("documents/", **{"ordering": "id", **wanted, **query})
        except FileAccessError as error:
            raise self._not_allowed(error) from error
        if not isinstance(told, dict) or not isinstance(told.get("results"), list):
            raise NotAStorageError(
                "paperless-ngx answered with no list of documents",
                storage=self.client.address.url,
            )
        return {"next": told.get("next"), "results": told["results"], "all": told.get("all")}

    def _not_allowed(self, error: FileAccessError) -> FileAccessError:
        return FileAccessError(
            "the user of the token may not list documents",
            operation="list",
            storage=self.client.address.url,
            hint="Give that user the permission to view documents (view_document)",
            retry_after=error.retry_after,
        )

    def numbered(self, numbers: Iterable[int]) -> Iterator[ListedDocument]:
        """Yield those of these documents that can be seen."""
        wanted = sorted(numbers)
        for at in range(0, len(wanted), _NUMBERS_IN_ADDRESS):
            some = wanted[at : at + _NUMBERS_IN_ADDRESS]
            yield from self.documents(id__in=",".join(map(str, some)))

    def numbers(self) -> set[int]:
        """Return the numbers of all documents that can be seen, as of one moment."""
        try:
            told = self.client.json("documents/", page_size=1, fields="id", ordering="id")
        except FileAccessError as error:
            raise self._not_allowed(error) from error
        return self._all_of(told)

    def _all_of(self, told: object) -> set[int]:
        everything = told.get("all") if isinstance(told, dict) else None
        if not isinstance(everything, list) or not all(isinstance(n, int) for n in everything):
            raise NotAStorageError(
                "paperless-ngx does not tell the numbers of all documents",
                storage=self.client.address.url,
                hint="See docs/reference/tested-versions.md for the versions that do",
            )
        count = told.get("count") if isinstance(told, dict) else None
        if count != len(everything):
            raise NotAStorageError(
                f"paperless-ngx counts {count} documents and names {len(everything)}",
                storage=self.client.address.url,
            )
        return set(everything)

    def files(self, document: ListedDocument) -> DocumentFiles | Unseen:
        """Return what belongs to a document's newest version."""
        told = self._metadata(document.number)
        if isinstance(told, Unseen):
            return told
        first = None
        if document.newest is not None and document.newest.number != document.number:
            first = self._metadata(document.number, version=document.number)
            if isinstance(first, Unseen):
                return first
        try:
            return records.files(told, first)
        except NotAStorageError as error:
            return DocumentOdd(error.reason)

    def name_list(self, kind: ListKind) -> dict[int, Any]:
        """Return what each number of a list means, of those that can be seen."""
        found: dict[int, Any] = {}
        page = 1
        try:
            while True:
                told = self.client.json(f"{kind}/", page=page, page_size=_NAMES)
                if not isinstance(told, dict):
                    raise NotAStorageError(f"paperless-ngx answered with no list of {kind}")
                found |= lists.list_of(kind, told.get("results"))
                if not told.get("next"):
                    return found
                page += 1
        except FileAccessError:
            return {}

    def trashed(self) -> set[int]:
        """Return the numbers of the documents in the trash that the user of the token may empty.

        That is those of the user, and those without an owner.
        """
        return self._all_of(self.client.json("trash/", page_size=1))

    def reprocessed(self) -> int:
        """Return the number of the latest task that made archives anew, and is done; 0 for none.

        Also where the user of the token may not view tasks.
        """
        told = self._reprocesses()
        if told is None:
            return 0
        done = (
            task.get("id")
            for task in told
            if isinstance(task, dict)
            and task.get("task_name") == _REPROCESS
            and task.get("status") in _ENDED
        )
        return max((number for number in done if isinstance(number, int)), default=0)

    def may_view_tasks(self) -> bool:
        """Say whether the user of the token may view tasks."""
        return self._reprocesses() is not None

    def _reprocesses(self) -> list[Any] | None:
        try:
            told = self.client.json("tasks/", task_type=_REPROCESS)
        except FileAccessError:
            return None
        if not isinstance(told, list):
            raise NotAStorageError("paperless-ngx answered with no list of tasks")
        return told

    def presence(self, number: int) -> bool | Unseen:
        """Say what became of a document that no list shows; True when it is there after all."""
        told = self._metadata(number)
        return told if isinstance(told, Unseen) else True

    def _metadata(self, number: int, **query: object) -> Any:  # noqa: ANN401  # JSON
        # Without conditions: its ETag says 304 after the archive was made anew (v3.0.5).
        try:
            return self.client.json(f"documents/{number}/metadata/", **query)
        except NotFoundError:
            return DocumentGone()
        except FileAccessError:
            return DocumentHidden()
        except BusyError as error:
            return DocumentOdd(error.reason)

    def download(self, number: int, kind: Kind, into: IO[bytes]) -> None:
        """Write a file of the newest version into a stream; nothing of it is proven yet.

        Where there is no archive, paperless-ngx sends the original.
        """
        query = {"original": "true"} if kind == "original" else {}
        self.client.download(f"documents/{number}/download/", into, **query)


def digest_like(digest: str) -> hashlib._Hash:
    """Return an empty hash of the kind that paperless-ngx made this one with."""
    if len(digest) == hashlib.sha256().digest_size * 2:
        return hashlib.sha256()
    return hashlib.md5(usedforsecurity=False)
