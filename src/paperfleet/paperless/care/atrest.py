"""No document changes for a moment: what a repair needs, so that it mends no work in progress.

paperless-ngx moves and writes files under the media lock, and commits what it did to the rows a
little later. So a repair takes the lock, and then waits until no transaction is open that has
written documents. What works the other way round (rows first, the lock later) would wait for us as
we wait for it: each wait is short, and everything is let go before the next try.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, connection, transaction
from django.db.models import F

from paperfleet.errors import LeaseTimeoutError, PaperfleetError
from paperfleet.paperless.activation import media_lock
from paperfleet.paperless.documents import rows
from paperfleet.paperless.documents.stillness import lock_rows
from paperfleet.paperless.models import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES = 10
LOCK_SECONDS = 60.0
TABLE_SECONDS = 5


class NotAtRestError(PaperfleetError):
    """paperless-ngx was at work each time that a repair could have begun."""


@contextmanager
def documents_at_rest() -> Iterator[None]:
    """Within this block nobody else writes documents or their rows; raise ``NotAtRestError``.

    Everything in it is one transaction.
    """
    lock = media_lock()
    for attempt in range(TRIES):
        if attempt:
            time.sleep(random.uniform(0.5, 2.0) * attempt)  # noqa: S311  # no secret
        if not _taken(lock):
            continue
        try:
            with ExitStack() as blocks:
                if _still(blocks):
                    yield
                    return
        finally:
            lock.release()
    raise NotAtRestError(
        "paperless-ngx is at work and does not come to rest", hint="Stop it, and run this again"
    )


def _taken(lock: Any) -> bool:  # noqa: ANN401  # as above
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except (LeaseTimeoutError, TimeoutError):
        return False
    return True


def _still(blocks: ExitStack) -> bool:
    """Begin a transaction while no other one has rows of documents in hand; False if one has."""
    try:
        # SQLite may wait here already: paperless-ngx begins with the right to write.
        blocks.enter_context(transaction.atomic())
        if connection.vendor == "postgresql":
            lock_rows(TABLE_SECONDS)
        elif connection.vendor == "sqlite":
            # Whoever writes here is the only one.
            Installation.objects.update(migrating_from=F("migrating_from"))
        else:
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = %s", [TABLE_SECONDS])
            for _ in rows.all_documents().select_for_update().values_list("pk").iterator():
                pass
    except OperationalError:
        if connection.in_atomic_block:
            transaction.set_rollback(True)
        return False
    return True
