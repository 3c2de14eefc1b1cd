r"""Which tasks the broker has for whoever asks, those that wait in its lists, and in which order.

Lists of kombu's Redis transport (``kombu/transport/redis.py``): ``QUEUE`` and, for each priority,
``QUEUE\x06\x16N``. All begin with ``global_keyprefix``. What it gave to a worker (``unacked``) does
not count: nothing there says which worker, and a dead one had taken more than it ran.
"""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from kombu.utils.json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

PORTION = 500
"""How many messages are read at a time."""
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
    prefix = channel.global_keyprefix or ""
    for queue in app.amqp.queues:
        for priority in channel.priority_steps:
            yield from map(_number, _list(client, prefix + channel._q_for_pri(queue, priority)))  # noqa: SLF001  # kombu's only name of it


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
