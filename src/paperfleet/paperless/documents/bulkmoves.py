"""The moves of a bulk update, many at a time, ahead of paperless-ngx's own loop.

When the template of a storage path changes, paperless-ngx renames each of its documents under the
media lock, one after the other (``bulk_update_documents`` in ``documents/tasks.py``): on a bucket
far away that is several times its latency for every document. Before that task runs, the documents
whose renames are plain are moved here, in groups. The loop then finds them where they belong, and
does everything else as always: name conflicts, versions, and whatever has failed here.

As in a single rename the storage comes before the database, so a kill leaves up to a group of
documents under their new names, which ``paperfleet_check --repair`` finds by checksum.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from paperfleet.errors import Scope
from paperfleet.paperless.areas import FIELDS
from paperfleet.paperless.documents import active, files, looks, medialock, rollback, transactions
from paperfleet.paperless.documents.transactions import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from paperfleet.paperless.documents.mounts import Place

TASK = "documents.tasks.bulk_update_documents"
TOGETHER = 16
"""Documents in a group: enough to hide the latency of a store, few for a kill to leave behind."""
_log = logging.getLogger("paperfleet.paperless")


class Rename(NamedTuple):
    """A document whose files are to be moved, each from its old place to its new one."""

    document: Any
    moves: dict[str, tuple[Place, Place]]
    """By the field of the row that has the name."""


def before_task(
    sender: Any = None,  # noqa: ANN401  # Celery's task
    args: Sequence[Any] = (),
    kwargs: dict[str, Any] | None = None,
    **_: object,
) -> None:
    """Move ahead what a bulk update is going to rename; for Celery's signal ``task_prerun``."""
    if getattr(sender, "name", "") != TASK or transactions.in_transaction():
        return
    numbers = [*(kwargs or {}).get("document_ids", args[0] if args else ())]
    try:
        move_ahead(numbers)
    except (OSError, DatabaseError) as error:
        _log.warning(
            "the other documents are renamed one after the other, as moving them failed: %s", error
        )


def move_ahead(numbers: Sequence[int]) -> None:
    """Rename the documents with these numbers as far as that is plain.

    Raises ``OSError`` where the media lock cannot be had, or no document of a group could be
    moved as the storage fails, and ``DatabaseError``; files and rows agree then.
    """
    from documents.signals import handlers  # noqa: PLC0415  # Django has to be set up

    if len(numbers) < 2:  # there is nothing to do at the same time
        return
    with ThreadPoolExecutor(TOGETHER, "paperfleet-moves") as pool:
        for start in range(0, len(numbers), TOGETHER):
            with handlers.FileLock(settings.MEDIA_LOCK):
                _move_group(numbers[start : start + TOGETHER], pool)


def _move_group(numbers: Sequence[int], pool: ThreadPoolExecutor) -> None:
    renames = list(plain_renames(_documents(numbers)))
    for rename in renames:
        for old, _ in rename.moves.values():
            files.touch(old)
    errors = list(pool.map(medialock.under_my_leases(_move), renames))
    looks.forget()
    with transaction.atomic():
        _record([rename for rename, error in zip(renames, errors, strict=True) if error is None])
    if errors and all(map(_concerns_all, errors)):
        raise cast("OSError", errors[0])


def _concerns_all(error: OSError | None) -> bool:
    return error is not None and getattr(error, "scope", Scope.STORAGE) is Scope.STORAGE


def _documents(numbers: Sequence[int]) -> list[Any]:
    """Return the rows, without versions and what has some: the loop follows their root."""
    from documents.models import Document  # noqa: PLC0415  # Django has to be set up

    found = Document.objects.filter(pk__in=numbers).exclude(filename=None)
    if hasattr(Document, "root_document"):
        roots = Document.objects.exclude(root_document=None).values("root_document")
        found = found.filter(root_document=None).exclude(pk__in=roots)
    return list(found)


def plain_renames(documents: Iterable[Any]) -> Iterator[Rename]:
    """Yield the documents whose names change, each to a name that no other one here wants."""
    wanted: set[tuple[str, str]] = set()
    for document in documents:
        rename = _rename_of(document)
        if rename is None:
            continue
        names = {new.key for _, new in rename.moves.values()}
        if not names & wanted:
            yield rename
        wanted |= names


def _rename_of(document: Any) -> Rename | None:  # noqa: ANN401  # paperless-ngx's model
    """Return what is to be done, None for nothing and for what is not plain."""
    names = {"filename": generate_name(document)}
    if document.has_archive_version:
        names["archive_filename"] = generate_name(document, archive_filename=True)
    moves = {}
    for field, name in names.items():
        if name != getattr(document, field):
            move = _move_of(field, getattr(document, field), name)
            if move is None or len(name) > _longest(document):
                return None
            moves[field] = move
    return Rename(document, moves) if moves else None


def generate_name(document: Any, **which: bool) -> str:  # noqa: ANN401  # as above
    """Return the name that paperless-ngx gives a document when no other one has it."""
    from documents.file_handling import generate_filename  # noqa: PLC0415  # as above

    return str(generate_filename(document, **which))


def _longest(document: Any) -> int:  # noqa: ANN401  # as above
    return int(document._meta.get_field("filename").max_length)  # noqa: SLF001  # Django's documented name


def _move_of(field: str, old: str, new: str) -> tuple[Place, Place] | None:
    root = str(getattr(settings, FIELDS[field].setting))
    here, there = (active.place_of(str(PurePosixPath(root, name))) for name in (old, new))
    plain = here is not None and there is not None and (here.name, there.name) == (old, new)
    return (here, there) if plain and here and there and here.mount is there.mount else None


def _move(rename: Rename) -> OSError | None:
    """Move the files of a document, all or none; in a thread that has no database."""
    done: list[tuple[Place, Place]] = []
    try:
        for old, new in rename.moves.values():
            old.mount.storage.move(old.name, new.name)
            done.append((old, new))
    except OSError as error:
        for old, new in reversed(done):
            _effect(old, new, rollback.put_back).undo()
        return error
    return None


def _effect(old: Place, new: Place, back: Callable[[Place, Place], object]) -> Effect:
    return Effect(f"moving {old.path}", commit=None, rollback=lambda: back(old, new))


def _record(renames: Sequence[Rename]) -> None:
    """Tell the database, and on its rollback the storage."""
    for rename in renames:
        for old, new in rename.moves.values():
            transactions.follow(_effect(old, new, rollback.move_back))
    for rename in renames:
        moves = rename.moves
        before = {field: old.name for field, (old, _) in moves.items()}
        after = {field: new.name for field, (_, new) in moves.items()}
        row = type(rename.document).global_objects.filter(pk=rename.document.pk, **before)
        if not row.update(**after, modified=timezone.now()):
            for old, new in moves.values():
                _effect(old, new, rollback.move_back).undo()
            continue
        for old, new in moves.values():
            transactions.tell(old.mount, new.name, old.name)
            files.remove_emptied(files.folder_of(old))
