"""Files follow their documents: renamed after a save, removed after a delete."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from celery import signals
from django.conf import settings
from django.db import DatabaseError, close_old_connections, models
from django.utils import timezone
from filelock import FileLock

from documents.file_handling import (
    create_source_path_directory,
    delete_empty_directories,
    generate_unique_filename,
)
from documents.models import Document, PaperlessTask

_log = logging.getLogger("paperless.handlers")


class CannotMoveFilesException(Exception):  # noqa: N818  # the name that paperless-ngx has
    pass


def connect() -> None:
    models.signals.post_save.connect(update_filename_and_move_files, sender=Document)
    models.signals.post_delete.connect(cleanup_document_deletion, sender=Document)
    signals.before_task_publish.connect(task_published)
    signals.task_prerun.connect(task_started)
    signals.task_postrun.connect(task_ended)
    signals.task_failure.connect(task_failed)


_TRACKED = (
    "documents.tasks.consume_file",
    "documents.tasks.bulk_update_documents",
    "documents.bulk_edit.delete",
)


def task_published(headers: Any = None, **_: Any) -> None:
    if headers["task"] in _TRACKED:
        kind = headers["task"].rpartition(".")[2]
        PaperlessTask.objects.create(task_id=headers["id"], task_type=kind)


def task_started(task_id: Any = None, **_: Any) -> None:
    close_old_connections()
    PaperlessTask.objects.filter(task_id=task_id).update(
        status=PaperlessTask.Status.STARTED, date_started=timezone.now()
    )


def task_ended(task_id: Any = None, retval: Any = None, state: Any = None, **_: Any) -> None:
    close_old_connections()
    if state == "SUCCESS":
        PaperlessTask.objects.filter(task_id=task_id).update(
            status=PaperlessTask.Status.SUCCESS, date_done=timezone.now(), result_data=retval
        )


def task_failed(task_id: Any = None, exception: Any = None, **_: Any) -> None:
    close_old_connections()
    PaperlessTask.objects.filter(task_id=task_id).update(
        status=PaperlessTask.Status.FAILURE,
        date_done=timezone.now(),
        result_data={"error_message": str(exception)},
    )


def cleanup_document_deletion(sender: Any, instance: Any, **_: Any) -> None:  # noqa: ARG001
    with FileLock(settings.MEDIA_LOCK):
        if settings.EMPTY_TRASH_DIR:
            name, counter = Path(instance.source_path), 0
            target = settings.EMPTY_TRASH_DIR / name.name
            while target.exists():
                counter += 1
                target = settings.EMPTY_TRASH_DIR / f"{name.stem}_{counter:02}{name.suffix}"
            try:
                shutil.move(instance.source_path, target)
            except OSError as error:
                _log.error("%s was not moved to the trash: %s", instance.source_path, error)
                return
        for path in (instance.archive_path, instance.thumbnail_path, instance.source_path):
            if path and path.is_file():
                try:
                    path.unlink()
                except OSError as error:
                    _log.warning("%s could not be deleted: %s", path, error)
        delete_empty_directories(Path(instance.source_path).parent, root=settings.ORIGINALS_DIR)
        if instance.has_archive_version:
            delete_empty_directories(Path(instance.archive_path).parent, root=settings.ARCHIVE_DIR)


def update_filename_and_move_files(sender: Any, instance: Any, **_: Any) -> None:  # noqa: ARG001
    if not instance.filename:
        return
    with FileLock(settings.MEDIA_LOCK):
        instance.refresh_from_db()
        before = (instance.filename, instance.archive_filename)
        old = (instance.source_path, instance.archive_path)
        moved: list[tuple[Path, Path]] = []
        try:
            instance.filename = str(generate_unique_filename(instance))
            if instance.has_archive_version:
                name = generate_unique_filename(instance, archive_filename=True)
                instance.archive_filename = str(name)
            new = (instance.source_path, instance.archive_path)
            for source, target in zip(old, new, strict=True):
                if source == target:
                    continue
                _validate(source, target)
                create_source_path_directory(target)
                shutil.move(source, target)
                moved.append((source, target))
            Document.global_objects.filter(pk=instance.pk).update(
                filename=instance.filename,
                archive_filename=instance.archive_filename,
                modified=timezone.now(),
            )
        except (OSError, DatabaseError, CannotMoveFilesException) as error:
            _log.warning("%s was not renamed: %s", instance, error)
            for source, target in moved:
                shutil.move(target, source)
            instance.filename, instance.archive_filename = before
        roots = (settings.ORIGINALS_DIR, settings.ARCHIVE_DIR)
        for path, root in zip(old, roots, strict=True):
            if path and not path.is_file():
                delete_empty_directories(Path(path).parent, root=root)


def _validate(source: Path, target: Path) -> None:
    roots = (settings.ORIGINALS_DIR, settings.ARCHIVE_DIR)
    if not any(target.is_relative_to(root) for root in roots):
        raise CannotMoveFilesException(f"{target} lies outside")
    if not source.is_file():
        raise CannotMoveFilesException(f"{source} is not there")
    if target.is_file():
        raise CannotMoveFilesException(f"{target} is there already")
