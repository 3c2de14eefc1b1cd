"""The marks by which each process of a fleet finds that it has the Redis of the scheduler."""

from __future__ import annotations

import json
import secrets
import socket
from typing import TYPE_CHECKING

from celery import current_app
from django.db.models.functions import Now

from paperfleet.paperless.delivery import broker
from paperfleet.paperless.delivery.marks import KEPT, Marked, other_than
from paperfleet.paperless.models import Installation
from paperfleet.paperless.ownership import Fault

if TYPE_CHECKING:
    from celery import Celery


def tell(app: Celery) -> None:
    """Write a new mark; Redis has it before the database says so. Raises ``DatabaseError``."""
    before = marked()
    mark = secrets.token_hex(8)
    if broker.write_mark(app, mark):
        marks = [*(before.marks if before else ()), mark][-KEPT:]
        text = json.dumps({"marks": marks, "host": socket.gethostname()})
        Installation.objects.update(broker_marks=text, broker_marked=Now())


def marked() -> Marked | None:
    """Return what was written last; None before the first. Raises ``DatabaseError``."""
    found = Installation.objects.filter(broker_marked__isnull=False).annotate(now=Now())
    row = found.values_list("broker_marks", "broker_marked", "now").first()
    if row is None:
        return None
    told = json.loads(row[0])
    return Marked(tuple(told["marks"]), told["host"], (row[2] - row[1]).total_seconds())


def fault() -> Fault | None:
    """Return that this process has another Redis, None where it is not known to have.

    Takes seconds only where its Redis has none of the last marks. Raises ``DatabaseError``.
    """
    host = other_than(marked, lambda: broker.read_mark(current_app))
    if host is None:
        return None
    return Fault(
        f"the Redis of this process is not that of the scheduler, which works on the host {host}:"
        " messages and locks would not reach the others",
        "Let PAPERLESS_REDIS lead to the same server and the same database of it on all hosts",
    )
