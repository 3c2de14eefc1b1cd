"""Documents, with a trash that only hides them."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone


class _Present(models.Manager[Any]):
    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(deleted_at=None)


class _Deleted(models.Manager[Any]):
    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().exclude(deleted_at=None)


class Document(models.Model):
    title: Any = models.CharField(max_length=128, blank=True)
    mime_type: Any = models.CharField(max_length=256, default="application/pdf")
    checksum: Any = models.CharField(max_length=64, blank=True)
    archive_checksum: Any = models.CharField(max_length=64, null=True)
    filename: Any = models.FilePathField(max_length=1024, unique=True, null=True, default=None)
    archive_filename: Any = models.FilePathField(
        max_length=1024, unique=True, null=True, default=None
    )
    modified: Any = models.DateTimeField(auto_now=True)
    deleted_at: Any = models.DateTimeField(null=True, default=None)

    objects: ClassVar[models.Manager[Any]] = _Present()
    deleted_objects: ClassVar[models.Manager[Any]] = _Deleted()
    global_objects: ClassVar[models.Manager[Any]] = models.Manager()

    class Meta:
        ordering: ClassVar = ["-modified"]

    def __str__(self) -> str:
        return str(self.title)

    def get_effective_content(self) -> str:
        """Return what a search finds beside the title."""
        return f"about {self.checksum}"

    @property
    def file_type(self) -> str:
        return ".txt" if self.mime_type == "text/plain" else ".pdf"

    @property
    def source_path(self) -> Path:
        name = self.filename or f"{self.pk:07}{self.file_type}"
        path: Path = (settings.ORIGINALS_DIR / str(name)).resolve()
        return path

    @property
    def source_file(self) -> IO[bytes]:
        return Path(self.source_path).open("rb")

    @property
    def has_archive_version(self) -> bool:
        return self.archive_filename is not None

    @property
    def archive_path(self) -> Path | None:
        if not self.has_archive_version:
            return None
        path: Path = (settings.ARCHIVE_DIR / str(self.archive_filename)).resolve()
        return path

    @property
    def thumbnail_path(self) -> Path:
        path: Path = (settings.THUMBNAIL_DIR / f"{self.pk:07}.webp").resolve()
        return path

    def delete(self, *_: Any, **__: Any) -> tuple[int, dict[str, int]]:
        self.deleted_at = timezone.now()
        type(self).global_objects.filter(pk=self.pk).update(deleted_at=self.deleted_at)
        return 1, {}

    def hard_delete(self) -> None:
        super().delete()


class PaperlessTask(models.Model):
    """What paperless-ngx shows of its tasks."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        STARTED = "started", "Started"
        SUCCESS = "success", "Success"
        FAILURE = "failure", "Failure"
        REVOKED = "revoked", "Revoked"

    task_id: Any = models.CharField(max_length=72, unique=True)
    task_type: Any = models.CharField(max_length=50, default="")
    status: Any = models.CharField(max_length=30, default=Status.PENDING)
    date_created: Any = models.DateTimeField(default=timezone.now)
    date_started: Any = models.DateTimeField(null=True)
    date_done: Any = models.DateTimeField(null=True)
    result_data: Any = models.JSONField(null=True)

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    def __str__(self) -> str:
        return f"Task {self.task_id}"
