"""The trash beside an export that leaves it out, as that of paperless-ngx 2 does.

In a file of its own, ``trash.json`` beside ``manifest.json``: paperless-ngx's importer looks for
each document that the export names, and does not find one that is in the trash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.core import serializers
from django.db.models import Model

from paperfleet.backup.records import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE: Final = "trash.json"
_MODELS: Final = ("Document", "Note", "CustomFieldInstance", "ShareLink")
"""What goes to the trash, with what belongs to it; what others name comes first."""
_MANIFEST: Final = "manifest.json"


State = dict[tuple[str, object], object]
"""By the kind and the number of a row, when it went to the trash."""


def state() -> State:
    """Return what is in the trash."""
    return {
        (_label(model), number): since
        for model in _models()
        for number, since in _trashed(model).values_list("pk", "deleted_at")
    }


def export(folder: Path, before: State) -> bool:
    """Write what is in the trash and not in the export, if anything.

    ``before`` is what was in the trash before the export. Returns whether that leaves out what is
    in the trash, and that has changed meanwhile: then nobody knows what was in it.
    """
    after = state()
    there = _numbers(folder / _MANIFEST) if before or after else set()
    if not (before.keys() | after.keys()) - there:
        return False
    left_out = [row for model in _models() for row in _trashed(model) if _key(row) not in there]
    (folder / FILE).write_text(serializers.serialize("json", left_out), encoding="utf-8")
    return before != after


def is_in(folder: Path) -> bool:
    """Say whether a trash lies beside the export in this folder."""
    return (folder / FILE).exists()


def restore(folder: Path) -> None:
    """Bring back what ``export`` has written, if anything; nobody is told of these rows.

    The caller has a transaction where there is something.
    """
    if not is_in(folder):
        return
    text = (folder / FILE).read_text(encoding="utf-8")
    for one in serializers.deserialize("json", text):
        row: Any = one.object
        type(row)._base_manager.bulk_create([row])  # noqa: SLF001  # without signals, which would rename its file
        for name, others in (one.m2m_data or {}).items():
            _link(row, name, others)


def _link(row: Any, name: str, others: Any) -> None:  # noqa: ANN401  # a row; rows or their keys
    field = row._meta.get_field(name)  # noqa: SLF001  # Django's documented name
    through = field.remote_field.through
    pairs = [
        through(
            **{
                field.m2m_field_name() + "_id": row.pk,
                field.m2m_reverse_field_name() + "_id": other.pk
                if isinstance(other, Model)
                else other,
            }
        )
        for other in others
    ]
    through._base_manager.bulk_create(pairs)  # noqa: SLF001  # as above


def _models() -> Iterator[Any]:
    for name in _MODELS:
        try:
            model = apps.get_model("documents", name)
        except LookupError:
            continue
        if any(field.name == "deleted_at" for field in model._meta.fields):  # noqa: SLF001  # Django's documented name
            yield model


def _trashed(model: Any) -> Any:  # noqa: ANN401  # a model and its rows
    return model._base_manager.exclude(deleted_at=None).order_by("pk")  # noqa: SLF001  # Django's documented name


def _label(model: Any) -> str:  # noqa: ANN401  # a model or a row
    return str(model._meta.label_lower)  # noqa: SLF001  # Django's documented name


def _key(row: Any) -> tuple[str, object]:  # noqa: ANN401  # a row
    return _label(row), row.pk


def _numbers(manifest: Path) -> set[tuple[str, object]]:
    labels = {_label(model) for model in _models()}
    with manifest.open(encoding="utf-8") as stream:
        return {
            (str(record["model"]), record.get("pk"))
            for record in records(stream)
            if record.get("model") in labels
        }
