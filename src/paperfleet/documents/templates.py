"""Names by a template in paperless-ngx's own format (Jinja), with what it offers to them.

The context, the filters and what is done to the result are those of paperless-ngx 3.0.5
(``documents/templating/filepath.py``, ``filters.py``, ``documents/file_handling.py``). A document's
text (``document.content``) is not offered: it is in no list.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from functools import lru_cache
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

import pathvalidate
from babel import Locale, dates
from babel.core import UnknownLocaleError
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import SandboxedEnvironment

from paperfleet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from paperfleet.documents.lists import ListKind, NameLists
    from paperfleet.documents.records import DocumentFiles, ListedDocument

_NEEDS: Mapping[ListKind, str] = {
    "tags": r"tag",
    "correspondents": r"correspondent",
    "document_types": r"document_type",
    "storage_paths": r"storage_path",
    "custom_fields": r"custom_field|get_cf_value",
    "users": r"owner",
}
"""What a template has in it, as text, when it needs a list."""
_OLD_STYLE = re.compile(r"(?<!\{)\{(\w*)\}(?!\})")
"""``{title}``, the older way of paperless-ngx (``documents/templating/utils.py``)."""
_CONTENT = re.compile(r"\bdocument\s*(\.\s*|\[\s*['\"])content\b")
_OF_DATES = ("", "_year", "_year_short", "_month", "_month_name", "_month_name_short", "_day")
OFFERED = {
    *(f"{word}{part}" for word in ("created", "added") for part in _OF_DATES),
    *("document", "title", "correspondent", "document_type", "asn", "owner_username"),
    *("original_name", "doc_pk", "tag_list", "tag_name_list", "custom_fields"),
}
"""The variables of a template."""
_SANITIZED = {"monetary", "string", "url", "longtext"}


class NoValue(str):
    """What an empty value is in a template: '-none-', false, and equal to 'none'."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, "-none-" if other == "none" else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


NONE = NoValue("-none-")


class Related:
    """A correspondent and the like: its name as text, and what is offered of it beside."""

    def __init__(self, number: int, name: str, path: str | None = None) -> None:
        self.id, self.name, self.path = number, name, path

    def __str__(self) -> str:
        return self.name


class PathTemplate:
    """A template of names; raises ``ConfigurationError`` for what cannot be one."""

    def __init__(self, text: str) -> None:
        self.needs: tuple[ListKind, ...] = tuple(
            kind for kind, word in _NEEDS.items() if re.search(word, text)
        )
        environment = SandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # names are no HTML
            undefined=StrictUndefined,
            extensions=["jinja2.ext.loopcontrols"],
        )
        environment.filters |= {
            "get_cf_value": _value_of,
            "datetime": _formatted,
            "slugify": _slug,
            "localize_date": _localized,
        }
        source = _OLD_STYLE.sub(r"{{ \1 }}", text)
        try:
            self._template = environment.from_string(source)
            used = meta.find_undeclared_variables(environment.parse(source))
        except TemplateError as error:
            raise _unusable(str(error)) from None
        if unknown := sorted(used - OFFERED):
            raise _unusable(f"there is no {unknown[0]!r}")
        if _CONTENT.search(text):
            raise _unusable("the text of a document is not offered to it")

    def render(
        self, document: ListedDocument, files: DocumentFiles, lists: NameLists
    ) -> str | None:
        """Return the path without an ending; None where paperless-ngx takes the number instead."""
        try:
            context = _context(document, files, lists, self.needs)
            rendered = _cleaned(self._template.render(context))
        except Exception:  # noqa: BLE001  # whatever a template does, as in paperless-ngx
            return None
        path = PurePosixPath(rendered.replace("-none-", "none"))
        if path.is_absolute() or ".." in path.parts or str(path) == ".":
            return None
        return str(path)


def _unusable(reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"the template of names cannot be used: {reason}",
        hint="It is one of paperless-ngx's filename format, such as"
        " '{{ created_year }}/{{ correspondent }}/{{ title }}'",
    )


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("\n", "").replace("\r", "")
    return re.sub(r"\s*/\s*", "/", text).strip().strip("/")


