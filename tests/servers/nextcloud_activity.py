"""The activity stream of the Nextcloud double."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Kind = Literal["created", "changed", "deleted", "restored", "renamed", "moved"]


@dataclass(frozen=True)
class Activity:
    """One event; `text` is what the user reads."""

    kind: Kind
    path: str
    text: str


def happened(kind: Kind, path: str, actor: str = "You") -> Activity:
    """Return the entry of an event on one path."""
    return Activity(kind, path, f"{actor} {kind} {_name(path)}")


def went(old: str, new: str, actor: str = "You") -> Activity:
    """Return the one entry of a MOVE: a new name in the same folder, or a new folder."""
    if _folder(old) == _folder(new):
        return Activity("renamed", new, f"{actor} renamed {_name(old)} to {_name(new)}")
    return Activity("moved", new, f"{actor} moved {_name(old)} to {_folder(new) or '/'}")


def grouped(activity: list[Activity]) -> list[list[Activity]]:
    """Return the entries as shown: neighbours that created, changed or deleted are one."""
    groups: list[list[Activity]] = []
    for kind, entries in groupby(activity, lambda entry: entry.kind):
        batch = list(entries)
        alone = kind in {"renamed", "moved", "restored"}
        groups += [[entry] for entry in batch] if alone else [batch]
    return groups


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
