"""The app's own tables in the database of paperless-ngx."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models.functions import Now

if TYPE_CHECKING:
    from datetime import datetime


class Installation(models.Model):
    """What this database is called in the storage that belongs to it; one row."""

    identity: models.UUIDField[uuid.UUID, uuid.UUID] = models.UUIDField(
        default=uuid.uuid4, unique=True
    )
    migrating_from: models.TextField[str, str] = models.TextField(
        default="", help_text="The storage that an unfinished migration comes from"
    )
    storage: models.TextField[str, str] = models.TextField(
        default="",
        db_default="",
        help_text="What the storage with the documents is called in its mark",
    )
    storage_label: models.TextField[str, str] = models.TextField(
        default="", db_default="", help_text="What that storage is called for people"
    )
    newest_version: models.TextField[str, str] = models.TextField(
        default="",
        db_default="",
        help_text="The newest paperless-ngx that has worked on this database",
    )
    agreed: models.TextField[str, str] = models.TextField(
        default="",
        db_default="",
        help_text="What all hosts of the fleet have alike, as JSON",
    )
    broker_marks: models.TextField[str, str] = models.TextField(
        default="",
        db_default="",
        help_text="What the scheduler has written into its Redis of late, as JSON",
    )
    broker_marked: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, help_text="When it did so the last time"
    )


class StrippedName(models.Model):
    """A document whose name carried a prefix, to give it back when the migration is reversed."""

    document_id: models.BigIntegerField[int, int] = models.BigIntegerField()
    field: models.CharField[str, str] = models.CharField(max_length=40)
    before: models.CharField[str, str] = models.CharField(max_length=1024)
    after: models.CharField[str, str] = models.CharField(max_length=1024)


class DocumentChange(models.Model):
    """Names whose content may have changed, written in the transaction that changed them.

    ``area`` is ``originals`` or ``archive``. ``previous`` is the name before a move, empty
    otherwise; ``name`` is empty for a deleted document, whose name is in ``previous``. Which
    document it is follows from the name: a file is stored before its row knows of it.
    """

    area: models.CharField[str, str] = models.CharField(max_length=20)
    name: models.CharField[str, str] = models.CharField(max_length=1024, blank=True, default="")
    previous: models.CharField[str, str] = models.CharField(max_length=1024, blank=True, default="")
    happened: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Changes are read in the order in which they were written."""

        ordering: ClassVar = ["pk"]

    @property
    def kind(self) -> str:
        """``saved``, ``moved`` or ``deleted``."""
        if not self.name:
            return "deleted"
        return "moved" if self.previous else "saved"


class Incident(models.Model):
    """What went wrong with one file while somebody used it, until a check finds it mended.

    ``kind`` is ``refused`` (a reader was cut off, as the bytes are not those of the database) or
    ``undeleted`` (its document is gone, and the storage did not delete the file). ``details`` says
    more to people. ``count`` is how often since ``first_seen``.
    """

    kind: models.CharField[str, str] = models.CharField(max_length=20)
    area: models.CharField[str, str] = models.CharField(max_length=20)
    name: models.CharField[str, str] = models.CharField(max_length=1024)
    document: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)
    details: models.TextField[str, str] = models.TextField(default="")
    count: models.IntegerField[int, int] = models.IntegerField(default=0)
    first_seen: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now_add=True)
    last_seen: models.DateTimeField[datetime, datetime] = models.DateTimeField(auto_now=True)

    class Meta:
        """The oldest first; writers keep to one row for each file and kind."""

        ordering: ClassVar = ["pk"]


