"""What the journal says of a mirror, read beside it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from paperfleet.journal.journal import Journal
from paperfleet.service.config import read
from paperfleet.service.places import journal_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from paperfleet.journal.operations import PendingOperation
    from paperfleet.journal.quarantine import Quarantined
    from paperfleet.journal.refusals import Refusal
    from paperfleet.journal.view import JournalView


class MirrorState(NamedTuple):
    """All that `status` and `health` tell, as of ``at`` (Unix time).

    The facts are what the mirror wrote: ``heartbeat`` (pid, at, state, reason, watching),
    ``paused`` (reason, hint, until), ``first_sync`` (counts); None or empty when it did not.
    """

    source: str
    target: str
    journal: Path
    at: float
    heartbeat: Mapping[str, Any]
    paused: Mapping[str, Any] | None
    converged_at: float | None
    first_sync: Mapping[str, Any] | None
    known: int
    pending: list[PendingOperation]
    quarantined: list[Quarantined]
    refused: list[Refusal]


def open_journal(arguments: Mapping[str, object]) -> JournalView:
    """Open the journal that the command line and the environment mean.

    Raises ``ConfigurationError`` when it is not clear which, ``JournalError`` when there is none.
    """
    return Journal.read(journal_of(read(arguments, os.environ), os.environ))


def read_state(arguments: Mapping[str, object]) -> MirrorState:
    """Return the state of the mirror that is meant; raises as ``open_journal``."""
    path = journal_of(read(arguments, os.environ), os.environ)
    with Journal.read(path) as view:
        source, target = view.pair()
        return MirrorState(
            source=source,
            target=target,
            journal=path,
            at=time.time(),
            heartbeat=_mapping(view, "heartbeat") or {},
            paused=_mapping(view, "paused"),
            converged_at=cast("float | None", view.get_fact("converged_at")),
            first_sync=_mapping(view, "first_sync"),
            known=view.count_known(),
            pending=view.pending(),
            quarantined=view.quarantined(),
            refused=view.refusals(),
        )


def pause_text(state: MirrorState) -> str:
    """Return why no requests are made and what to do, '' when they are."""
    if not state.paused:
        return ""
    return f"{state.paused.get('reason', '')}. {state.paused.get('hint', '')}".rstrip(". ")


def _mapping(view: JournalView, key: str) -> Mapping[str, Any] | None:
    fact = view.get_fact(key)
    return fact if isinstance(fact, dict) else None
