"""What goes wrong with a file while somebody uses it is written into the database.

A log line is read by nobody until somebody looks for it. ``manage.py check`` and
``paperfleet_check`` tell of each incident until a check has found the file to be right again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.models import F
from django.utils import timezone

from paperfleet.paperless.documents import transactions
from paperfleet.paperless.documents.transactions import Effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.paperless.models import Incident

REFUSED = "refused"
UNDELETED = "undeleted"

_log = logging.getLogger("paperfleet.paperless")


def _table() -> type[Incident]:
    return apps.get_model("paperfleet", "Incident")


def note(kind: str, area: str, name: str, details: str, document: int | None = None) -> None:
    """Write an incident; in a transaction after its end, as a rollback would forget it.

    It raises nothing: whoever calls it has an error of its own to tell.
    """

    def write() -> None:
        if transactions.in_transaction():
            transactions.follow(Effect("noting an incident", commit=write, rollback=write))
            return
        try:
            _write(kind, area, name, details, document)
        except DatabaseError as error:
            _log.error("%s/%s: %s (not written to the database: %s)", area, name, details, error)

    write()


def _write(kind: str, area: str, name: str, details: str, document: int | None) -> None:
    told = {"details": details, "document": document}
    before = _table().objects.filter(kind=kind, area=area, name=name)
    if not before.update(count=F("count") + 1, last_seen=timezone.now(), **told):
        _table().objects.create(kind=kind, area=area, name=name, count=1, **told)


def known(kind: str = "") -> Sequence[Incident]:
    """Return the incidents of a kind, or all of them; none where the table is not there yet."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    if _table()._meta.db_table not in tables:  # noqa: SLF001  # Django's documented name
        return []
    found = _table().objects.all()
    return list(found.filter(kind=kind) if kind else found)


def forget(kind: str, area: str, name: str) -> None:
    """Remove an incident whose file was found to be right, or is gone."""
    _table().objects.filter(kind=kind, area=area, name=name).delete()


def told(incident: Incident) -> str:
    """Return an incident in words."""
    since = f"{incident.first_seen:%Y-%m-%d %H:%M}"
    where = f"{incident.area}/{incident.name}"
    if incident.kind == REFUSED:
        who = f"document {incident.document}, {where}"
        return (
            f"{who}: readers were cut off {incident.count} times since {since}: {incident.details}"
        )
    return (
        f"{where}: its document is deleted, and the file is not, since {since}: {incident.details}"
    )
