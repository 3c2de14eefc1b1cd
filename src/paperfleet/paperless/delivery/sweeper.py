"""What is done about rows whose worker has died, or whose message is lost.

``Sweeper.run`` is for a thread under the scheduler's lease; it is no task of Celery, which would
wait behind what it is to mend.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from celery import current_app
from django.db import DatabaseError, close_old_connections, connection, transaction

from paperfleet.errors import LeaseError, StorageError
from paperfleet.paperless import points
from paperfleet.paperless.delivery import (
    broker,
    halves,
    onebroker,
    papertasks,
    publishing,
    removal,
    rows,
    staging,
)
from paperfleet.paperless.delivery.states import (
    HELD,
    WAITING,
    Action,
    DeliveryLimits,
    Discard,
    Expire,
    Fence,
    Offer,
    decide,
    is_late,
    limits_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from paperfleet.settings.app import AppSettings

EVERY = 10.0
"""Seconds from one look at the rows to the next: with the silence, work is offered in 60 s."""
QUEUES_EVERY = 30.0
"""Seconds from one look at the queues to the next: it reads all that waits there."""
STAGING_EVERY = 600.0
STAGED_FOR = 3600.0
"""Seconds after which an object of the staging area without a row is nobody's: its row is written
right after it, and removed right before."""
_BATCH = 500
_log = logging.getLogger("paperfleet.paperless")


def sweep_tasks(settings: AppSettings, _lease: object) -> None:
    """Sweep for as long as the process lives; losing the lease ends it.

    The app may still be starting: the first sweep comes later.
    """
    Sweeper(current_app, limits_of(settings)).run(threading.Event())


class Sweeper:
    """Looks at rows, queues and the staging area; two at once do no harm."""

    def __init__(
        self, app: Celery, limits: DeliveryLimits, *, now: Callable[[], float] = time.time
    ) -> None:
        self._app, self._limits, self._now = app, limits, now
        self._suspects: set[str] = set()
        self._queues_due = 0.0

    def run(self, stop: threading.Event) -> None:
        """Sweep until ``stop`` is set; what is away now is looked at the next time."""
        staging_due = 0.0
        while not stop.wait(EVERY):
            try:
                close_old_connections()
                onebroker.tell(self._app)
                self.sweep()
                if time.monotonic() >= staging_due:
                    staging_due = time.monotonic() + STAGING_EVERY
                    self.sweep_staging()
                removal.settle()
            except (DatabaseError, StorageError, LeaseError) as error:
                _log.warning("the sweep of tasks is tried again: %s", error)
                connection.close()
            except Exception:  # noqa: BLE001  # a sweeper that has ended would be missed by nobody
                _log.exception("the sweep of tasks is tried again")
                connection.close()

    def sweep(self) -> list[Action]:
        """Do what is to be done about rows now; return it. Raises ``DatabaseError``."""
        rows.forget_done(self._limits.done)
        halves.give_up_late()
        seen = rows.survey()
        late = [row for row in seen if is_late(row, self._limits)]
        queued = None
        if any(row.deaths for row in late) or (late and time.monotonic() >= self._queues_due):
            self._queues_due = time.monotonic() + QUEUES_EVERY
            queued = broker.tasks_in(self._app)
        return [action for action in decide(seen, queued, self._limits) if self._do(action)]

    def _do(self, action: Action) -> bool:
        match action:
            case Fence(task_id, attempt, reason):
                return self._fence(task_id, attempt, reason)
            case Offer(task_id):
                return self._offer(task_id, "it was in no queue")
            case Expire(task_id):
                return self._remove(task_id, WAITING, papertasks.revoke)
            case Discard(task_id):
                return self._remove(task_id, HELD, papertasks.forget)

    def _remove(self, task_id: str, state: str, tell: Callable[[str], None]) -> bool:
        files = rows.remove(task_id, state)
        if files is None:
            return False
        tell(task_id)
        staging.drop(files)
        return True

    def _fence(self, task_id: str, attempt: int, reason: str) -> bool:
        with transaction.atomic():
            if not rows.take_from_owner(task_id, attempt, reason, self._limits.silence):
                return False
            # The parent of a killed child may have shown it as failed (not acknowledged late).
            papertasks.wait_again(task_id, after_failure=True)
        points.passed("sweep.fenced")
        # Twice: Redis gives one to a worker that was cut off while it asked for the next message.
        publishing.offer(self._app, task_id)
        self._offer(task_id, f"attempt {attempt} fell silent")
        return True

    def _offer(self, task_id: str, why: str) -> bool:
        _log.warning("task %s is offered again: %s", task_id, why)
        rows.offered(task_id)
        return publishing.offer(self._app, task_id)

    def sweep_staging(self) -> list[str]:
        """Remove objects of the staging area that have no row and are old; return their keys.

        They must have had none the time before, too: the clocks of store and host may differ.
        What has no known age stays. Raises ``StorageError`` or ``DatabaseError``.
        """
        old = [
            (key, task)
            for key, task, made in staging.staged_keys()
            if made is not None and self._now() - made / 1e9 > STAGED_FOR
        ]
        rowless: set[str] = set()
        for start in range(0, len(old), _BATCH):
            batch = old[start : start + _BATCH]
            known = rows.staged_tasks({task for _, task in batch})
            rowless |= {key for key, task in batch if task not in known}
        removed = sorted(rowless & self._suspects)
        self._suspects = rowless - self._suspects
        for key in removed:
            staging.drop_key(key)
        return removed
