"""The search index of this host: built from the database, and led after the stream.

All indexes of a host lie in one folder, each below a name of its own; ``state.json`` says which one
is in use, and until where it has followed. It is written after the index itself: what is told of an
index, the index has. One process of the host at a time writes (flock(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from paperfleet.paperless import points
from paperfleet.paperless.search import stream, triggers
from paperfleet.paperless.search.stream import Cursor
from paperfleet.private import replace_text
from paperfleet.running import searchstate

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from paperfleet.paperless.search.engines import SearchEngine

_BATCH: Final = 500
_STATE: Final = "state.json"
_TRIGGERS_SECONDS: Final = 60.0
_PRUNE_SECONDS: Final = 3600.0
_RETRY_SECONDS: Final = 60.0
_KEPT_SECONDS: Final = 60.0
"""For so long another process of the host may still search an index that was replaced."""
_MOST_FAILURES: Final = 3


@dataclass(frozen=True)
class State:
    """The index in use: its name, what built it, and until where it has followed.

    ``done`` are rows beyond the cursor's horizon that asked for a new index, and have got this one.
    ``failed`` are documents whose entries could not be made. ``reindex``: somebody has asked for a
    new index, and until there is one this one goes on.
    """

    index: str
    kind: str
    row: int
    xid: int
    horizon: int
    system: str
    done: tuple[int, ...] = ()
    failed: tuple[int, ...] = ()
    reindex: bool = False

    @property
    def cursor(self) -> Cursor:
        """Until where it has followed."""
        return Cursor(self.row, self.xid, self.horizon, self.system)


@dataclass
class _Following:
    """What only the process that writes knows: rows from the cursor on that it has seen."""

    state: State
    cursor: Cursor
    seen: set[int] = field(default_factory=set)


class Replica:
    """The indexes below ``folder``; for one thread of a process."""

    def __init__(self, folder: Path, engine: SearchEngine) -> None:
        self._folder, self._engine = folder, engine
        self._lock: int | None = None
        self._following: _Following | None = None
        self._retry_at = 0.0
        self._triggers_at = 0.0
        self._prune_at = 0.0
        self._replaced_at: float | None = None
        self._being_built = ""
        self._failures = 0

    @property
    def leads(self) -> bool:
        """Whether this process is the one of its host that writes."""
        return self._lock is not None

    def name(self) -> str:
        """Return what the index in use is called; '' before there is one."""
        return self._following.state.index if self._following else ""

    def is_asked_anew(self) -> bool:
        """Say whether the index in use goes on until a new one is built."""
        return bool(self._following and self._following.state.reindex)

    def failed(self) -> tuple[int, ...]:
        """Return the documents whose entries could not be made."""
        return self._following.state.failed if self._following else ()

    def path(self, state: State) -> Path:
        """Return the folder of an index."""
        return self._folder / state.index

    def take(self) -> bool:
        """Try to be the one process that writes; it stays so until it ends. Raises ``OSError``."""
        if self._lock is not None:
            return True
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def let_go(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def usable(self) -> State | None:
        """Return what was told of the index in use, None when it is none for this process."""
        try:
            told = json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
            state = State(**{**told, "done": tuple(told["done"]), "failed": tuple(told["failed"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        fits = state.kind == self._engine.kind() and self._engine.is_whole(self.path(state))
        return state if fits else None

    def follow(self) -> float | None:
        """Apply what is new; return until when the index has everything, as ``time.time``.

        None when there is no index that could follow: ``build`` makes one. Raises
        ``DatabaseError``, ``OSError``, and what the engine raises; then nothing is told.
        """
        now = time.time()
        self._look_after()
        following = self._following or self._resume()
        if following is None:
            return None
        found = stream.read(following.cursor)
        points.passed("search.read")
        fresh = [row for row in found.rows if row.number not in following.seen] if found else []
        done = following.state.done
        asked = {row.document for row in fresh if row.number not in done}
        if found is None or stream.UNKNOWN in asked:
            self._following = None
            return None
        if stream.REINDEX in asked:
            following.state = replace(following.state, reindex=True)
        self._apply(following, fresh, found.horizon)
        following.seen = {row.number for row in found.rows if row.xid >= found.horizon}
        following.seen.add(following.cursor.row)
        self._retry()
        searchstate.tell(self._folder, following.state.index, now)
        return now

    def build(self) -> State:
        """Make a new index beside the one in use, in any thread; ``switch`` uses it.

        What commits meanwhile is in the stream after its cursor.
        """
        self._being_built = name = f"{int(time.time())}-{uuid.uuid4().hex[:8]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._remove_others()
        triggers.ensure()
        cursor, covered = stream.begin()
        points.passed("search.begun")
        state = State(name, self._engine.kind(), *cursor, done=tuple(covered))
        self.path(state).mkdir()
        self._engine.build(self.path(state))
        points.passed("search.built")
        return state

    def switch(self, state: State) -> None:
        """Use an index that was built, and follow from where the stream was before."""
        self._note(state)
        points.passed("search.switched")
        self._following = _Following(state, state.cursor, {state.row, *state.done})
        self._replaced_at, self._failures, self._being_built = time.monotonic(), 0, ""

    def broken(self) -> None:
        """Hear that the engine failed; an index that fails again and again is built anew."""
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            self.discard()

    def reconsider(self) -> None:
        """Look at the folder again before the next round: it may be gone."""
        self._following = None

    def discard(self) -> None:
        """Use the index no more."""
        searchstate.forget(self._folder)
        (self._folder / _STATE).unlink(missing_ok=True)
        self._following, self._failures = None, 0

    def _resume(self) -> _Following | None:
        state = self.usable()
        if state is None:
            searchstate.forget(self._folder)
            return None
        # What commits from now on is in the stream; what was changed without it, it says.
        triggers.ensure()
        self._following = _Following(state, state.cursor, {state.row})
        return self._following

    def _apply(self, following: _Following, fresh: list[stream.Row], horizon: int) -> None:
        following.cursor = following.cursor._replace(horizon=horizon)
        if not fresh:
            return
        documents = sorted({row.document for row in fresh if row.document > stream.MARK})
        failed = set(following.state.failed) - set(documents)
        for start in range(0, len(documents), _BATCH):
            failed |= set(self._put(following, documents[start : start + _BATCH]))
        last = max(fresh)
        if last.number > following.cursor.row:
            following.cursor = following.cursor._replace(row=last.number, xid=last.xid)
        following.state = replace(
            following.state,
            **following.cursor._asdict(),
            done=tuple(n for n in following.state.done if n > last.number - stream.KEPT_ROWS),
            failed=tuple(sorted(failed)),
        )
        self._note(following.state)
        points.passed("search.noted")
        self._failures = 0

    def _put(self, following: _Following, documents: Collection[int]) -> list[int]:
        failed = self._engine.apply(self.path(following.state), documents)
        points.passed("search.applied")
        return failed

    def _retry(self) -> None:
        """Try documents again whose entries could not be made."""
        following = self._following
        if following is None or not following.state.failed or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        failed = self._put(following, following.state.failed)
        following.state = replace(following.state, failed=tuple(failed))
        self._note(following.state)

    def _look_after(self) -> None:
        now = time.monotonic()
        if self._following is not None and now >= self._triggers_at:
            triggers.ensure()
            self._triggers_at = now + _TRIGGERS_SECONDS
        if now >= self._prune_at:
            stream.prune()
            self._prune_at = now + _PRUNE_SECONDS
        if self._replaced_at is not None and now - self._replaced_at > _KEPT_SECONDS:
            self._remove_others()
            self._replaced_at = None

    def _note(self, state: State) -> None:
        """Write what is told of the index: whole or not at all, and durable."""
        replace_text(self._folder / _STATE, json.dumps(asdict(state)))

    def _remove_others(self) -> None:
        """Remove indexes that are not in use: replaced ones, and builds that were cut off."""
        state = self._following.state if self._following else self.usable()
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in {self._being_built, state and state.index}:
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path)
