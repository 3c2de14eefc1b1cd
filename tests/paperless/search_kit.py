"""Web servers of a fleet that search, each on a host with folders of its own."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.paperless.delivery_kit import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.paperless.delivery_kit import Host


class Searcher:
    """A web server of the small project (``searcher``), in a process of its own."""

    def __init__(self, host: Host, **more: str) -> None:
        self.host = host
        self.log = host.folder / "searcher.log"
        environment = host.environment(**more)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [host.fleet.site.python, "-m", "tests.paperless.searcher"],
                cwd=host.fleet.site.source,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def answer(self) -> Any:  # noqa: ANN401  # JSON
        """Wait for an answer; the first one is that it serves."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the process has ended:\n{self.log.read_text()}"
        return json.loads(line)

    def ask(self, *what: object) -> Any:  # noqa: ANN401  # JSON
        """Let it do something; return what that returns."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def finds(self, words: str, *numbers: int) -> None:
        """Wait until a search finds just these documents."""
        wait_for(
            f"{self.host.name} finds {list(numbers)} for {words!r}",
            lambda: self.ask("search", words) == sorted(numbers),
        )

    def state(self) -> dict[str, Any]:
        """Return what is told of the index in use; {} before there is one."""
        return state_of(self.host)

    def kill(self) -> None:
        """End it as a loss of power does."""
        self.process.kill()
        self.process.communicate()


def folder_of(host: Host) -> Path:
    """Return the folder of a host's indexes."""
    return host.folder / "data_dir" / "index" / "fleet"


def state_of(host: Host) -> dict[str, Any]:
    """Return what is told of the index in use of a host; {} before there is one."""
    path = folder_of(host) / "state.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


@contextmanager
def searching(host: Host, **more: str) -> Iterator[Searcher]:
    """Run a web server on a host, which has its index when the block begins."""
    one = Searcher(host, **more)
    try:
        one.answer()
        wait_for("the index", lambda: one.state() or one.process.poll() is not None)
        yield one
    finally:
        one.kill()
