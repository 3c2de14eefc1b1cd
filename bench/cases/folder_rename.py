"""(c) A folder is renamed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench import clients
from bench.processes import running as process
from bench.relay import counted
from bench.results import Result, Verdict
from bench.setting import sync, wait_for
from bench.trees import plant

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from bench.clients import Client
    from bench.relay import Relay
    from bench.servers import Target
    from bench.setting import Running, Setting

SECONDS, REQUESTS = "seconds", "requests"
RUNNING = "paperfleet, running"
_FIRST = "folder 000"


def measure(setting: Setting) -> Result:
    """Measure time on the direct way and count requests through a relay."""
    result = Result(
        "folder_rename",
        "Rename of a folder",
        f"A folder ({setting.scale.renamed}) beside {setting.scale.others} gets another name. "
        "A whole process each; a mirror that runs is measured from the rename until the folder is "
        "at the target under its new name, with its settle time of 0.1 s, and its requests until "
        "then.",
    )
    for server in setting.servers():
        for client in _compared(server):
            _measure_seconds(setting, server, client, result)
            _count_requests(setting, server, client, result)
        _measure_running(setting, server, result)
        requests = result.median(server.title, RUNNING, REQUESTS)
        result.verdicts.append(
            Verdict("one request", server.title, f"{requests:g} while running", requests <= 1)
        )
    return result


def _compared(server: Running) -> list[Client]:
    peers = clients.rclones(renames=True)
    # Without --track-renames it sends everything again: half a minute of simulated waiting.
    return [clients.ours(), *(peers[1:] if server.kind.simulated else peers)]


class _Trees:
    """A source and a target that are equal; the folder has another name at each call."""

    def __init__(self, source: Path, target: Target, at: Target, journal: Path) -> None:
        self.source, self.target, self.at, self.journal = source, target, at, journal
        self._folder, self._count = source / _FIRST, 0

    def rename(self) -> Path:
        """Rename the folder; return it as it will be at the target."""
        self._count += 1
        self._folder = self._folder.rename(self.source / f"renamed {self._count}")
        return self.target.root / self._folder.name

    def sync(self, client: Client) -> float:
        """Return how many seconds it takes."""
        command = client.sync(self.source, self.at, self.journal)
        return sync(command, self.source, self.target.root).seconds


@contextmanager
def _equal_trees(setting: Setting, server: Running) -> Iterator[tuple[_Trees, Relay]]:
    source = setting.path("source")
    plant(source, setting.scale.renamed)
    plant(source / "others", setting.scale.others)
    with server.folder() as target, counted(target.url) as relay:
        yield _Trees(source, target, target, setting.path("journal")), relay


def _measure_seconds(setting: Setting, server: Running, client: Client, result: Result) -> None:
    with _equal_trees(setting, server) as (trees, _):
        trees.sync(clients.ours())
        for _ in range(setting.rounds(server.kind)):
            trees.rename()
            result.add(server.title, client.name, SECONDS, "s", trees.sync(client))


def _count_requests(setting: Setting, server: Running, client: Client, result: Result) -> None:
    with _equal_trees(setting, server) as (trees, relay):
        trees.at = trees.target.through(relay.url)
        trees.sync(clients.ours())
        trees.rename()
        relay.taken()
        trees.sync(client)
        _add(result, server, client.name, relay.taken())


def _measure_running(setting: Setting, server: Running, result: Result) -> None:
    with _equal_trees(setting, server) as (trees, relay):
        trees.at = trees.target.through(relay.url)
        command = clients.paperfleet(trees.source, trees.at, trees.journal)
        trees.sync(clients.ours())
        with process(command):
            (trees.source / "ready.txt").write_text("ready")
            wait_for(trees.target.root / "ready.txt")
            for _ in range(setting.rounds(server.kind)):
                time.sleep(3)  # the look at the target after the last change is over
                relay.taken()
                begun = time.perf_counter()
                wait_for(trees.rename())
                seconds = time.perf_counter() - begun
                _add(result, server, RUNNING, relay.taken())
                result.add(server.title, RUNNING, SECONDS, "s", seconds)


def _add(result: Result, server: Running, client: str, methods: Counter[str]) -> None:
    text = ", ".join(f"{count} {method}" for method, count in methods.most_common())
    result.add(server.title, client, REQUESTS, "", methods.total(), text)
