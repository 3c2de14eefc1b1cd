"""The number as one query, for KEDA's postgresql trigger: where nothing can ask the web role."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from paperfleet.paperless.delivery.tasks import SCHEDULED, SCHEDULED_SHOWN

KINDS: Final = ("fleet", "paperless-v3", "paperless-v2")
"""With ``PAPERFLEET_FLEET``, or over the list of tasks of paperless-ngx 3 or 2 itself."""
LONGEST_SECONDS: Final = 1860
"""For how long a task may run, where nobody has set ``PAPERLESS_WORKER_TIMEOUT``, and a minute."""


def query(kind: str, longest: int = LONGEST_SECONDS) -> str:
    """Return the query of a kind: one row with one whole number, never NULL.

    What runs for longer than ``longest`` seconds has died.
    """
    template = (files("paperfleet.paperless") / "sql" / f"scaling-{kind}.sql").read_text("utf-8")
    names = SCHEDULED if kind == "fleet" else SCHEDULED_SHOWN
    listed = ",\n        ".join(f"'{name}'" for name in sorted(names))
    return template.replace(":scheduled", listed).replace(":longest", str(longest))
