"""A program: make single changes, and take the time until each is at the target.

What is at the target is read from the server's folder on disk, not by HTTP. The clock starts when a
file at the source is closed (renamed, removed), or when a bare request is about to be sent.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from bench.bare import BareClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KINDS = ("create", "overwrite", "rename", "delete")
SIZE = 100_000
FOLDER = "live"
KEPT = f"{FOLDER}/kept.txt"
_LONGEST = 30.0
_LOOK_SECONDS = 0.001
_BETWEEN = (0.02, 0.06)


class Editor(Protocol):
    """Makes changes; each method returns when the clock began, as ``time.perf_counter`` has it."""

    def write(self, name: str, content: bytes) -> float: ...
    def rename(self, old: str, new: str) -> float: ...
    def delete(self, name: str) -> float: ...


class SourceEditor:
    """Makes changes in a folder that a mirror watches."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, name: str, content: bytes) -> float:
        (self._root / name).write_bytes(content)
        return time.perf_counter()

    def rename(self, old: str, new: str) -> float:
        (self._root / old).rename(self._root / new)
        return time.perf_counter()

    def delete(self, name: str) -> float:
        (self._root / name).unlink()
        return time.perf_counter()


class BareEditor:
    """Makes changes by single requests of the HTTP client that the mirror uses."""

    def __init__(self, client: BareClient, url: str) -> None:
        self._client, self._url = client, url

    def write(self, name: str, content: bytes) -> float:
        return self._ask("PUT", name, content)

    def rename(self, old: str, new: str) -> float:
        return self._ask("MOVE", old, Destination=self._url + quote(new))

    def delete(self, name: str) -> float:
        return self._ask("DELETE", name)

    def _ask(self, method: str, name: str, body: bytes | None = None, **headers: str) -> float:
        begun = time.perf_counter()
        self._client.ask(method, name, body, **headers)
        return begun


class Target:
    """Looks at the server's folder on disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def has(self, name: str, size: int) -> bool:
        try:
            return (self._root / name).stat().st_size == size
        except FileNotFoundError:
            return False

    def lacks(self, name: str) -> bool:
        return not (self._root / name).exists()


def measure(editor: Editor, target: Target, number: int) -> dict[str, list[float]]:
    """Create, overwrite, rename and delete ``number`` files; return seconds by kind of change."""
    chance = random.Random(number)  # noqa: S311  # pauses, nothing secret
    samples: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for index in range(number):
        for kind, seconds in _life(editor, target, index):
            samples[kind].append(seconds)
            time.sleep(chance.uniform(*_BETWEEN))
    return samples


def _life(editor: Editor, target: Target, index: int) -> Iterator[tuple[str, float]]:
    """Let one file come, change and go; yield each step with its seconds."""
    old, new = f"{FOLDER}/new {index}.pdf", f"{FOLDER}/renamed {index}.pdf"
    size = SIZE + index
    begun = editor.write(old, bytes(size))
    yield "create", _until(lambda: target.has(old, size)) - begun
    begun = editor.write(old, bytes(2 * size))
    yield "overwrite", _until(lambda: target.has(old, 2 * size)) - begun
    begun = editor.rename(old, new)
    yield "rename", _until(lambda: target.has(new, 2 * size) and target.lacks(old)) - begun
    begun = editor.delete(new)
    yield "delete", _until(lambda: target.lacks(new)) - begun


def _until(arrived: Callable[[], bool]) -> float:
    """Wait for it and return when it was."""
    deadline = time.monotonic() + _LONGEST
    while not arrived():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a change did not arrive within {_LONGEST:g} s")
        time.sleep(_LOOK_SECONDS)
    return time.perf_counter()


def main() -> None:
    """Read the job from standard input: root, number; source, or else url, user, password."""
    job = json.load(sys.stdin)
    target = Target(Path(job["root"]))
    if "source" in job:
        samples = measure(SourceEditor(Path(job["source"])), target, job["number"])
    else:
        with BareClient(job["url"], job["user"], job["password"]) as client:
            samples = measure(BareEditor(client, job["url"]), target, job["number"])
    json.dump(samples, sys.stdout)


if __name__ == "__main__":
    main()
