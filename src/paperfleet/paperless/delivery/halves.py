"""Rows of first halves of double-sided scans: what a second half is put together with.

A task that has a first half ends in the state ``half``: its row and its staged file stay. The task
of the second half takes that row, and both end in one transaction with the row of the whole scan.
Each function raises ``DatabaseError``.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from paperfleet.paperless.delivery import states
from paperfleet.paperless.delivery.rows import StagedFile
from paperfleet.paperless.models import Work

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.paperless.delivery.rows import Claim

MINUTES = 30
"""``TIMEOUT_MINUTES`` of ``documents/double_sided.py``."""
_KEPT = timedelta(minutes=MINUTES)
_GRACE = timedelta(minutes=10)
"""How much longer a second half that came in time may take."""
_LOCK = 7_312_604_551_190_233_841
"""A number of ours, for PostgreSQL's advisory locks."""
_PATIENCE = "60s"
_SILENCE = "300s"
"""After so long the database ends the lock of a host that was cut off."""
LATE = (
    f"its second half did not come within {MINUTES} minutes. --retry takes it for a first half"
    " again, --save gives you the file"
)


@dataclass(frozen=True)
class Half:
    """A first half that is taken; ``came_later`` than the second, so that it is the second."""

    task_id: str
    files: Sequence[StagedFile]
    came_later: bool


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Within this block no other host works on a half; raise ``OperationalError`` after a minute.

    A session of its own, as Django closes that of the task between its steps.
    """
    session = connection.copy()
    try:
        session.set_autocommit(False)
        with session.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{_SILENCE}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        yield
    finally:
        with suppress(DatabaseError, InterfaceError):  # it is gone, and the lock with it
            session.rollback()
        session.close()


def take(claimed: Claim) -> Half | None:
    """Take the first half that waits, None where none does.

    One that a task has taken before stays that task's until it has ended.
    """
    alive = Work.objects.filter(
        task_id=OuterRef("parent"), state__in=(states.RUNNING, states.WAITING)
    )
    with transaction.atomic():
        row = (
            Work.objects.select_for_update()
            .filter(state=states.HALF, offered__gt=Now() - _KEPT)
            .filter(Q(parent=claimed.task_id) | ~Exists(alive))
            .order_by("offered")
            .first()
        )
        if row is None:
            return None
        mine = Work.objects.get(task_id=claimed.task_id)
        Work.objects.filter(task_id=row.task_id).update(
            parent=claimed.task_id, parent_attempt=claimed.attempt
        )
    files = [StagedFile(**file) for file in row.files]  # type: ignore[arg-type]  # as it was stored
    return Half(row.task_id, files, came_later=row.created > mine.created)


def end(half: Half, claimed: Claim, failure: str) -> None:
    """Let a first half that was taken go; after a ``failure`` it is kept for its user."""
    taken = Work.objects.filter(task_id=half.task_id, state=states.HALF, parent=claimed.task_id)
    if failure:
        reason = f"it and its second half could not be put together: {failure}"
        taken.update(state=states.FAILED, reason=reason, parent="", offered=Now())
        return
    taken.filter(source="").delete()
    taken.update(state=states.DONE, files=[], parent="", offered=Now())


def give_up_late() -> int:
    """Let first halves whose second did not come wait for their user's word; return how many."""
    late = Work.objects.filter(state=states.HALF, offered__lt=Now() - _KEPT - _GRACE)
    return late.update(state=states.FAILED, reason=LATE, parent="")
