"""What was done to documents follows the database: kept on commit, taken back on rollback.

A write reaches the storage before the transaction commits, so that no row ever names a document
that is not there. When the transaction is rolled back, wholly or to a savepoint, its writes and
moves are undone in reverse order. A delete waits for the commit: until then the document is only
hidden from the thread that deleted it. After a kill the database rolls back by itself, and what
was written remains for ``paperfleet_check --repair``.

Django tells of commits (``transaction.on_commit``) and not of rollbacks; there it drops the
callbacks of what was rolled back (``django/db/backends/base/base.py``). So after each atomic block
``settle`` looks which callbacks are gone without having been called.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.paperless.documents.intents import Intent
    from paperfleet.paperless.documents.mounts import Mount

    Observer = Callable[[str, str, str], None]

_observers: list[Observer] = []


def observe_with(observer: Observer | None) -> None:
    """From now on call ``observer(key of the mount, name, previous name)``; None for nobody."""
    _observers[:] = [] if observer is None else [observer]


def tell(mount: Mount, name: str = "", previous: str = "") -> None:
    """Tell of a change; what the observer raises ends the transaction that made it."""
    for observer in _observers:
        observer(mount.key, name, previous)


def tell_undone(mount: Mount, name: str = "", previous: str = "") -> None:
    """Tell that a change was taken back, for those who have seen it before it was.

    Nobody waits for an error here. A block that is itself about to be rolled back takes no more
    rows, and undoes them all.
    """
    if not _observers or connections[DEFAULT_DB_ALIAS].needs_rollback:
        return
    try:
        tell(mount, name, previous)
    except DatabaseError as error:
        _log.warning(
            "the change of %s that was taken back is not in the outbox: %s. The mirror's next look"
            " at everything will find it",
            mount.path_of(name or previous),
            error,
        )


_log = logging.getLogger("paperfleet.paperless")


class CommitGuard(Protocol):
    """Who has a word before the commit of an outermost transaction, and hears how it ended."""

    def before_commit(self) -> None:
        """Raise what is to roll the transaction back."""

    def ended(self, *, committed: bool | None) -> None:
        """Hear how it ended; None when the database gave no answer."""


_guards: list[CommitGuard] = []


def guard_commits_with(guard: CommitGuard | None) -> None:
    """From now on ask this guard before each commit; None for nobody."""
    _guards[:] = [] if guard is None else [guard]


def leave(exit_block: Callable[..., Any], block: Any, error: tuple[Any, ...]) -> Any:  # noqa: ANN401  # Atomic's
    """Leave an atomic block as Django does; before a commit the guard has a word."""
    connection = transaction.get_connection(block.using)
    if not _guards or connection.savepoint_ids or not connection.in_atomic_block:
        return exit_block(block, *error)
    commits = error[0] is None and not (
        connection.needs_rollback or connection.closed_in_transaction
    )
    if not commits:
        result = exit_block(block, *error)
        _guards[0].ended(committed=False)
        return result
    try:
        _guards[0].before_commit()
    except BaseException as objection:
        exit_block(block, type(objection), objection, objection.__traceback__)
        _guards[0].ended(committed=False)
        raise
    try:
        result = exit_block(block, *error)
    except DatabaseError:
        _guards[0].ended(committed=None)
        raise
    _guards[0].ended(committed=True)
    return result


class Effect:
    """One thing that was done, or is to be done, with what a commit and a rollback mean for it.

    ``intent`` is what was noted before it was done. Of a move, ``frees`` is the area and name that
    it has left, and ``origin`` what has put the file there, where that is of the same transaction.
    """

    def __init__(
        self,
        what: str,
        *,
        commit: Callable[[], object] | None,
        rollback: Callable[[], object] | None,
        intent: Intent | None = None,
        frees: tuple[str, str] | None = None,
        origin: Effect | None = None,
    ) -> None:
        self.what = what
        self.intent, self.frees = intent, frees
        self.origin = origin or self
        self.commit, self.rollback = commit, rollback
        self.over = False

    def __call__(self) -> None:
        """Do what the commit asks for."""
        self._finish(self.commit, "after the commit")

    def undo(self) -> None:
        """Do what the rollback asks for."""
        self._finish(self.rollback, "after the rollback")

    def _finish(self, action: Callable[[], object] | None, when: str) -> None:
        if self.over:
            return
        self.over = True
        if action is None:
            return
        try:
            action()
        except OSError as error:
            # The outcome of the transaction is decided; nothing above could do anything about it.
            _log.error(  # the text says it all
                "%s could not be finished %s: %s. `manage.py paperfleet_check --repair` will do it",
                self.what,
                when,
                error,
            )


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.effects: list[Effect] = []


_mine = _PerThread()


def in_transaction() -> bool:
    """Say whether this thread has a transaction open, so that an outcome is to be waited for."""
    return connections[DEFAULT_DB_ALIAS].in_atomic_block


def follow(effect: Effect) -> None:
    """Let an effect follow the transaction that is open; without one it is committed at once."""
    if not in_transaction():
        effect()
        return
    _mine.effects.append(effect)
    transaction.on_commit(effect)


def kept() -> list[Effect]:
    """Return what the transaction that is open has done and not undone, in order."""
    waiting = {id(entry[1]) for entry in connections[DEFAULT_DB_ALIAS].run_on_commit}
    return [effect for effect in _mine.effects if not effect.over and id(effect) in waiting]


def written(area: str, name: str) -> Effect | None:
    """Return by what the open transaction has put a noted file of its own under this name."""
    there: dict[tuple[str, str], Effect] = {}
    for effect in kept() if _mine.effects else ():
        if effect.frees is not None:
            there.pop(effect.frees, None)
        if effect.intent is not None:
            there[effect.intent.area, effect.intent.name] = effect
    return there.get((area, name))


def settle() -> None:
    """Undo, the latest first, what the database has rolled back; cheap when there is nothing."""
    if not _mine.effects:
        return
    still = kept()
    waiting = set(map(id, still))
    gone = [effect for effect in _mine.effects if not effect.over and id(effect) not in waiting]
    _mine.effects = still
    for effect in reversed(gone):
        effect.undo()


@contextlib.contextmanager
def dropped(what: str, undo: Callable[[], None]) -> Iterator[None]:
    """Within this block there is an effect whose transaction is gone; for the self-test."""
    effect = Effect(what, commit=None, rollback=undo)
    _mine.effects.append(effect)
    try:
        yield
    finally:
        if effect in _mine.effects:
            _mine.effects.remove(effect)
