"""Faults of the Nextcloud double, told per method and path."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Cut = Literal["before", "after", "middle", "killed"]


@dataclass
class Fault:
    """What goes wrong with the requests that match.

    `status` answers with that status and without any effect, or after the effect with `effect`
    (a proxy that timed out). `cut` ends the connection without an answer: "before" any effect,
    "after" the effect, in the "middle" of the body (which is then a real aborted transfer; what has
    no body takes effect), or in the middle because the server's worker was "killed", which leaves
    the name locked for an hour. `delay` in seconds comes first and may stand alone. `meanwhile` is
    called right before the request is answered, as by somebody who is faster, and may stand alone.
    `times` None means always.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    times: int | None = 1
    delay: float = 0.0
    cut: Cut | None = None
    effect: bool = False
    meanwhile: Callable[[], object] | None = None
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Tell whether this fault is still due for such a request."""
        due = self.times is None or self.hits < self.times
        return due and self.method in {"*", method} and _same(self.path, path)


def _same(wanted: str, path: str) -> bool:
    return wanted == path or fnmatchcase(path, wanted)


class Faults:
    """The faults in force; the first match wins. Safe to use from many threads."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        method: str = "*",
        path: str = "*",
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        times: int | None = 1,
        delay: float = 0.0,
        cut: Cut | None = None,
        effect: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> Fault:
        """Let requests fail; see `Fault`. `path` is a path or a glob below the storage root.

        Outside of it: "uploads/ID/1", "bulk", "status.php". Method "BULK" hits single parts of a
        bulk upload by their path, and only with a `status`.
        """
        fault = Fault(
            method, path, status, headers or {}, body, times, delay, cut, effect, meanwhile
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that is due for this request, and count it."""
        with self._lock:
            found = next((f for f in self._faults if f.matches(method, path)), None)
            if found is not None:
                found.hits += 1
            return found

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._faults.clear()
