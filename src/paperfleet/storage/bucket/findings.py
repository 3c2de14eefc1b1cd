"""What was found out about stores by trying, handed from one process to those it forks later.

The client of a store does not live on in a forked child, so a process that is going to fork lets a
first child try, and adopts what that one found; each later child need not try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_tried: dict[str, Sequence[bool]] = {}
_adopted: dict[str, Sequence[bool]] = {}


def note(store: str, answers: Sequence[bool]) -> None:
    """Keep what this process has tried; ``store`` is the label of the storage."""
    _tried[store] = answers


def noted() -> Mapping[str, Sequence[bool]]:
    """Return what this process has tried."""
    return dict(_tried)


def adopt(found: Mapping[str, Sequence[bool]]) -> None:
    """Rely from now on upon what another process has tried."""
    _adopted.update(found)


def adopted(store: str) -> Sequence[bool] | None:
    """Return what another process has tried, None when none has."""
    return _adopted.get(store)
