"""The seam through which every task runs: ``celery.app.trace.build_tracer``.

The row is claimed before Celery sends any signal, and goes after the last one. What must not run,
as somebody else has it or it is done, is dropped unseen; its message is acknowledged.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from celery import current_app
from celery.app.trace import ExceptionInfo, TraceInfo, trace_ok_t
from celery.exceptions import Ignore, Reject
from celery.states import FAILURE, IGNORED, RETRY
from django.apps import apps
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections
from django.db import connection as database
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from paperfleet.errors import (
    IntegrityError,
    NotFoundError,
    PaperfleetError,
    StorageError,
    UnavailableError,
)
from paperfleet.paperless import points
from paperfleet.paperless.delivery import (
    current,
    halves,
    heartbeat,
    papertasks,
    publishing,
    restoring,
    rows,
    staging,
    written,
)
from paperfleet.paperless.delivery.current import Attempt, AttemptOverError
from paperfleet.paperless.delivery.message import HEADER
from paperfleet.paperless.delivery.states import DeliveryLimits
from paperfleet.paperless.delivery.tasks import REPEATED, TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

_log = logging.getLogger("paperfleet.paperless")
_T = TypeVar("_T")

DATABASE_PATIENCE = 600.0
"""Seconds for which a task waits for a database that does not answer, before and after its work."""
_PAUSE = 2.0
_in_use = [DeliveryLimits()]


def use(limits: DeliveryLimits) -> None:
    """Take the limits of this process."""
    _in_use[:] = [limits]


def limits() -> DeliveryLimits:
    """Return them."""
    return _in_use[0]


_GONE = (
    *(OperationalError, InterfaceError, BrokerError),
    *(RedisConnectionError, RedisTimeoutError, UnavailableError),
)
"""What says that a server was away, and nothing about the document."""


class TaskDiedError(PaperfleetError):
    """A task ends as a failure because of what happened to its workers."""


def build_tracer(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let tasks of the table run with their row."""

    @functools.wraps(original)
    def build(name: str, task: Any, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # Celery's signature
        if name not in TASKS or keywords.get("eager"):
            return original(name, task, *arguments, **keywords)
        if not hasattr(task.run, _GUARDED):
            task.run = _guarded(task.run)
        trace = original(name, task, *arguments, **keywords)

        @functools.wraps(trace)
        def traced(uuid: str, args: Any, kwargs: Any, request: Any = None) -> Any:  # noqa: ANN401
            if not (request or {}).get(HEADER):  # published before there were rows
                return trace(uuid, args, kwargs, request)
            return _with_row(task.app, uuid, lambda: trace(uuid, args, kwargs, request))

        return traced

    return build


def _with_row(app: Celery, task_id: str, trace: Callable[[], Any]) -> Any:  # noqa: ANN401  # a trace_ok_t
    try:
        claim = _patiently(lambda: rows.claim(task_id, limits()))
    except DatabaseError as error:
        raise Reject(str(error), requeue=True) from error
    if claim is None:
        _log.info("task %s is done or runs elsewhere", task_id)
        _drop_leftovers(task_id)
        return _dropped()
    points.passed("run.claimed")
    attempt = Attempt(claim)
    with (
        current.running(attempt),
        heartbeat.beating(claim, limits().silence),
        attempt.until_end,
    ):
        try:
            result = trace()
        except AttemptOverError as over:
            _log.warning("task %s, attempt %d: %s", task_id, claim.attempt, over)
            return _dropped()
        points.passed("run.returned")
        _end(app, attempt, result.info)
    return result


def _dropped() -> Any:  # noqa: ANN401  # a trace_ok_t
    """Return what Celery takes for a task that wants to leave no trace."""
    ignore = Ignore()
    try:
        raise ignore
    except Ignore:
        info = ExceptionInfo(internal=True)  # of what is being handled
    return trace_ok_t(info, TraceInfo(IGNORED, ignore), 0.0, "")


def _drop_leftovers(task_id: str) -> None:
    """Remove what a process has left that ended between the end of a row and that of its files."""
    with contextlib.suppress(DatabaseError, InterfaceError, StorageError):  # else the sweeper does
        if not rows.staged_tasks([task_id]):
            staging.drop_task(task_id)


def _end(app: Celery, attempt: Attempt, info: TraceInfo | None) -> None:
    """Let the row go with its files, and offer what the attempt has published."""
    claim = attempt.claim
    if info is not None and info.state == RETRY and claim.message is not None:
        with current.own_rows():
            if _patiently(lambda: rows.wait_again(claim)):
                publishing.offer(app, claim.task_id)
        return
    failed = info is not None and info.state == FAILURE
    half, is_half = attempt.half, attempt.is_half and not failed
    keep = failed and bool(claim.files) and (_is_left(attempt) or half is not None)
    failure = str(info.retval) if failed and info is not None else ""

    def also() -> None:
        if half is not None:
            halves.end(half, claim, failure)

    with current.own_rows():
        children = _patiently(
            lambda: rows.finish(claim, failure=failure, keep=keep, half=is_half, also=also)
        )
        if children is None:
            _log.warning("task %s was given to another worker before it ended", claim.task_id)
            return
        points.passed("finish.row")
        for child in children:
            publishing.offer(app, child)
    points.passed("finish.sent")
    if not (keep or is_half):
        staging.drop(claim.files)
    if half is not None and not failed:
        staging.drop(half.files)
    restoring.forget(claim.files, attempt.restored)
    with contextlib.suppress(DatabaseError, InterfaceError), current.own_rows():  # the next task
        restoring.forget_leftovers()


def _is_left(attempt: Attempt) -> bool:
    """Say whether paperless-ngx would have left a file to its user, or did not come to see it.

    A file that it removed in a transaction that was then undone is left too.
    """
    there = any(path.exists() for path in attempt.restored)
    return there or not attempt.has_files or attempt.rolled_back


def _patiently(step: Callable[[], _T]) -> _T:
    """Return what a step of the row returns, once the database answers."""
    began = time.monotonic()
    while True:
        try:
            close_old_connections()
            return step()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() - began > DATABASE_PATIENCE:
                raise
            _log.warning("the row of a task waits for the database: %s", error)
            database.close()
            time.sleep(_PAUSE)


_GUARDED = "paperfleet_guarded"


def _guarded(run: Callable[..., Any]) -> Callable[..., Any]:
    """Run a task with its files, or end it as its row says."""

    @functools.wraps(run)
    def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the task's
        attempt = current.attempt()
        if attempt is None:
            return run(*args, **kwargs)
        if attempt.claim.document is not None:
            return _made_before(attempt.claim.document)
        if attempt.claim.reason:
            raise TaskDiedError(attempt.claim.reason)
        _restore(attempt, args, kwargs)
        points.passed("run.restored")
        try:
            result = run(*args, **kwargs)
        except Exception as error:
            _require_mine(attempt)
            if attempt.claim.name in REPEATED and (attempt.in_doubt or _is_away(error)):
                _give_back(attempt, error)
            raise
        _require_mine(attempt)
        return result

    setattr(guarded, _GUARDED, True)
    return guarded


def _made_before(document: int) -> dict[str, int] | str:
    """Return what the attempt returned, or would have, that made this document."""
    from documents import data_models  # noqa: PLC0415  # after Django

    if hasattr(data_models, "ConsumeFileSuccessResult"):  # v3
        return {"document_id": document}
    return f"Success. New document id {document} created"


def _restore(attempt: Attempt, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    claim = attempt.claim
    bearers = staging.bearers(args, kwargs)
    for file, bearer in zip(claim.files, bearers, strict=True):
        try:
            path = restoring.restore(file)
        except (IntegrityError, NotFoundError):
            raise
        except OSError as error:
            _give_back(attempt, error)
            raise
        attempt.restored.append(path)
        bearer.original_file = path
    attempt.has_files = True


def _require_mine(attempt: Attempt) -> None:
    with current.own_rows():
        mine = _patiently(lambda: rows.beat(attempt.claim.task_id, attempt.claim.attempt))
    if not mine:
        raise AttemptOverError("it was given to another worker")


def _is_away(error: BaseException | None) -> bool:
    """Say whether an error came from a server that was away; the whole chain is looked at."""
    while error is not None:
        if isinstance(error, _GONE):
            return True
        error = error.__cause__ or error.__context__
    return False


def _give_back(attempt: Attempt, error: Exception) -> None:
    """Let the row wait for another attempt, and end this one unseen; it counts as a death.

    After too many it returns, and the task fails with the error.
    """
    claim = attempt.claim
    with current.own_rows():
        if _patiently(lambda: rows.deaths(claim.task_id)) + 1 >= limits().deaths:
            return
        _patiently(lambda: rows.wait_again(claim, died=True))
        papertasks.wait_again(claim.task_id)
    raise AttemptOverError(f"given back: {error}") from error


def before_commit() -> None:
    """Hold the row until the commit; raise ``AttemptOverError`` when it is another's."""
    attempt = current.attempt()
    if attempt is None or attempt.is_ours:
        return
    claim = attempt.claim
    document = _document_made(attempt)
    released = rows.fence(claim, document)
    if released is None:
        raise AttemptOverError("it was given to another worker, so that it must not write")
    if not written.forget_committed():
        raise AttemptOverError("what it wrote is being removed, as its attempt was taken for over")
    attempt.released = released
    points.passed("run.fenced")


def _document_made(attempt: Attempt) -> int | None:
    """Return the document that this transaction leaves behind; one may be undone by a savepoint."""
    if not attempt.made or not TASKS[attempt.claim.name].makes:
        return None
    documents = apps.get_model("documents", "Document")._base_manager  # noqa: SLF001  # Django's documented name
    return next((pk for pk in attempt.made if documents.filter(pk=pk).exists()), None)


def transaction_ended(*, committed: bool | None) -> None:
    """Be told how an outermost transaction of this thread ended; None when that is not known."""
    attempt = current.attempt()
    if attempt is None or attempt.is_ours:
        return
    written.close(attempt)
    attempt.made.clear()
    released, attempt.released = attempt.released, []
    if committed is None:
        attempt.in_doubt = True
    elif committed:
        points.passed("run.committed")
        for task_id in released:
            publishing.offer(current_app, task_id)
    else:
        attempt.rolled_back = True


def document_saved(*, instance: Any, created: bool = False, **_signal: object) -> None:  # noqa: ANN401  # a Document
    """Be told by Django that a document was saved."""
    attempt = current.attempt()
    if attempt is not None and created:
        attempt.made.append(instance.pk)
