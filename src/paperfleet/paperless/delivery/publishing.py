"""The seam through which every task is published: ``celery.app.base.Celery.send_task``.

Staged, then a row, then the commit, then the message: what fails before the row is heard by the
caller, and what fails after it is done by the sweeper.
"""

from __future__ import annotations

import functools
import inspect
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celery.utils import uuid
from django.db import DatabaseError, transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from paperfleet.paperless import points
from paperfleet.paperless.delivery import broker, current, papertasks, restoring, rows, staging
from paperfleet.paperless.delivery.message import HEADER, Message, of_publishing
from paperfleet.paperless.delivery.tasks import REPEATED, TASKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

    from paperfleet.paperless.delivery.rows import StagedFile

_log = logging.getLogger("paperfleet.paperless")


def send_task(original: Callable[..., Any]) -> Callable[..., Any]:
    """Write a row for each task of the table; others pass."""
    signature = inspect.signature(original)

    @functools.wraps(original)
    def send(self: Celery, name: str, *arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401  # Celery's signature
        if name not in TASKS:
            return original(self, name, *arguments, **keywords)
        bound = signature.bind(self, name, *arguments, **keywords)
        given = dict(bound.arguments)
        options = given.pop("options", {})
        given.pop("self")
        return _publish(self, original, given | options)

    return send


def _publish(app: Celery, original: Callable[..., Any], given: dict[str, Any]) -> Any:  # noqa: ANN401  # an AsyncResult
    task_id = given["task_id"] = given.get("task_id") or uuid()
    given["headers"] = {**(given.get("headers") or {}), HEADER: 1}
    bearers = _bearers(given)
    running = current.attempt()
    if running is not None and running.claim.task_id == task_id:  # it asks to be retried
        return _sent(app, original, given, lambda message: rows.again(running.claim, message))
    if (known := _known([bearer.original_file for bearer in bearers])) is not None:
        return app.AsyncResult(known)
    files: list[StagedFile] = []
    taken: list[Message] = []
    is_written, result = False, None
    try:
        for number, bearer in enumerate(bearers):
            files.append(staging.stage(task_id, number, bearer.original_file))
        points.passed("publish.staged")
        if not papertasks.heeds_transactions():
            result = _sent(app, original, given, taken.append)
        with current.own_rows(), transaction.atomic():
            if result is None:
                result = _sent(app, original, given, taken.append)
            _add(taken[0], files)
            # Before the message: a worker of this host would work on the very file.
            transaction.on_commit(lambda: _let_go(files), robust=True)
            if _parent() is None:
                transaction.on_commit(lambda: offer(app, task_id), robust=True)
            is_written = True
    except BaseException:
        if not is_written:  # else it is not known whether the row is there
            staging.drop(files)
            if taken and not papertasks.heeds_transactions():
                papertasks.forget(task_id)
        raise
    return result


def _bearers(given: Mapping[str, Any]) -> list[Any]:
    """Return what names local files; a part tells where its whole lay when it was published."""
    bearers = staging.bearers(given.get("args") or (), given.get("kwargs") or {})
    for bearer in bearers:
        if bearer.original_path is not None:
            bearer.original_path = restoring.origin(bearer.original_path)
    return bearers


def _parent() -> tuple[str, int] | None:
    """Return the attempt that is to end before what it publishes is offered."""
    running = current.attempt()
    if running is None or running.claim.name not in REPEATED:
        return None
    return running.claim.task_id, running.claim.attempt


def _known(paths: list[Path]) -> str | None:
    """Return the task that has this file of the consume folder already.

    It lies there because a process ended between the row and the removal.
    """
    for path in paths:
        identity = staging.identity(path)
        found = rows.known_file(identity) if identity else None
        if found is not None:
            _log.info("%s was published before, as task %s", path, found)
            staging.forget_local(path)
            return found
    return None


def _add(message: Message, files: list[StagedFile]) -> None:
    source = next(filter(None, (staging.identity(Path(file.path)) for file in files)), "")
    rows.add(message, files, source=source, parent=_parent())


def _let_go(files: list[StagedFile]) -> None:
    """Remove the local files, as the row and the storage have them now."""
    points.passed("publish.committed")
    for file in files:
        staging.forget_local(Path(file.path))


def _sent(
    app: Celery,
    original: Callable[..., Any],
    given: dict[str, Any],
    take: Callable[[Message], None],
) -> Any:  # noqa: ANN401  # an AsyncResult
    """Let Celery make the message and send its signals, and take it in the place of the broker."""
    producer = given.pop("producer", None) or given.pop("publisher", None)
    connection = given.pop("connection", None)
    if connection is not None:
        producer = app.amqp.Producer(connection, auto_declare=False)
    with app.producer_or_acquire(producer) as real:
        return original(app, producer=_Taker(real, given["task_id"], take), **given)


class _Taker:
    """A ``kombu.Producer`` whose message of one task is taken; events pass."""

    def __init__(self, real: Any, task_id: str, take: Callable[[Message], None]) -> None:  # noqa: ANN401  # kombu's
        self._real, self._task_id, self._take = real, task_id, take

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever it has
        return getattr(self._real, name)

    def publish(self, body: object, **options: Any) -> None:  # noqa: ANN401  # kombu's
        headers: Mapping[str, Any] = options.get("headers") or {}
        if headers.get("id") == self._task_id and "task" in headers:
            self._take(of_publishing(body, options))
        else:
            self._real.publish(body, **options)


def offer(app: Celery, task_id: str) -> bool:
    """Publish the message of a row that waits; return whether it was.

    One whose worker has died is the next to be taken: it has waited for its turn before. What goes
    wrong is a line in the log: the row waits, and the sweeper publishes it.
    """
    try:
        with current.own_rows():
            found = rows.message_of(task_id)
        if found is None:
            return False
        message, deaths = found
        publish(app, message, first=bool(deaths))
    except (KombuError, RedisError, DatabaseError, OSError):  # the work is accepted all the same
        _log.exception("task %s could not be published yet; the sweeper will do it", task_id)
        return False
    points.passed("publish.sent")
    return True


def publish(app: Celery, message: Message, *, first: bool = False) -> None:
    """Publish a message as it was, ``first`` to be taken or last; raises what kombu raises."""
    envelope = dict(message.envelope)
    with (
        app.producer_pool.acquire(block=True) as producer,
        broker.at_the_front(producer.channel) if first else nullcontext(),
    ):
        producer.publish(
            message.body,
            declare=[app.amqp.queues[message.queue]],
            retry=True,
            retry_policy=dict(app.conf.task_publish_retry_policy),
            **envelope,
        )
