"""The number as one query, for KEDA's postgresql trigger: where nothing can ask the web role."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from paperfleet.paperless.delivery.tasks import SCHEDULED, SCHEDULED_SHOWN, TASK_LIMIT

KINDS: Final = ("fleet", "paperless-v3", "paperless-v2")
"""With ``PAPERFLEET_FLEET``, or over the list of tasks of paperless-ngx 3 or 2 itself."""
BEYOND_LIMIT: Final = 60
"""Seconds beyond the limit of a task after which one that is shown as running has died."""
LONGEST_SECONDS: Final = TASK_LIMIT + BEYOND_LIMIT
"""For how long a task may run, where nobody has set its limit, and a little more."""


def query(kind: str, longest: int = LONGEST_SECONDS) -> str:
    """Return the query of a kind: one row with one whole number, never NULL.

    What runs for longer than ``longest`` seconds has died.
    """
    template = (files("paperfleet.paperless") / "sql" / f"scaling-{kind}.sql").read_text("utf-8")
    names = SCHEDULED if kind == "fleet" else SCHEDULED_SHOWN
    listed = ",\n        ".join(f"'{name}'" for name in sorted(names))
    return template.replace(":scheduled", listed).replace(":longest", str(longest))