def _context(
    document: ListedDocument, files: DocumentFiles, lists: NameLists, needs: Collection[ListKind]
) -> dict[str, Any]:
    created, added = date.fromisoformat(document.created[:10]), _moment(document.added)
    tags = [(n, lists.tags[n]) for n in document.tags] if "tags" in needs else []
    tags.sort(key=lambda tag: tag[1])
    correspondent = _related(document.correspondent, lists.correspondents)
    document_type = _related(document.document_type, lists.document_types)
    owner = lists.users.get(document.owner) if document.owner is not None else None
    return {
        "document": {
            "id": document.number,
            "pk": document.number,
            "title": document.title,
            "page_count": document.page_count,
            "created": created,
            "added": added,
            "modified": _moment(document.modified),
            "archive_serial_number": document.asn,
            "mime_type": document.mime_type,
            "checksum": files.original.digest,
            "archive_checksum": files.archive.digest if files.archive else None,
            "filename": files.name,
            "archive_filename": files.archive.name if files.archive else None,
            "original_filename": document.original_name,
            "owner": None if owner is None else {"username": owner, "id": document.owner},
            "tags": [{"name": name, "id": number} for number, name in tags],
            "correspondent": correspondent,
            "document_type": document_type,
            "storage_path": _storage_path(document, lists),
        },
        "title": _sanitized(document.title),
        "correspondent": _sanitized(correspondent.name) if correspondent else NONE,
        "document_type": _sanitized(document_type.name) if document_type else NONE,
        "asn": str(document.asn) if document.asn else NONE,
        "owner_username": owner or NONE,
        "original_name": _stem(document.original_name) if document.original_name else NONE,
        "doc_pk": f"{document.number:07}",
        **_dates("created", created),
        **_dates("added", added.date()),
        "tag_list": _sanitized(",".join(sorted(_nfc(name) for _, name in tags))),
        "tag_name_list": [_nfc(name) for _, name in tags],
        "custom_fields": _custom_fields(document, lists) if "custom_fields" in needs else {},
    }


def _dates(word: str, day: date) -> dict[str, str]:
    return {
        word: day.isoformat(),
        f"{word}_year": day.strftime("%Y"),
        f"{word}_year_short": day.strftime("%y"),
        f"{word}_month": day.strftime("%m"),
        f"{word}_month_name": day.strftime("%B"),
        f"{word}_month_name_short": day.strftime("%b"),
        f"{word}_day": day.strftime("%d"),
    }


def _related(number: int | None, names: Mapping[int, str]) -> Related | None:
    if number is None or number not in names:
        return None
    return Related(number, names[number])


def _storage_path(document: ListedDocument, lists: NameLists) -> Related | None:
    number = document.storage_path
    if number is None or number not in lists.storage_paths:
        return None
    named = lists.storage_paths[number]
    return Related(number, named.name, named.path)


def _custom_fields(document: ListedDocument, lists: NameLists) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for number, told in document.custom_fields:
        about = lists.custom_fields[number]
        value: object = told
        if told is None:
            value = None
        elif about.data_type in _SANITIZED:
            value = _sanitized(str(told))
        elif about.data_type == "select":
            value = _sanitized(about.labels[str(told)])
        elif about.data_type == "date":
            value = date.fromisoformat(str(told))
        elif isinstance(told, tuple):
            value = list(told)
        found[_sanitized(about.name)] = {"type": about.data_type, "value": value}
    return found


def _moment(text: str) -> datetime:
    """Return a time in paperless-ngx's own time zone, in which it writes them."""
    return datetime.fromisoformat(text)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=65_536)
def _sanitized(text: str) -> str:
    return str(pathvalidate.sanitize_filename(_nfc(text), replacement_text="-"))


def _stem(name: str) -> str:
    return _nfc(PurePath(name).with_suffix("").name)


def _value_of(fields: Mapping[str, Mapping[str, object]], name: str, default: Any = None) -> Any:  # noqa: ANN401  # a filter
    value = fields[name]["value"] if name in fields else None
    return default if value is None else value


def _formatted(value: Any, format: str) -> str:  # noqa: A002, ANN401  # the filter's own words
    day = date.fromisoformat(value) if isinstance(value, str) else value
    return str(day.strftime(format))


def _slug(value: object) -> str:
    """Return what Django's ``slugify`` makes of a text."""
    text = unicodedata.normalize("NFKD", str(value)).encode("ascii", "ignore").decode("ascii")
    text = re.sub(r"[^\w\s-]", "", text.lower())
    return re.sub(r"[-\s]+", "-", text).strip("-_")


def _localized(value: Any, format: str, locale: str) -> str:  # noqa: A002, ANN401  # the filter's own words
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    try:
        Locale.parse(locale)
    except (ValueError, UnknownLocaleError):
        raise ValueError(f"Invalid locale identifier: {locale}") from None
    write: Callable[..., str] = (
        dates.format_datetime if isinstance(value, datetime) else dates.format_date
    )
    return write(value, format=format, locale=locale)
