"""The thread of a web server that leads the search index of its host after the stream.

Every process that serves has it; one of them writes, the others use what it has written.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import DatabaseError, connection

from paperfleet.paperless.search import engines, own, stream
from paperfleet.paperless.search.replica import Replica, State
from paperfleet.running import searchstate

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS: Final = 0.5
_TELL_SECONDS: Final = 5.0
_AWAY_SECONDS: Final = 2.0
_log = logging.getLogger("paperfleet.paperless")


class _Build(threading.Thread):
    """A build in a thread of its own."""

    def __init__(self, build: Callable[[], State]) -> None:
        super().__init__(name="new search index", daemon=True)
        self._build = build
        self.state: State | None = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Build."""
        try:
            self.state = self._build()
        except BaseException as error:  # noqa: BLE001  # told by whoever waits for it
            self.error = error
        finally:
            connection.close()


class Follower:
    """Follows the stream until it is stopped."""

    def __init__(self, folder: Path, name: str = "") -> None:
        self._folder = folder
        self._host = name or socket.gethostname()
        self._name = hashlib.sha256(f"{self._host} {folder}".encode()).hexdigest()[:32]
        self._engine = engines.engine()
        self._replica = Replica(folder, self._engine)
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="search index", daemon=True)
        self._tell_at = 0.0
        self._used = ""
        self._away = False
        self._beside: list[_Build] = []

    def start(self) -> None:
        """Use the index that is there, and begin to follow."""
        _forget_own_index(self._folder.parent)
        if state := self._replica.usable():
            self._use(state)
        own.follow_with(self.has)
        stream.listen_with(self._edited)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; for tests."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()
        self._replica.let_go()
        own.follow_with(None)

    def has(self, moment: float) -> bool:
        """Say whether searches of this process see what was committed at a time."""
        current = searchstate.current(self._folder)
        if current is None or current < moment:
            return False
        if not self._replica.leads:
            self._engine.refresh()
        return True

    def _edited(self) -> None:
        own.edited()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._once()
                self._away = False
            except (DatabaseError, OSError) as error:
                if not self._away:
                    _log.warning("the search index waits: %s", error)
                self._away = True
                self._replica.reconsider()
                connection.close()
                self._stopped.wait(_AWAY_SECONDS)
            except BaseException:  # noqa: BLE001  # Tantivy's panics are no Exception
                _log.exception("the search index could not be written")
                self._replica.broken()
                connection.close()
                self._stopped.wait(_AWAY_SECONDS)
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
        connection.close()

    def _once(self) -> None:
        if not self._replica.take():
            self._join()
            return
        current = self._replica.follow()
        if current is None:
            while self._beside:  # it would be followed from a place that is lost
                self._beside.pop().join()
            self._note(None, "is being built")
            self._finish(self._build())
            current = self._replica.follow()
        elif self._replica.is_asked_anew():
            self._build_beside()
        self._tell(current)

    def _join(self) -> None:
        """Use what another process of this host writes."""
        state = self._replica.usable()
        if state is not None and state.index != self._used:
            self._use(state)
        elif state is not None:
            self._engine.refresh()

    def _build(self) -> State:
        begun = time.monotonic()
        _log.info("a search index of this host is built")
        state = self._replica.build()
        _log.info("the search index of this host was built in %.1f s", time.monotonic() - begun)
        return state

    def _finish(self, state: State) -> None:
        self._replica.switch(state)
        self._use(state)
        self._tell_at = 0.0

    def _build_beside(self) -> None:
        """Build in a thread of its own, while searches and changes go on with the one in use."""
        if not self._beside:
            self._beside.append(_Build(self._build))
        elif not self._beside[0].is_alive():
            built = self._beside.pop()
            if built.state is None:
                raise OSError(f"no new search index was built: {built.error}")
            self._finish(built.state)

    def _use(self, state: State) -> None:
        self._engine.use(self._replica.path(state))
        self._used = state.index

    def _tell(self, current: float | None) -> None:
        if time.monotonic() < self._tell_at:
            return
        failed = self._replica.failed()
        text = f"documents without an entry: {', '.join(map(str, failed))}" if failed else ""
        self._note(current, text)
        self._tell_at = time.monotonic() + _TELL_SECONDS

    def _note(self, current: float | None, text: str) -> None:
        age = None if current is None else max(0.0, time.time() - current)
        stream.note_replica(self._name, self._host, age, text)


def _forget_own_index(folder: Path) -> None:
    """Let paperless-ngx build its own index anew where the fleet is left: nobody leads it here.

    These say that it is up to date (``documents/search/_schema.py``, ``init-search-index/run``).
    """
    (folder / ".index_settings.json").unlink(missing_ok=True)
    (folder.parent / ".index_version").unlink(missing_ok=True)


_follower: list[Follower] = []


def follow_index(_get_response: object) -> None:
    """Begin to follow when a server starts (Django makes its middleware then), and step aside."""
    if not _follower:
        _follower.append(Follower(Path(settings.DATA_DIR) / searchstate.FOLDER))
        _follower[0].start()
    raise MiddlewareNotUsed
