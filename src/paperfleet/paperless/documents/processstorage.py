"""A storage that is opened in the process that uses it, and there once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from paperfleet.storage.full import full

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.storage.full import FullStorage
    from paperfleet.storage.protocol import DocumentStorage


class ProcessStorage:
    """Opens and enters a storage on first use, and again after a fork.

    Connections and the threads of a client do not live on in a forked child, and Celery forks its
    workers. The storage is entered for as long as the process lives: streams that were opened
    outlive any block.
    """

    def __init__(self, factory: Callable[[], DocumentStorage]) -> None:
        self._factory = factory
        self._lock = threading.Lock()
        self._opened: FullStorage | None = None
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> FullStorage:
        """Return the storage; raise what constructing or entering it raises."""
        if self._opened is None:
            with self._lock:
                if self._opened is None:
                    self._opened = full(self._factory()).__enter__()
        return self._opened

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._opened = None
