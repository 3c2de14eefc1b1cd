r"""Which tasks the broker has for whoever asks, those that wait in its lists, and in which order.

Lists of kombu's Redis transport (``kombu/transport/redis.py``): ``QUEUE`` and, for each priority,
``QUEUE\x06\x16N``. All begin with ``global_keyprefix``. What it gave to a worker (``unacked``) does
not count as waiting: nothing there says which worker, and a dead one had taken more than it ran. As
work it counts (``look``).
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
from kombu.utils.json import dumps

from paperfleet.paperless.delivery.message import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery import Celery

PORTION = 500
"""How many messages are read at a time."""
MOST = 2000
"""How many messages of a list are looked at to count them."""
ANSWER_SECONDS = 3
"""For so long an answer is waited for then."""
_MARK = "paperfleet-fleet"
_AWAY = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)


def tasks_in(app: Celery) -> frozenset[str] | None:
    """Return the numbers of all tasks in the queues, None when the broker does not answer.

    A message that a worker holds is missing; to publish it again does no harm.
    """
    try:
        with app.connection_for_read() as connection:
            channel = connection.default_channel
            client = redis.Redis(connection_pool=channel.client.connection_pool)
            return frozenset(_numbers(client, channel, app))
    except connection_errors(app):
        return None


class QueuedMessage(NamedTuple):
    """A message: its task, and whether that has a row, and whether anybody still wants it."""

    task_id: str
    name: str
    has_row: bool = False
    is_expired: bool = False


class BrokerLook(NamedTuple):
    """What the broker has at one moment.

    ``listed`` is how many messages are in its lists, ``taken`` how many workers have; ``unread``
    is how many of the first were not looked at.
    """

    messages: tuple[QueuedMessage, ...] = ()
    unread: int = 0
    listed: int = 0
    taken: int = 0


def look(app: Celery) -> BrokerLook:
    """Return what is in the broker: in its lists, of each the first ``MOST``, and with workers.

    At one moment (MULTI), as messages move from one to the other. Raises what redis and kombu
    raise; waits ``ANSWER_SECONDS`` at most for an answer.
    """
    patience = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
    with (
        app.connection_for_read(transport_options=patience) as connection,
        connection.channel() as channel,
    ):
        client = redis.Redis(connection_pool=channel.client.connection_pool)
        with client.pipeline(transaction=True) as pipe:
            pipe.hvals(f"{channel.global_keyprefix or ''}{channel.unacked_key}")
            for key in _keys(channel, app):
                pipe.llen(key)
                pipe.lrange(key, -MOST, -1)
            taken, *lists = pipe.execute()
    texts: list[str | bytes] = [json.dumps(json.loads(text)[0]) for text in taken]
    texts += [text for listed in lists[1::2] for text in listed]
    listed = sum(lists[0::2])
    return BrokerLook(_messages(texts), listed + len(taken) - len(texts), listed, len(taken))


def _messages(texts: Iterable[str | bytes]) -> tuple[QueuedMessage, ...]:
    now = datetime.now(UTC)
    return tuple(_message(text, now) for text in texts)


def _message(text: str | bytes, now: datetime) -> QueuedMessage:
    """Return what a message says; one that says nothing is of an unknown task."""
    message = json.loads(text)
    headers = message.get("headers") or {}
    return QueuedMessage(
        str(headers.get("id") or message.get("properties", {}).get("correlation_id") or text),
        str(headers.get("task", "")),
        HEADER in headers,
        _is_over(headers.get("expires"), now),
    )


def _is_over(told: str | None, now: datetime) -> bool:
    if not told:
        return False
    found = datetime.fromisoformat(told)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)) < now


def write_mark(app: Celery, mark: str) -> bool:
    """Write what tells this broker from others; return whether it answered."""
    try:
        with _marked(app) as (client, key):
            client.set(key, mark)
    except connection_errors(app):
        return False
    return True


def read_mark(app: Celery) -> str | None:
    """Return that mark, '' where there is none, None when the broker does not answer."""
    try:
        with _marked(app) as (client, key):
            return (client.get(key) or b"").decode()
    except connection_errors(app):
        return None


@contextmanager
def _marked(app: Celery) -> Iterator[tuple[Any, str]]:
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        client = redis.Redis(connection_pool=channel.client.connection_pool)
        yield client, f"{channel.global_keyprefix or ''}{_MARK}"


@contextmanager
def at_the_front(channel: Any) -> Iterator[None]:  # noqa: ANN401  # kombu's
    """Within this block what is published through a channel is the next that a worker takes.

    kombu's Redis transport puts it at the end of a list (``Channel._put``: ``LPUSH``) whose other
    end workers take from.
    """

    def put(queue: str, message: Any, **_: object) -> None:  # noqa: ANN401  # kombu's
        priority = channel._get_message_priority(message, reverse=False)  # noqa: SLF001  # kombu's only name of it
        with channel.conn_or_acquire() as client:
            key = channel._q_for_pri(queue, priority)  # noqa: SLF001  # as below
            client.rpush(key, dumps(message))  # type: ignore[no-untyped-call]  # kombu's

    channel._put = put  # noqa: SLF001  # what its transports override
    try:
        yield
    finally:
        del channel._put  # noqa: SLF001


def connection_errors(app: Celery) -> tuple[type[Exception], ...]:
    """Return what kombu raises for a broker that does not answer."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415  # for this alone

    return (*_AWAY, OperationalError, *app.connection_for_read().recoverable_connection_errors)


def _numbers(client: Any, channel: Any, app: Celery) -> Iterator[str]:  # noqa: ANN401  # redis' and kombu's
    for key in _keys(channel, app):
        yield from map(_number, _list(client, key))


def _keys(channel: Any, app: Celery) -> Iterator[str]:  # noqa: ANN401  # kombu's
    """Yield the name of each list that has messages."""
    prefix = channel.global_keyprefix or ""
    for queue in app.amqp.queues:
        for priority in channel.priority_steps:
            yield prefix + channel._q_for_pri(queue, priority)  # noqa: SLF001  # kombu's only name of it


def _list(client: Any, key: str) -> Iterator[Any]:  # noqa: ANN401  # redis'
    """Yield a list from its tail, where workers take from, so that nothing moves past unread."""
    start = 0
    while portion := client.lrange(key, start, start + PORTION - 1):
        yield from portion
        start += PORTION


def _number(text: bytes | str) -> str:
    message = json.loads(text)
    headers = message.get("headers") or {}
    if "id" in headers:
        return str(headers["id"])
    body = message.get("body") or ""  # Celery's first protocol
    return str(json.loads(base64.b64decode(body)).get("id", "")) if body else ""
