"""A process that holds leases on command: ``python -m paperfleet.testing.lease_child``.

The first line of its input is JSON: opener, address, name, ttl. Each further line is a command, and
each is answered by one line.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from paperfleet.errors import LeaseError, LeaseLostError, LeaseTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from paperfleet.locks.protocol import Lease, LeaseStore


def open_store(opener: str, address: str) -> LeaseStore:
    """Return the store that the function ``module:function`` opens at an address."""
    module, _, function = opener.partition(":")
    opened = getattr(importlib.import_module(module), function)(address)
    return cast("LeaseStore", opened)


class _Child:
    def __init__(self, opener: str, address: str, name: str, ttl: float) -> None:
        self._store = open_store(opener, address)
        self._name, self._ttl = name, ttl
        self._lease: Lease | None = None

    def _taken(self, timeout: float) -> Lease:
        return self._store.acquire(self._name, ttl=self._ttl, timeout=timeout)

    def _held(self) -> Lease:
        if self._lease is None:
            raise SystemExit("acquire it first")
        return self._lease

    def acquire(self, timeout: str) -> str:
        """Answer with the generation."""
        self._lease = self._taken(float(timeout))
        return f"granted {self._lease.generation}"

    def check(self) -> str:
        """Say held, or raise."""
        self._held().check()
        return "held"

    def confirm(self) -> str:
        """Say held, or raise."""
        self._held().confirm()
        return "held"

    def release(self) -> str:
        """Let go."""
        self._held().release()
        return "released"

    def write(self, path: str, text: str) -> str:
        """Append a line to a file, under the lease."""
        self._held().check()
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
        return "written"

    def count(self, path: str, rounds: str) -> str:
        """Add one to the number in a file so often; note the generations beside it."""
        counter, generations = Path(path), Path(path + ".generations")
        for _ in range(int(rounds)):
            with self._taken(120.0) as lease:
                number = int(counter.read_text(encoding="ascii"))
                lease.check()
                counter.write_text(str(number + 1), encoding="ascii")
                with generations.open("a", encoding="ascii") as stream:
                    stream.write(f"{lease.generation}\n")
        return "counted"


def _answer(command: Callable[..., str], arguments: list[str]) -> str:
    try:
        return command(*arguments)
    except LeaseTimeoutError:
        return "timeout"
    except LeaseLostError:
        return "lost"
    except LeaseError as error:
        return f"error {error}"


def main() -> None:
    """Obey until the input ends."""
    child = _Child(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        word, *arguments = line.split()
        print(_answer(getattr(child, word), arguments), flush=True)


if __name__ == "__main__":
    main()