class Work(models.Model):
    """A task that waits or runs, until it has ended (``delivery``).

    The message is Celery's own, as it was serialised and signed. ``state`` is one of
    ``delivery.states``; ``attempt`` grows with each start, and fences those before it. ``deaths``
    is how many attempts ended without an answer. ``heartbeat`` and ``offered`` are times of the
    database. ``files`` are those that the task finds under local paths. ``document`` is what the
    task has made, ``reason`` why it must end as a failure instead of running.
    ``parent`` and ``parent_attempt`` name the attempt that has published a held one. ``source``
    tells a file in a consume folder again that was published.
    """

    task_id: models.CharField[str, str] = models.CharField(max_length=255, primary_key=True)
    name: models.CharField[str, str] = models.CharField(max_length=255)
    state: models.CharField[str, str] = models.CharField(max_length=10)
    attempt: models.IntegerField[int, int] = models.IntegerField(default=0)
    deaths: models.IntegerField[int, int] = models.IntegerField(default=0)
    owner: models.CharField[str, str] = models.CharField(max_length=512, default="", blank=True)
    heartbeat: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True
    )
    offered: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True
    )
    created: models.DateTimeField[datetime, datetime] = models.DateTimeField(db_default=Now())
    expires: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True
    )
    body: models.BinaryField[bytes | memoryview, bytes] = models.BinaryField()
    envelope: models.TextField[str, str] = models.TextField()
    files: models.JSONField[list[dict[str, object]], list[dict[str, object]]] = models.JSONField(
        default=list
    )
    document: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True)
    reason: models.TextField[str, str] = models.TextField(default="", blank=True)
    parent: models.CharField[str, str] = models.CharField(max_length=255, default="", blank=True)
    parent_attempt: models.IntegerField[int, int] = models.IntegerField(default=0)
    source: models.CharField[str, str] = models.CharField(max_length=64, default="", blank=True)

    class Meta:
        """What the sweeper and the workers ask by."""

        ordering: ClassVar = ["created"]
        indexes: ClassVar = [
            models.Index(fields=["state"], name="paperfleet_work_state"),
            models.Index(fields=["parent", "parent_attempt"], name="paperfleet_work_parent"),
            models.Index(fields=["source"], name="paperfleet_work_source"),
        ]


class Written(models.Model):
    """A file that a task writes under a new name, until a commit names it (``delivery``).

    ``attempt`` is that of the task. ``name`` is relative to the ``area``; ``size`` (bytes) and
    ``sha256`` are those of the content. ``ended`` is when it was seen that the attempt is over,
    ``removing`` when somebody began to remove the file; both are times of the database.
    """

    number: models.UUIDField[uuid.UUID, uuid.UUID] = models.UUIDField(
        default=uuid.uuid4, primary_key=True
    )
    task_id: models.CharField[str, str] = models.CharField(max_length=255)
    attempt: models.IntegerField[int, int] = models.IntegerField()
    area: models.CharField[str, str] = models.CharField(max_length=20)
    name: models.CharField[str, str] = models.CharField(max_length=1024)
    size: models.BigIntegerField[int, int] = models.BigIntegerField()
    sha256: models.CharField[str, str] = models.CharField(max_length=64)
    noted: models.DateTimeField[datetime, datetime] = models.DateTimeField(db_default=Now())
    ended: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True)
    removing: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True
    )

    class Meta:
        """The oldest first."""

        ordering: ClassVar = ["noted"]


class SearchChange(models.Model):
    """A document whose entry in the search indexes may have to change (``search``).

    The database writes it in the transaction that changes the document (``search.triggers``).
    ``document`` is its number, or one of those that ``search.stream`` names. ``xid`` is that
    transaction's number, ``happened`` a time of the database.
    """

    document: models.BigIntegerField[int, int] = models.BigIntegerField()
    xid: models.BigIntegerField[int, int] = models.BigIntegerField(db_index=True)
    happened: models.DateTimeField[datetime, datetime] = models.DateTimeField(db_default=Now())


class SearchReplica(models.Model):
    """A search index of one host, as the host tells of it every few seconds.

    ``current`` is until when it has everything that was committed, None before it is built;
    ``seen`` when it was told; both are times of the database. ``state`` says more to people.
    """

    replica: models.CharField[str, str] = models.CharField(max_length=64, primary_key=True)
    host: models.CharField[str, str] = models.CharField(max_length=255)
    current: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True
    )
    seen: models.DateTimeField[datetime, datetime] = models.DateTimeField(db_default=Now())
    state: models.TextField[str, str] = models.TextField(default="", blank=True)

    class Meta:
        """For people."""

        ordering: ClassVar = ["host", "replica"]
