"""What every benchmark needs: its scale, a place for files, servers, and how to compare trees."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from bench.processes import BenchError, Command, Ended, run
from bench.servers import SERVERS, folder_at, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.servers.base import WebDavServer

    from bench.scale import Scale
    from bench.servers import Kind, Target
    from bench.trees import Tree

_LONGEST = 60.0
_LOOK_SECONDS = 0.005


@dataclass
class Running:
    """A server that runs."""

    kind: Kind
    server: WebDavServer

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.kind.title

    def folder(self) -> AbstractContextManager[Target]:
        """Make a new folder there for the length of a block."""
        return folder_at(self.kind, self.server)


class Setting:
    """The setting of a run."""

    def __init__(self, scale: Scale, scratch: Path, servers: Sequence[str]) -> None:
        self.scale = scale
        self._servers = servers or scale.servers
        self._scratch = scratch
        self._numbers = count(1)

    def path(self, name: str) -> Path:
        """Return a path that was not used before."""
        return self._scratch / f"{name}-{next(self._numbers)}"

    def servers(self) -> Iterator[Running]:
        """Run each server that can run here, one after the other."""
        for name in self._servers:
            reason = missing(name)
            if reason:
                self.say(f"without {name}: {reason}")
                continue
            with self._running(name) as running:
                yield running

    @contextmanager
    def _running(self, name: str) -> Iterator[Running]:
        kind = SERVERS[name]
        self.say(f"  {kind.title}")
        with kind.start() as server:
            yield Running(kind, server)

    def rounds(self, kind: Kind) -> int:
        """Return how often each client is measured."""
        return self.scale.simulated_rounds if kind.simulated else self.scale.rounds

    def tree(self, kind: Kind) -> Tree:
        """Return the tree that is sent to a server."""
        return self.scale.simulated if kind.simulated else self.scale.tree

    def say(self, text: str) -> None:
        """Tell the person who waits."""
        print(text, file=sys.stderr, flush=True)


def sync(command: Command, source: Path, root: Path) -> Ended:
    """Run a command; its time ends when everything of the source is at the target's folder.

    Some servers answer before the file is in its place. Raises ``BenchError`` when that does not
    come about or when a byte differs.
    """
    ended = run(command)
    begun = time.perf_counter()
    wanted, deadline = _sizes(source), time.monotonic() + _LONGEST
    late = 0.0
    while _sizes(root) != wanted:
        if time.monotonic() > deadline:
            raise BenchError(f"the target never became equal after {command.arguments[:4]}")
        time.sleep(_LOOK_SECONDS)
        late = time.perf_counter() - begun
    _check_bytes(source, root)
    return ended._replace(seconds=ended.seconds + late)


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + _LONGEST
    while not path.exists():
        if time.monotonic() > deadline:
            raise BenchError(f"{path.name} did not arrive")
        time.sleep(_LOOK_SECONDS)


def _sizes(root: Path) -> dict[str, int]:
    found = ((path, path.stat()) for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): stat.st_size for path, stat in found}


def _check_bytes(source: Path, root: Path) -> None:
    for path in source.rglob("*"):
        name = path.relative_to(source)
        if path.is_file() and path.read_bytes() != (root / name).read_bytes():
            raise BenchError(f"{name} arrived with other bytes")
