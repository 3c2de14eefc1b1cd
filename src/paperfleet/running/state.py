"""What the journal says of a mirror, read beside it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from paperfleet.journal.journal import Journal
from paperfleet.journal.tables import STRANGERS, counted
from paperfleet.settings.config import read
from paperfleet.settings.places import journal_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from paperfleet.journal.journal import JournalView
    from paperfleet.journal.operations import PendingOperation
    from paperfleet.journal.tables import Quarantined, Refusal


class MirrorState(NamedTuple):
    """All that `status` and `health` tell, as of ``at`` (Unix time).

    The facts are what the mirror wrote: ``heartbeat`` (pid, at, state, reason, watching),
    ``paused`` (reason, hint, until), ``first_sync`` (counts), ``source_files`` (files, at: the last
    count of the whole source), ``uploads`` (how many ever were proven by a ``hash`` of the target,
    by being ``read`` back, by their ``size`` alone); None or empty when it did not.
    ``compared_at``: when source and target were last compared with nothing left to do;
    ``converged_at``: when they were also equal, apart from what is refused. ``proven`` counts the
    files that are at the target, ``in_doubt`` those of which nobody saw whether they are.
    ``quarantined`` are not at the target as they are at the source; ``left_out`` are no documents.
    ``strangers`` counts the files at the target that are neither at the source nor known to the
    journal.
    """

    source: str
    target: str
    journal: Path
    at: float
    heartbeat: Mapping[str, Any]
    paused: Mapping[str, Any] | None
    compared_at: float | None
    converged_at: float | None
    first_sync: Mapping[str, Any] | None
    source_files: Mapping[str, Any] | None
    uploads: Mapping[str, Any] | None
    proven: int
    in_doubt: int
    strangers: int
    unreadable: Mapping[str, Any] | None
    pending: list[PendingOperation]
    quarantined: list[Quarantined]
    left_out: list[Quarantined]
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
        quarantined, left_out = _quarantined(view)
        proven = view.count_proven()
        return MirrorState(
            source=source,
            target=target,
            journal=path,
            at=time.time(),
            heartbeat=_mapping(view, "heartbeat") or {},
            paused=_mapping(view, "paused"),
            compared_at=_moment(view, "compared_at"),
            converged_at=_moment(view, "converged_at"),
            first_sync=_mapping(view, "first_sync"),
            source_files=_mapping(view, "source_files"),
            uploads=_mapping(view, "uploads"),
            proven=proven,
            in_doubt=view.count_known() - proven,
            unreadable=_mapping(view, "target_unreadable"),
            strangers=counted(view.get_fact(STRANGERS)),
            pending=view.pending(),
            quarantined=quarantined,
            left_out=left_out,
            refused=view.refusals(),
        )


def pause_text(state: MirrorState) -> str:
    """Return why no requests are made and what to do, '' when they are."""
    if not state.paused:
        return ""
    return f"{state.paused.get('reason', '')}. {state.paused.get('hint', '')}".rstrip(". ")


def _quarantined(view: JournalView) -> tuple[list[Quarantined], list[Quarantined]]:
    """Return what should be at the target, and what is no document."""
    names = view.get_fact("left_out")
    no_documents = set(names) if isinstance(names, list) else set()
    entries = view.quarantined()
    return (
        [entry for entry in entries if entry.name not in no_documents],
        [entry for entry in entries if entry.name in no_documents],
    )


def _moment(view: JournalView, key: str) -> float | None:
    return cast("float | None", view.get_fact(key))


def _mapping(view: JournalView, key: str) -> Mapping[str, Any] | None:
    fact = view.get_fact(key)
    return fact if isinstance(fact, dict) else None
