"""paperless-ngx's own list of tasks: what its signals miss when a worker dies.

v3 has states of its own, v2 those of Celery (``documents/models.py``: ``PaperlessTask``).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.utils import timezone

from paperfleet.paperless.delivery.tasks import SCHEDULED_SHOWN

_NAMES = ("pending", "started", "failure", "revoked")


def _model() -> tuple[Any, dict[str, str]] | None:
    try:
        model = apps.get_model("documents", "PaperlessTask")
    except LookupError:
        return None
    own = getattr(model, "Status", None)
    return model, {
        name: str(getattr(own, name.upper()).value) if own else name.upper() for name in _NAMES
    }


def reads_keywords() -> bool:
    """Say whether the list reads what a task was given by name; v2 reads it by position."""
    return heeds_transactions()


def heeds_transactions() -> bool:
    """Say whether the list may be written to in an open transaction.

    v2 closes the connection, and the transaction with it, before it notes a task that is published
    (``documents/signals/handlers.py``: ``before_task_publish_handler``).
    """
    found = _model()
    return found is None or hasattr(found[0], "Status")


def wait_again(task_id: str, *, after_failure: bool = False) -> None:
    """Let a task that is shown as started, or also as failed, wait again."""
    if found := _model():
        model, states = found
        shown = [states["started"], *([states["failure"]] if after_failure else [])]
        model.objects.filter(task_id=task_id, status__in=shown).update(
            status=states["pending"], date_started=None, date_done=None
        )


def revoke(task_id: str) -> None:
    """Show a task whose time was over before it began as revoked."""
    if found := _model():
        model, states = found
        model.objects.filter(task_id=task_id, status=states["pending"]).update(
            status=states["revoked"], date_done=timezone.now()
        )


def forget(task_id: str) -> None:
    """Take back a task that never was, as the attempt that has published it was given up."""
    if found := _model():
        model, states = found
        model.objects.filter(task_id=task_id, status=states["pending"]).delete()


def unfinished(longest: float, moment: float) -> frozenset[str]:
    """Return the numbers of tasks that are shown as running, but for those of the scheduler.

    One that was started longer than ``longest`` seconds ago has died, whatever the list says. Those
    that wait are in the broker, but for one whose row was written within the last ``moment``.
    """
    found = _model()
    if found is None:
        return frozenset()
    model, states = found
    now = timezone.now()
    long_ago, just = now - timedelta(seconds=longest), now - timedelta(seconds=moment)
    kind = "task_type" if hasattr(model, "Status") else "task_name"
    runs = Q(date_started__gt=long_ago) | Q(date_started=None, date_created__gt=long_ago)
    shown = model.objects.exclude(**{f"{kind}__in": SCHEDULED_SHOWN}).filter(
        Q(runs, status=states["started"]) | Q(status=states["pending"], date_created__gt=just)
    )
    return frozenset(shown.values_list("task_id", flat=True))
