"""The outbox: a table of the changes of documents, and how it is read without missing one.

A row is written in the transaction that changes the document: each change that came to be has one.
A change that was taken back has none, but its opposite has, for those who saw it meanwhile. Rows
say where to look; what is there, the storage says.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.utils import timezone

from paperfleet.paperless.areas import MIRRORED
from paperfleet.paperless.models import DocumentChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LATE = 3600.0
"""Seconds for which a number that is missing between others is waited for."""
_MOST_MISSING = 500
_PORTION = 1000
_PRUNE_SECONDS = 3600.0


class _OutboxTable:
    """Whether the table is there yet; it comes with the app's first migration."""

    def __init__(self) -> None:
        self._found_in = 0

    def exists(self) -> bool:
        """Ask the database until it is there, and then no more in this process."""
        if self._found_in != os.getpid():
            with connection.cursor() as cursor:
                tables = connection.introspection.table_names(cursor)
            if DocumentChange._meta.db_table in tables:  # noqa: SLF001  # Django's documented name
                self._found_in = os.getpid()
        return self._found_in == os.getpid()


_table = _OutboxTable()


def record(area: str, name: str, previous: str) -> None:
    """Write a change, in the transaction that is open; raise ``django.db.DatabaseError``."""
    if area in MIRRORED and _table.exists():
        DocumentChange.objects.create(area=area, name=name, previous=previous)


def newest() -> int:
    """Return the number of the latest change that can be seen, 0 for none."""
    return DocumentChange.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def prune(days: float) -> int:
    """Remove changes that are older than so many days; return how many."""
    before = timezone.now() - timedelta(days=days)
    return DocumentChange.objects.filter(happened__lt=before).delete()[0]


class Reader:
    """Reads changes after a number, and removes old ones once an hour; for one thread.

    PostgreSQL and MariaDB give out numbers before the commit, so that a lower one may appear after
    a higher one. A number that is missing is asked for again, for an hour; most never come, as they
    belong to transactions that were rolled back.
    """

    def __init__(self, after: int, keep_days: float | None = None) -> None:
        self.after = after
        self._missing: dict[int, float] = {}
        self._keep_days, self._next_prune = keep_days, 0.0

    def read(self) -> Sequence[DocumentChange]:
        """Return what has appeared since the last time, at most some hundreds at once.

        Raises ``django.db.DatabaseError``; nothing is lost then.
        """
        self._prune()
        late = self._late()
        found = list(DocumentChange.objects.filter(pk__gt=self.after).order_by("pk")[:_PORTION])
        self._note_missing(change.pk for change in found)
        for change in late:
            del self._missing[change.pk]
        return [*late, *found]

    def _prune(self) -> None:
        if self._keep_days is not None and time.monotonic() >= self._next_prune:
            prune(self._keep_days)
            self._next_prune = time.monotonic() + _PRUNE_SECONDS

    def _late(self) -> list[DocumentChange]:
        now = time.monotonic()
        self._missing = {pk: since for pk, since in self._missing.items() if now - since < LATE}
        if not self._missing:
            return []
        return list(DocumentChange.objects.filter(pk__in=list(self._missing)).order_by("pk"))

    def _note_missing(self, numbers: Iterable[int]) -> None:
        now = time.monotonic()
        for number in numbers:
            # A large gap is what was pruned.
            if number - self.after <= _MOST_MISSING:
                self._missing.update((pk, now) for pk in range(self.after + 1, number))
            self.after = number
        for pk in list(self._missing)[:-_MOST_MISSING]:
            del self._missing[pk]
