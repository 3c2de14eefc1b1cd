"""Which files there have to be, by the rows of the database: trashed documents and versions too."""

from __future__ import annotations

import posixpath
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.apps import apps
from django.db import connection
from django.db.models import Q

from paperfleet.paperless.areas import (
    ARCHIVE,
    AREAS,
    BUNDLES,
    FIELDS,
    LOGO,
    ORIGINALS,
    THUMBNAILS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

_AT_ONCE = 500
_NO_DOCUMENT = 0
"""A primary key that no document has, and so no thumbnail, nor a link in the place of one."""
_CHECKSUMS = {ORIGINALS: "checksum", ARCHIVE: "archive_checksum"}
"""By area the field of a document that has the checksum of its file."""


class Expected(NamedTuple):
    """A file that the database names.

    ``checksum`` is the database's own, in hex: SHA-256 (paperless-ngx 3) or MD5 (2); empty where it
    keeps none. ``row`` is the primary key of the document, the bundle or the configuration.
    """

    area: str
    name: str
    row: int
    checksum: str = ""


def all_documents() -> Any:  # noqa: ANN401  # a manager of a model that only paperless-ngx has
    """Return the manager that leaves no document out: ``objects`` leaves out the trash."""
    return apps.get_model("documents", "Document")._base_manager  # noqa: SLF001  # Django's documented name


class _Table:
    """Whether the database has documents, as this version has them.

    Asks until it has, and then no more; but each time while tables are made or changed.
    """

    known = False
    changes = False

    def exists(self) -> bool:
        if self.known and not self.changes:
            return True
        about = all_documents().model._meta  # noqa: SLF001  # Django's documented name
        looked_at = connection.introspection
        with connection.cursor() as cursor:
            if about.db_table not in looked_at.table_names(cursor):
                return False
            columns = {one.name for one in looked_at.get_table_description(cursor, about.db_table)}
        wanted = {about.get_field(name).column for name in _fields(about.model) if name != "pk"}
        self.known = wanted <= columns
        return self.known


_table = _Table()


def exist() -> bool:
    """Say whether the database has its table of documents, with all that is asked of it here.

    Not before the first ``migrate``, nor in migrations that come from an older version.
    """
    return _table.exists()


def before_migrate(**_: object) -> None:
    """Know nothing of the table until ``after_migrate``; for Django's signal ``pre_migrate``."""
    _table.changes = True


def after_migrate(**_: object) -> None:
    """Look once more; for Django's signal ``post_migrate``."""
    _table.known = _table.changes = False


def expected(areas: Collection[str]) -> Iterator[Expected]:
    """Yield every file that the database names in these areas."""
    rows = all_documents().order_by("pk")
    for document in rows.only(*_fields(rows.model)).iterator(chunk_size=_AT_ONCE):
        yield from of_document(document, areas)
    for area, others in _OTHERS.items():
        if area in areas:
            yield from others()


def _fields(model: Any) -> list[str]:  # noqa: ANN401  # a model
    """Return the fields that are needed of each row; its content may be long."""
    wanted = {*FIELDS, "checksum", "archive_checksum", "mime_type"}
    return ["pk", *(field.name for field in model._meta.fields if field.name in wanted)]  # noqa: SLF001  # Django's documented name


def of_document(document: Any, areas: Collection[str]) -> Iterator[Expected]:  # noqa: ANN401  # a model
    """Yield the files of one document in these areas."""
    if ORIGINALS in areas:
        # A document of old has no name in its row, and lies in the root under its number.
        name = document.filename or document.source_path.name
        yield Expected(ORIGINALS, normal(name), document.pk, document.checksum or "")
    if ARCHIVE in areas and document.archive_filename:
        name = normal(document.archive_filename)
        yield Expected(ARCHIVE, name, document.pk, document.archive_checksum or "")
    if THUMBNAILS in areas:
        yield Expected(THUMBNAILS, thumbnail_of(document.pk), document.pk)


def thumbnail_of(number: int) -> str:
    """Return the name of a document's thumbnail, which follows from its number alone."""
    model = all_documents().model
    after = _after_number(model)
    return model(pk=number).thumbnail_path.name if after is None else f"{number:07}{after}"


@cache
def _after_number(model: Any) -> str | None:  # noqa: ANN401  # a model
    """Return what follows the seven digits in each such name, None where they are not so.

    paperless-ngx resolves the path each time, which asks the disk about every folder above it.
    """
    digits = f"{_NO_DOCUMENT:07}"
    name = str(model(pk=_NO_DOCUMENT).thumbnail_path.name)
    return name.removeprefix(digits) if name.startswith(digits) else None


def _bundles() -> Iterator[Expected]:
    try:
        bundles = apps.get_model("documents", "ShareLinkBundle")
    except LookupError:  # paperless-ngx 2 has none
        return
    rows = bundles._base_manager.exclude(file_path="").order_by("pk")  # noqa: SLF001  # Django's documented name
    for pk, path in rows.values_list("pk", "file_path").iterator(chunk_size=_AT_ONCE):
        yield Expected(BUNDLES, normal(path), pk)


def _logo() -> Iterator[Expected]:
    configurations = apps.get_model("paperless", "ApplicationConfiguration")
    rows = configurations._base_manager.order_by("pk")  # noqa: SLF001  # Django's documented name
    for pk, name in rows.values_list("pk", "app_logo"):
        yield from of_logo(pk, str(name or ""))


def of_logo(row: int, name: str) -> Iterator[Expected]:
    """Yield the logo of a configuration whose field has this name, if that is one of ours."""
    folder, _, rest = name.partition("/")
    if folder == LOGO and rest:
        yield Expected(LOGO, normal(rest), row)


_OTHERS: Mapping[str, Callable[[], Iterator[Expected]]] = {BUNDLES: _bundles, LOGO: _logo}
"""What names the files of an area that are of no single document."""


def again(file: Expected) -> Expected | None:
    """Return what the row says of this file now; None when it is gone or names none any more."""
    if others := _OTHERS.get(file.area):
        return file if file in others() else None
    present = all_documents()
    document = present.only(*_fields(present.model)).filter(pk=file.row).first()
    if document is None:
        return None
    return next(of_document(document, {file.area}), None)


def named(area: str, name: str) -> Expected | None:
    """Return what the row says that has this name now, in an area that every installation has."""
    field = AREAS[area].field
    present = all_documents()
    documents = present.only(*_fields(present.model)).order_by("pk")
    document = documents.filter(**{field: name}).first()
    number = name.partition(".")[0]
    if document is None and area == ORIGINALS and number.isdecimal():
        # A document without a name in its row lies under its number.
        unnamed = documents.filter(Q(filename=None) | Q(filename=""), pk=int(number)).first()
        document = unnamed if unnamed and unnamed.source_path.name == name else None
    return None if document is None else next(of_document(document, {area}), None)


def is_named(area: str, name: str) -> bool:
    """Say whether a row may mean this file, in an area whose files each belong to one document.

    Doubt is a yes: the case of letters and the form of their accents are as good as equal.
    """
    present = all_documents()
    stem = name.rpartition("/")[2].partition(".")[0]
    if area == THUMBNAILS:
        return not stem.isdecimal() or bool(present.filter(pk=int(stem)).exists())
    field, last = AREAS[area].field, name.rpartition("/")[2]
    ends = Q()
    for form in {last, *(unicodedata.normalize(form, last) for form in ("NFC", "NFD"))}:
        ends |= Q(**{f"{field}__iendswith": form})
    names = present.filter(ends).values_list(field, flat=True)
    if any(_alike(known) == _alike(name) for known in names.iterator(chunk_size=_AT_ONCE)):
        return True
    unnamed = Q(filename=None) | Q(filename="")
    is_old = area == ORIGINALS and stem.isdecimal()
    return is_old and bool(present.filter(unnamed, pk=int(stem)).exists())


def _alike(name: str) -> str:
    """Return what is equal for names that some storage could take for one."""
    return unicodedata.normalize("NFC", normal(name)).casefold()


def with_checksum(area: str, checksums: Collection[str], most: int) -> list[Expected]:
    """Return files that the database has with one of these checksums, so many at most."""
    field = _CHECKSUMS.get(area)
    if field is None:
        return []
    present = all_documents()
    found = present.only(*_fields(present.model)).filter(**{f"{field}__in": list(checksums)})
    return [file for row in found.order_by("pk")[:most] for file in of_document(row, {area})]


def in_trash(numbers: Collection[int]) -> int:
    """Return how many documents of these numbers are still in the trash."""
    return int(all_documents().filter(pk__in=numbers).exclude(deleted_at=None).count())


def normal(name: object) -> str:
    """Return a name as paths have it: without doubled slashes and dots."""
    return posixpath.normpath(str(name))
