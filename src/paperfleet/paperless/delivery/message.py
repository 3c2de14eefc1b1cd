"""A task's message as Celery serialised it, so that it can be published again as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kombu.serialization import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADER = "paperfleet_row"
"""The header that says of a message that it has a row, or had one until it was done."""
_NOT_STORED = {"declare", "retry", "retry_policy", "serializer", "timeout", "confirm_timeout"}


@dataclass(frozen=True)
class Message:
    """``body`` as it is sent; ``envelope`` what else ``kombu.Producer.publish`` is told."""

    body: bytes
    envelope: Mapping[str, Any]

    @property
    def headers(self) -> Mapping[str, Any]:
        """Celery's headers, with the task's name and number."""
        headers: Mapping[str, Any] = self.envelope["headers"]
        return headers

    @property
    def queue(self) -> str:
        """The queue that it goes to."""
        return str(self.envelope["routing_key"])

    @property
    def expires(self) -> datetime | None:
        """When nobody wants it any more."""
        told = self.headers.get("expires")
        return datetime.fromisoformat(told) if told else None

    def stored_envelope(self) -> str:
        """Return the envelope as text."""
        return json.dumps(dict(self.envelope), default=str)

    def decoded(self, accept: Sequence[str]) -> Any:  # noqa: ANN401  # a task's arguments
        """Return the arguments; raises what the serializer raises for a wrong signature."""
        return loads(  # type: ignore[no-untyped-call]  # kombu's
            self.body, self.envelope["content_type"], self.envelope["content_encoding"], accept
        )


def of_publishing(body: object, options: Mapping[str, Any]) -> Message:
    """Return the message that ``kombu.Producer.publish(body, **options)`` would send."""
    content_type, content_encoding, data = dumps(  # type: ignore[no-untyped-call]  # kombu's
        body, serializer=options["serializer"]
    )
    envelope = {name: value for name, value in options.items() if name not in _NOT_STORED}
    envelope["exchange"] = str(getattr(envelope["exchange"], "name", envelope["exchange"]) or "")
    envelope |= {"content_type": content_type, "content_encoding": content_encoding}
    return Message(data.encode() if isinstance(data, str) else bytes(data), envelope)


def of_row(body: bytes | memoryview, envelope: str) -> Message:
    """Return the message of a row."""
    return Message(bytes(body), json.loads(envelope))
