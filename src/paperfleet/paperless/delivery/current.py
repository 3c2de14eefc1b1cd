"""The attempt that this thread runs, if it runs one."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg import Connection

    from paperfleet.paperless.delivery.halves import Half
    from paperfleet.paperless.delivery.rows import Claim


class AttemptOverError(BaseException):
    """The attempt is over: another one has the row, or this one gave it back.

    No ``Exception``, so that what catches failures of a task does not catch it, and nothing is
    recorded of a task that goes on elsewhere.
    """


class Attempt:
    """What is known of the attempt while it runs.

    ``has_files`` says that its files were restored. ``made`` are documents that the open
    transaction has made, ``released`` tasks that may be published when it has committed.
    ``in_doubt`` says that a commit was sent and its answer was not heard, ``rolled_back`` that a
    transaction was undone.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.made: list[int] = []
        self.released: list[str] = []
        self.in_doubt = False
        self.rolled_back = False
        self.has_files = False
        self.restored: list[Path] = []
        """The local files that it was given."""
        self.is_ours = False
        """Whether it is our own transaction that is open."""
        self.is_half = False
        """Whether it has a first half, whose second is to come."""
        self.half: Half | None = None
        """The first half that it puts together with its own."""
        self.session: Connection[Any] | None = None
        """The session in which it notes what it writes (``written``)."""
        self.until_end = ExitStack()
        """What is left when it has ended, and its row with it."""


_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


def attempt() -> Attempt | None:
    """Return the attempt that this thread runs."""
    return _current.get()


@contextmanager
def running(attempt: Attempt) -> Iterator[None]:
    """Within this block this thread runs an attempt."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def own_rows() -> Iterator[None]:
    """Within this block transactions are about rows of ours, and are not fenced."""
    attempt = _current.get()
    before = attempt.is_ours if attempt else False
    if attempt:
        attempt.is_ours = True
    try:
        yield
    finally:
        if attempt:
            attempt.is_ours = before
