"""A lease backend that does what a test says, and a clock that a test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.locks.protocol import Granted, LeaseRefused

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Time stands still until it is moved."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def __call__(self) -> float:
        return self._now

    def add(self, seconds: float) -> None:
        self._now += seconds


class Scripted:
    """Grants everything, unless a hook raises, or returns a refusal or False."""

    label = "scripted"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.on_take: Callable[[], object] = lambda: None
        self.on_renew: Callable[[], object] = lambda: None
        self.on_release: Callable[[], object] = lambda: None

    def take(self, name: str, owner: str, ttl: float) -> Granted | LeaseRefused:  # noqa: ARG002  # the protocol's
        self.calls.append("take")
        answer = self.on_take()
        return answer if isinstance(answer, LeaseRefused) else Granted(len(self.calls))

    def renew(self, name: str, owner: str, generation: int, ttl: float) -> bool:  # noqa: ARG002  # the protocol's
        self.calls.append("renew")
        return self.on_renew() is not False

    def release(self, name: str, owner: str, generation: int) -> None:  # noqa: ARG002  # the protocol's
        self.calls.append("release")
        self.on_release()

    def forget(self) -> None:
        self.calls.append("forget")

    def close(self) -> None:
        self.calls.append("close")


def in_turn(*answers: Callable[[], object]) -> Callable[[], object]:
    """Return what calls one after the other, and then nothing more."""
    left = list(answers)

    def answer() -> object:
        return left.pop(0)() if left else None

    return answer
