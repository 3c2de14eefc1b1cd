"""The names that documents refer to by number: tags, correspondents and the like. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from paperfleet.errors import NotAStorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from paperfleet.documents.records import ListedDocument

ListKind = Literal[
    "tags", "correspondents", "document_types", "storage_paths", "custom_fields", "users"
]
"""A list of paperless-ngx, by the last part of its address."""


class CustomField(NamedTuple):
    """A custom field: its name, its type, and the labels of a choice by their ids."""

    name: str
    data_type: str
    labels: Mapping[str, str]


class NamedPath(NamedTuple):
    """A storage path: its name, and its template."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class NameLists:
    """What each number means; empty for a list that nothing needs."""

    tags: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    correspondents: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    document_types: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    storage_paths: Mapping[int, NamedPath] = field(default_factory=lambda: MappingProxyType({}))
    custom_fields: Mapping[int, CustomField] = field(default_factory=lambda: MappingProxyType({}))
    users: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))

    def unknown(self, document: ListedDocument, needed: Iterable[ListKind]) -> str:
        """Say which of the needed names of a document is in no list; '' for none."""
        for kind in needed:
            known: Mapping[int, object] = getattr(self, kind)
            missing = [number for number in numbers_in(document, kind) if number not in known]
            if missing:
                return f"{_WORDS[kind]} {missing[0]}"
        return ""


_WORDS: Mapping[ListKind, str] = {
    "tags": "tag",
    "correspondents": "correspondent",
    "document_types": "document type",
    "storage_paths": "storage path",
    "custom_fields": "custom field",
    "users": "user",
}


def numbers_in(document: ListedDocument, kind: ListKind) -> tuple[int, ...]:
    """Return the numbers of a list that a document refers to."""
    if kind == "tags":
        return document.tags
    if kind == "custom_fields":
        return tuple(number for number, _ in document.custom_fields)
    single = {
        "correspondents": document.correspondent,
        "document_types": document.document_type,
        "storage_paths": document.storage_path,
        "users": document.owner,
    }[kind]
    return () if single is None else (single,)


def list_of(kind: ListKind, told: object) -> dict[int, Any]:
    """Return a list as paperless-ngx tells it; raise ``NotAStorageError`` for what is none."""
    try:
        return {int(row["id"]): _named(kind, row) for row in _rows(told)}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise NotAStorageError(f"paperless-ngx answered with no list of {kind}") from None


def _rows(told: Any) -> Iterator[Any]:  # noqa: ANN401  # JSON
    """Yield each row of a list, those below it too: tags have tags below them."""
    for row in told:
        yield row
        yield from _rows(row.get("children") or [])


def _named(kind: ListKind, row: Mapping[str, Any]) -> object:
    if kind == "users":
        return str(row["username"])
    if kind == "storage_paths":
        return NamedPath(str(row["name"]), str(row["path"]))
    if kind != "custom_fields":
        return str(row["name"])
    options = (row.get("extra_data") or {}).get("select_options") or []
    labels = {str(one["id"]): str(one["label"]) for one in options if isinstance(one, dict)}
    return CustomField(str(row["name"]), str(row["data_type"]), MappingProxyType(labels))
