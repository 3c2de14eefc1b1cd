"""The number of parallel requests converges to what a simulated server likes."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean

import pytest

from paperfleet.mirror.parallelism import Parallelism

SERVICE = 0.05  # seconds that one request takes alone


@dataclass
class Server:
    """Serves up to ``saturates`` requests at full speed; more of them share that speed.

    Beyond ``throttles`` at once it refuses. ``spread`` is how much the size, and with it the time,
    of one request differs from that of another. The client sends ``row`` of them one after the
    other in each thread, and tells of all at once.
    """

    saturates: int
    throttles: int = 1_000
    spread: float = 0.5
    seed: int = 1
    row: int = 1

    now: float = 0.0
    limits: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0
    served: int = 0

    def run(self, parallelism: Parallelism, requests: int, *, most_at_once: int = 1_000) -> None:
        """Let a client send so many requests, as many at once as it is told to."""
        random_ = random.Random(self.seed)  # noqa: S311 a simulation that can be repeated
        under_way: list[tuple[float, float, int, bool]] = []
        while self.served + len(under_way) < requests or under_way:
            allowed = min(parallelism.limit, most_at_once)
            while len(under_way) < allowed and self.served + len(under_way) < requests:
                at_once = len(under_way) + 1
                factor = 1 + self.spread * random_.uniform(-1, 1)
                slow = max(1.0, at_once / self.saturates)
                ends = self.now + SERVICE * factor * slow * self.row
                size = int(200_000 * factor * self.row)
                heapq.heappush(under_way, (ends, self.now, size, at_once > self.throttles))
            ends, began, size, refused = heapq.heappop(under_way)
            self.now = ends
            if refused:
                self.refused += 1
                parallelism.throttled(self.now)
            else:
                self.served += 1
                parallelism.done(size, ends - began, self.now, self.row)
            self.limits.append((self.now, parallelism.limit))

    def mean_limit(self, last: float = 0.5) -> float:
        """Return the mean limit over the last part of the requests."""
        return mean(limit for _, limit in self.limits[int(len(self.limits) * (1 - last)) :])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("saturates", "low", "high"), [(1, 1, 2), (2, 1.5, 3), (4, 3, 5)])
def test_settles_near_the_point_of_saturation(
    saturates: int, low: float, high: float, seed: int
) -> None:
    server = Server(saturates, seed=seed)
    server.run(Parallelism(start=2, most=8), 4_000)
    assert low <= server.mean_limit() <= high


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("saturates", "low", "high"), [(1, 1, 2.5), (4, 3, 5), (8, 6.5, 8)])
def test_rows_of_requests_teach_the_same(
    saturates: int, low: float, high: float, seed: int
) -> None:
    server = Server(saturates, seed=seed, row=20)
    server.run(Parallelism(start=2, most=8), 4_000)
    assert low <= server.mean_limit() <= high


def test_rows_of_requests_teach_sooner() -> None:
    server = Server(saturates=8, spread=0.2, row=20)
    server.run(Parallelism(start=2, most=8), 2_000)
    first = next(number for number, (_, limit) in enumerate(server.limits) if limit == 8)
    assert first < 150


@pytest.mark.parametrize("seed", range(5))
def test_reaches_the_most_on_a_server_that_likes_it(seed: int) -> None:
    parallelism = Parallelism(start=2, most=8)
    server = Server(saturates=8, seed=seed)
    server.run(parallelism, 4_000)
    assert server.mean_limit() >= 6.5
    assert max(limit for _, limit in server.limits) == 8


def test_gets_there_within_a_few_hundred_requests() -> None:
    server = Server(saturates=8, spread=0.2)
    server.run(Parallelism(start=2, most=8), 2_000)
    first = next(number for number, (_, limit) in enumerate(server.limits) if limit == 8)
    assert first < 500


@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_throttles_is_seldom_asked_for_too_much(seed: int) -> None:
    server = Server(saturates=8, throttles=4, seed=seed)
    server.run(Parallelism(start=2, most=8), 6_000)
    assert 2.5 <= server.mean_limit() <= 4.5
    assert server.refused <= 0.005 * server.served


def test_does_not_oscillate() -> None:
    server = Server(saturates=2)
    server.run(Parallelism(start=2, most=8), 6_000)
    late = [limit for _, limit in server.limits[len(server.limits) // 2 :]]
    changes = sum(one != other for one, other in pairwise(late))
    assert changes <= 40
    assert max(late) - min(late) <= 3


def test_follows_a_server_that_becomes_better() -> None:
    parallelism = Parallelism(start=2, most=8)
    server = Server(saturates=2)
    server.run(parallelism, 1_500)
    server.saturates = 8
    server.run(parallelism, 8_000)
    assert server.mean_limit(0.2) >= 5


def test_follows_a_server_that_becomes_worse() -> None:
    parallelism = Parallelism(start=2, most=8)
    server = Server(saturates=8)
    server.run(parallelism, 1_500)
    server.saturates = 2
    server.run(parallelism, 8_000)
    assert server.mean_limit(0.2) <= 4


def test_idle_times_teach_nothing() -> None:
    parallelism = Parallelism(start=2, most=8)
    server = Server(saturates=8)
    server.run(parallelism, 1_000, most_at_once=1)
    assert {limit for _, limit in server.limits} == {2}


def test_many_refusals_at_once_halve_once() -> None:
    parallelism = Parallelism(start=8, most=8)
    for _ in range(8):
        parallelism.throttled(1.0)
    assert parallelism.limit == 4


def test_never_leaves_its_bounds() -> None:
    parallelism = Parallelism(start=2, most=3)
    random_ = random.Random(3)  # noqa: S311 a simulation that can be repeated
    for number in range(20_000):
        now = number * 0.01
        if random_.random() < 0.02:
            parallelism.throttled(now)
        else:
            parallelism.done(random_.randrange(100_000), 0.01 * parallelism.limit, now)
        assert 1 <= parallelism.limit <= 3


def test_comes_back_after_throttling() -> None:
    parallelism = Parallelism(start=4, most=8)
    parallelism.throttled(0.0)
    assert parallelism.limit == 2
    server = Server(saturates=8)
    server.run(parallelism, 6_000)
    assert max(limit for _, limit in server.limits) >= 7


def test_starts_within_its_bounds() -> None:
    assert Parallelism(start=20, most=8).limit == 8
    assert Parallelism(start=0, most=8).limit == 1
