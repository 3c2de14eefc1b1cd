"""The process that says of a running attempt that it lives.

No thread: pikepdf keeps the GIL for as long as it saves a file (measured: 2 to 6 s for 60 MB), so
that a thread would be silent in the middle of the largest documents. The process is a fork of the
one that runs the task; the kernel kills it when that ends, in whatever way (prctl(2),
``PR_SET_PDEATHSIG``). A host or a process group that is stopped takes it along.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import connection

from paperfleet.paperless.delivery.states import RUNNING
from paperfleet.paperless.models import Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.paperless.delivery.rows import Claim

BEATS = 4.5
"""How many heartbeats fit into the time after which an attempt counts as dead."""
_PR_SET_PDEATHSIG = 1
_STDERR = 2
_BEAT = (
    f'UPDATE "{Work._meta.db_table}" SET heartbeat = statement_timestamp()'  # noqa: S608, SLF001  # no value; Django's documented name
    " WHERE task_id = %s AND attempt = %s AND state = %s"
)


@contextmanager
def beating(claim: Claim, silence: float) -> Iterator[None]:
    """Within this block the attempt has a heartbeat, which ends when the row is another's."""
    parameters = connection.get_connection_params()
    caller = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _beat(parameters, claim, silence / BEATS, caller)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _beat(parameters: dict[str, Any], claim: Claim, pause: float, caller: int) -> None:
    """Beat until the row is another's, in a connection that is there for each beat alone."""
    _die_with(caller)
    _let_go_of_files()
    values = claim.task_id, claim.attempt, RUNNING
    while os.getppid() == caller:
        time.sleep(pause)
        try:
            with psycopg.connect(**{**parameters, "autocommit": True}) as beat:
                if not beat.execute(_BEAT, values).rowcount:
                    return
        except psycopg.Error as error:
            _say(f"no heartbeat for task {claim.task_id}: {error}")


def _die_with(caller: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != caller:  # it ended before the call
        os._exit(0)


def _let_go_of_files() -> None:
    """Close what was inherited: the pipes by which Celery sees that a worker's child has ended."""
    numbers = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    for number in numbers:
        if number > _STDERR:
            with contextlib.suppress(OSError):  # that of the listing itself
                os.close(number)


def _say(text: str) -> None:
    """Write a line past the log, whose locks another thread may have held at the fork."""
    with contextlib.suppress(OSError):
        os.write(_STDERR, f"paperfleet: {' '.join(text.split())}\n".encode(errors="replace"))
