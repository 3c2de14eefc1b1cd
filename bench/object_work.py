"""A program: put, get, head, list and move objects through several clients, in turns.

All clients are in one process and take turns of some tenths of a second, so that whatever else the
machine does strikes all of them. Prints, for each client and operation, how many a second there
were in each turn.
"""

from __future__ import annotations

import json
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.object_clients import CLIENTS, Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.object_clients import ObjectClient

SIZE = 100_000
LISTINGS = 8
OPERATIONS = ("put", "get", "head", "list", "move")

Rates = dict[str, dict[str, list[float]]]


class Turn:
    """One turn of a client: so many objects, each operation on all of them."""

    def __init__(self, client: ObjectClient, folder: str, number: int) -> None:
        self._client, self._folder, self._number = client, folder, number
        self._data = random.Random(folder).randbytes(SIZE)  # noqa: S311  # nothing secret

    def works(self) -> dict[str, tuple[Callable[[int], object], int]]:
        """Return what to do and how often, by operation, in the order of doing."""
        work = (self._put, self._get, self._head, self._list, self._move)
        count = {"list": LISTINGS}
        return {
            operation: (one, count.get(operation, self._number))
            for operation, one in zip(OPERATIONS, work, strict=True)
        }

    def _put(self, index: int) -> None:
        self._client.put(self._name(index), self._content(index))

    def _get(self, index: int) -> None:
        _require(self._client.get(self._name(index)) == self._content(index))

    def _head(self, index: int) -> None:
        _require(self._client.head(self._name(index)) == SIZE)

    def _list(self, _: int) -> None:
        _require(self._client.list(self._folder) == self._number)

    def _move(self, index: int) -> None:
        self._client.move(self._name(index), f"moved/{self._name(index)}")

    def _name(self, index: int) -> str:
        return f"{self._folder}/{index:05}.pdf"

    def _content(self, index: int) -> bytes:
        return index.to_bytes(4, "big") + self._data[4:]


def measure(bucket: Bucket, number: int, threads: int, turns: int) -> Rates:
    """Return operations a second by client and operation, one figure for each turn."""
    clients = {name: make(bucket) for name, make in CLIENTS.items()}
    rates: Rates = {name: {operation: [] for operation in OPERATIONS} for name in clients}
    with ThreadPoolExecutor(threads) as pool:
        for turn in range(-1, turns):
            # The first turn opens connections and loads classes; it does not count.
            plans = {
                name: Turn(client, f"{name} {turn}", number).works()
                for name, client in clients.items()
            }
            for operation in OPERATIONS:
                for name in _rotated(list(clients), turn):
                    rate = _rate(pool, *plans[name][operation])
                    if turn >= 0:
                        rates[name][operation].append(rate)
    return rates


def _rate(pool: ThreadPoolExecutor, work: Callable[[int], object], count: int) -> float:
    begun = time.perf_counter()
    done = list(pool.map(work, range(count)))
    return len(done) / (time.perf_counter() - begun)


def _rotated(names: list[str], turn: int) -> list[str]:
    first = turn % len(names)
    return names[first:] + names[:first]


def _require(same: bool) -> None:  # what was asked
    if not same:
        raise SystemExit("the store gave back something else")


def main() -> None:
    """Read the job from standard input: bucket, number, threads, turns."""
    job = json.load(sys.stdin)
    bucket = Bucket(**job.pop("bucket"))
    json.dump(measure(bucket, **job), sys.stdout)


if __name__ == "__main__":
    main()
