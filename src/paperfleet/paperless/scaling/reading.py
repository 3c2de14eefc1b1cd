"""Reading what the number is made of: the broker first, then the database.

A message leaves the broker when its task begins to run, so that what was not there is in the rows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError, InterfaceError
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from paperfleet.errors import NotReadyError
from paperfleet.paperless.activation import documents
from paperfleet.paperless.delivery import broker, papertasks, rows
from paperfleet.paperless.delivery.setup import task_limit
from paperfleet.paperless.scaling.number import ScalingFacts, work
from paperfleet.paperless.scaling.queries import BEYOND_LIMIT

if TYPE_CHECKING:
    from celery import Celery

JUST_PUBLISHED: Final = 10
"""Seconds for which a task may be in the list and not in the broker yet: the row comes first."""
LOOK_AGAIN_SECONDS: Final = 0.3
"""A message that a worker takes is for a moment nowhere (kombu: BRPOP, then HSET)."""


def longest_seconds() -> int:
    """Return for how many seconds a task may run, and a little more."""
    return task_limit() + BEYOND_LIMIT


def read(app: Celery) -> ScalingFacts:
    """Return what is known of tasks now; nothing at all is looked at twice.

    Raises ``NotReadyError`` when Redis or the database does not answer.
    """
    facts = _read(app)
    if not work(facts):
        time.sleep(LOOK_AGAIN_SECONDS)
        facts = _read(app)
    return facts


def _read(app: Celery) -> ScalingFacts:
    try:
        seen = broker.look(app)
    except (RedisError, KombuError, OSError) as error:
        raise NotReadyError(f"Redis does not answer ({type(error).__name__})") from error
    try:
        found = documents.configuration
        if found is not None and found.settings.fleet:
            return ScalingFacts(seen, rows.groups(), is_fleet=True)
        listed = papertasks.unfinished(longest_seconds(), JUST_PUBLISHED)
    except (DatabaseError, InterfaceError) as error:
        raise NotReadyError(f"the database does not answer ({type(error).__name__})") from error
    return ScalingFacts(seen, listed=listed)
