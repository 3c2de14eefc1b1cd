"""Names in the database that carry the prefix of their folder: ``originals/2024/a.pdf``.

Names are relative to the folder of their area, and the prefix belongs to the storage. A name that
begins with ``originals/`` may be right all the same: a storage path can be called so. So a row is
touched only when the file is where the stripped name says, and not where the full one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Q

from paperfleet.errors import InvalidNameError
from paperfleet.paperless.areas import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.paperless.homes import Home

PREFIXES = {
    field: (area.key, (f"documents/{area.key}/", f"{area.key}/")) for field, area in FIELDS.items()
}
"""For each field of a document: the area that it names, and the prefixes that it may carry."""
_AT_ONCE = 500


class Carrier(NamedTuple):
    """A row whose name begins like a prefix."""

    document: int
    field: str
    area: str
    before: str
    after: str


def stripped(field: str, name: str) -> str | None:
    """Return the name without its prefix, None when it has none."""
    for prefix in PREFIXES[field][1]:
        if name.startswith(prefix) and name != prefix:
            return name.removeprefix(prefix)
    return None


def suspects(rows: Any) -> Iterator[Carrier]:  # noqa: ANN401  # a manager of a historical model
    """Yield the rows whose names begin like a prefix; one query, and mostly nothing."""
    known = {field.name for field in rows.model._meta.fields}  # noqa: SLF001  # Django's documented name
    for field, (area, prefixes) in PREFIXES.items():
        if field not in known:
            continue
        begins = Q()
        for prefix in prefixes:
            begins |= Q(**{f"{field}__startswith": prefix})
        found = rows.filter(begins).order_by("pk").values_list("pk", field)
        for pk, name in list(found.iterator(chunk_size=_AT_ONCE)):
            after = stripped(field, name)
            if after is not None:
                yield Carrier(pk, field, area, name, after)


def carries(suspect: Carrier, homes: Sequence[Home]) -> bool:
    """Say whether a file is where the stripped name says, and none where the full one does.

    Raises ``StorageError`` when a storage does not answer.
    """
    try:
        areas = [home.area(suspect.area) for home in homes]
        if any(area.exists(suspect.before) for area in areas):
            return False
        return any(area.exists(suspect.after) for area in areas)
    except InvalidNameError:
        return False


def strip(rows: Any, notes: Any, homes: Sequence[Home]) -> int:  # noqa: ANN401  # managers of historical models
    """Strip the prefixes and note each in ``notes``; return how many.

    A name that another row has already stays as it is.
    """
    count = 0
    for suspect in suspects(rows):
        taken = rows.filter(**{suspect.field: suspect.after}).exists()
        if taken or not carries(suspect, homes):
            continue
        rows.filter(pk=suspect.document).update(**{suspect.field: suspect.after})
        notes.create(
            document_id=suspect.document,
            field=suspect.field,
            before=suspect.before,
            after=suspect.after,
        )
        count += 1
    return count


def restore(rows: Any, notes: Any) -> None:  # noqa: ANN401  # as above
    """Give the noted names back where the row still has the stripped one."""
    for note in list(notes.order_by("-pk")):
        row = rows.filter(pk=note.document_id, **{note.field: note.after})
        row.update(**{note.field: note.before})
        note.delete()
