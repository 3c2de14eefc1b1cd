"""Files that tasks write under new names: noted before, forgotten by the commit, else removed.

A note is a row of ``Written``, written in a session of its own, so that it outlives transaction and
process. The transaction that names the file deletes the row, and commits both or neither. So a note
of an attempt that is over says that nobody has committed the file, and nobody will.

What is left the sweeper removes (``removal``). Every function raises ``DatabaseError``.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from django.db import DatabaseError, OperationalError, connection
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from paperfleet.paperless.delivery import current, states
from paperfleet.paperless.delivery.current import Attempt, AttemptOverError
from paperfleet.paperless.documents import patience, transactions
from paperfleet.paperless.models import Work, Written

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection, Sequence

    from paperfleet.paperless.documents.intents import Intent

VANISHED = 900
"""Seconds for which a transaction that writes files may wait for the storage; less than
``removal.SETTLED``, and longer where a task is set to wait longer through an outage."""
_CONNECT = 10
_log = logging.getLogger("paperfleet.paperless")

_TABLE = Written._meta.db_table  # noqa: SLF001  # Django's documented name
_WORK = Work._meta.db_table  # noqa: SLF001  # as above
_FIELDS = "number, task_id, attempt, area, name, size, sha256"
_MINE = f'SELECT 1 FROM "{_WORK}" WHERE task_id = %s AND attempt = %s AND state = %s'  # noqa: S608  # no value
_NOTE = (
    f'INSERT INTO "{_TABLE}" ({_FIELDS}) SELECT %s, %s, %s, %s, %s, %s, %s'
    f" WHERE EXISTS ({_MINE}) ON CONFLICT (number) DO UPDATE SET name = EXCLUDED.name"
)
_NOTE_AGAIN = (
    f'INSERT INTO "{_TABLE}" ({_FIELDS}) VALUES (%s, %s, %s, %s, %s, %s, %s)'  # noqa: S608  # as above
    " ON CONFLICT (number) DO NOTHING"
)
_WITHDRAW = f'DELETE FROM "{_TABLE}" WHERE number = %s'  # noqa: S608  # as above


class Notes:
    """Keeps the notes of the attempt that this thread runs; an ``intents.IntentKeeper``."""

    def keeps(self) -> bool:
        """Say whether this thread runs an attempt, and its transaction is the task's."""
        attempt = current.attempt()
        return attempt is not None and not attempt.is_ours

    def note(self, intent: Intent) -> None:
        """Note a file; raise ``AttemptOverError`` when the task is another's, as its row is."""
        attempt = _attempt()
        _let_go_of_the_vanished()
        if not _execute(attempt, _NOTE, (*_values(attempt, intent), *_mine(attempt))):
            raise AttemptOverError("it was given to another worker, so that it must not write")

    def withdraw(self, intent: Intent) -> None:
        """Forget a file that was not written."""
        _execute(_attempt(), _WITHDRAW, (intent.number,))

    def left(self, intent: Intent) -> None:
        """See that a file that was left has its note: the sweeper may have looked too early."""
        attempt = _attempt()
        try:
            _execute(attempt, _NOTE_AGAIN, _values(attempt, intent))
        except DatabaseError as error:
            _log.warning(
                "%s/%s was written by a task that did not end well, and that could not be noted"
                " again: %s. The sweeper removes it, unless paperfleet_check calls it orphaned",
                intent.area,
                intent.name,
                error,
            )

    def is_over(self) -> bool:
        """Say whether the row is known to be another's, or gone."""
        attempt = _attempt()
        try:
            return not _execute(attempt, _MINE, _mine(attempt))
        except DatabaseError as error:
            _log.warning("whether task %s is over is not known: %s", attempt.claim.task_id, error)
            return False


def _let_go_of_the_vanished() -> None:
    """Let the database end the transaction that is open if its host vanishes.

    Else its locks would keep the sweeper from the rows of documents for as long as the kernel takes
    the connection for alive: two hours (tcp(7), ``tcp_keepalive_time``).
    """
    seconds = round(max(VANISHED, patience.tasks.outage + VANISHED / 3))
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'")


def _attempt() -> Attempt:
    attempt = current.attempt()
    if attempt is None:
        raise RuntimeError("no attempt runs in this thread")
    return attempt


def _mine(attempt: Attempt) -> tuple[object, ...]:
    return attempt.claim.task_id, attempt.claim.attempt, states.RUNNING


def _values(attempt: Attempt, intent: Intent) -> tuple[object, ...]:
    claim = attempt.claim
    rest = (intent.area, intent.name, intent.size, intent.sha256)
    return (intent.number, claim.task_id, claim.attempt, *rest)


def _execute(attempt: Attempt, statement: str, values: Sequence[object]) -> int:
    """Run a statement in the session of notes, in a new one when that has ended; count the rows."""
    try:
        return _session(attempt).execute(statement, values).rowcount
    except psycopg.Error:
        close(attempt)
    try:
        return _session(attempt).execute(statement, values).rowcount
    except psycopg.Error as error:
        close(attempt)
        raise OperationalError(str(error)) from error


def _session(attempt: Attempt) -> psycopg.Connection[Any]:
    if attempt.session is None:
        parameters = {"connect_timeout": _CONNECT, **connection.get_connection_params()}
        attempt.session = psycopg.connect(**{**parameters, "autocommit": True})
        attempt.until_end.callback(close, attempt)
    return attempt.session


def close(attempt: Attempt) -> None:
    """Let go of the session of notes, if there is one."""
    session, attempt.session = attempt.session, None
    if session is not None:
        with suppress(psycopg.Error):
            session.close()


def forget_committed() -> bool:
    """Forget what the open transaction keeps; see ``forget``."""
    effects = transactions.kept()
    return forget({effect.intent.number for effect in effects if effect.intent is not None})


def forget(numbers: Collection[uuid.UUID]) -> bool:
    """Delete notes in the transaction that names their files, right before its commit.

    Return False when one is gone or somebody removes its file: then it must not commit.
    """
    if not numbers:
        return True
    count, _ = Written.objects.filter(number__in=numbers, removing=None).delete()
    return count == len(numbers)


def running() -> Any:  # noqa: ANN401  # a query
    """Return the rows of the attempts that notes are of, where these run; for a subquery."""
    return Work.objects.filter(
        task_id=OuterRef("task_id"), attempt=OuterRef("attempt"), state=states.RUNNING
    )


class Noted(NamedTuple):
    """A file that was noted ``seconds`` ago; ``runs`` says whether its attempt goes on."""

    area: str
    name: str
    task_id: str
    attempt: int
    seconds: float
    runs: bool


def noted() -> list[Noted]:
    """Return all notes, the latest last."""
    found = Written.objects.annotate(now=Now(), runs=Exists(running())).order_by("noted")
    return [
        Noted(
            one["area"],
            one["name"],
            one["task_id"],
            one["attempt"],
            (one["now"] - one["noted"]).total_seconds(),
            one["runs"],
        )
        for one in found.values("area", "name", "task_id", "attempt", "noted", "now", "runs")
    ]
