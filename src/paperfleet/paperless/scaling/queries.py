"""The number as one query, for KEDA's postgresql trigger: where nothing can ask the web role."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

from paperfleet.paperless.delivery.tasks import SCHEDULED, SCHEDULED_SHOWN, TASK_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "paperless-v3": {
        "version": "3",
        "waiting": "pending",
        "running": "started",
        "name": "task_type",
        "unseen": "tasks that the list does not have (index_document, webhooks, actions on mails)",
    },
    "paperless-v2": {
        "version": "2",
        "waiting": "PENDING",
        "running": "STARTED",
        "name": "COALESCE(task_name, '')",
        "unseen": "edits of many documents, and all else but documents that are consumed",
    },
}
"""In what the lists of tasks of paperless-ngx 3 and 2 differ (``documents/models.py``)."""
KINDS: Final = ("fleet", *_LISTS)
"""With ``PAPERFLEET_FLEET``, or over the list of tasks of paperless-ngx 3 or 2 itself."""
BEYOND_LIMIT: Final = 60
"""Seconds beyond the limit of a task after which one that is shown as running has died."""
LONGEST_SECONDS: Final = TASK_LIMIT + BEYOND_LIMIT
"""For how long a task may run, where nobody has set its limit, and a little more."""


def query(kind: str, longest: int = LONGEST_SECONDS) -> str:
    """Return the query of a kind: one row with one whole number, never NULL.

    What runs for longer than ``longest`` seconds has died.
    """
    template, names = ("paperless", SCHEDULED_SHOWN) if kind in _LISTS else (kind, SCHEDULED)
    text = (files("paperfleet.paperless") / "sql" / f"scaling-{template}.sql").read_text("utf-8")
    words = {
        **_LISTS.get(kind, {}),
        "scheduled": ",\n        ".join(f"'{name}'" for name in sorted(names)),
        "longest": str(longest),
    }
    for word, meaning in words.items():
        text = text.replace(f":{word}", meaning)
    return text
