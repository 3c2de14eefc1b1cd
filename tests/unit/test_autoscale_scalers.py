"""What scales a fleet in the simulation decides as Kubernetes and KEDA do: tables of examples."""

from __future__ import annotations

import random

import pytest
from bench.autoscale.cluster import Pod, first_to_go
from bench.autoscale.scalers import (
    CpuScaler,
    Hpa,
    Keda,
    ListScaler,
    Seen,
    Usage,
    WorkScaler,
    by_average,
    by_cpu,
)
from tests.wide import WIDE

pytestmark = WIDE  # what measures guards no document

HOUR = 3600


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 (repeatable, no secret)


@pytest.mark.parametrize(
    ("metric", "target", "replicas", "wanted"),
    [
        (8, 1, 1, 8),
        (8, 5, 1, 2),  # rounded up
        (1, 5, 1, 1),
        (0, 1, 3, 0),
        (11, 1, 10, 10),  # within 10 %
        (9, 1, 10, 10),
        (12, 1, 10, 12),
        (8, 1, 10, 8),
        (3, 1, 0, 3),
    ],
)
def test_an_external_metric_is_shared_out(
    metric: int, target: int, replicas: int, wanted: int
) -> None:
    assert by_average(metric, target, replicas) == wanted


BUSY, HALF, IDLE = (Usage(share, settled=True) for share in (1.0, 0.5, 0.0))
STARTS, YOUNG = Usage(None, settled=False), Usage(1.0, settled=False)
UNKNOWN = Usage(None, settled=True)


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        ([BUSY], 2),  # ceil(1 x 100 / 80)
        ([BUSY] * 4, 5),
        ([BUSY] * 5, 7),
        ([BUSY, BUSY, BUSY, IDLE], 4),  # 75 % of 80 %: within the tolerance
        ([BUSY, IDLE], 2),
        ([BUSY, IDLE, IDLE, IDLE], 2),
        ([IDLE] * 3, 0),
        ([HALF] * 8, 5),
        ([STARTS], 1),  # nothing is known
        ([BUSY, STARTS], 2),  # as idle on the way up, which turns it
        ([BUSY] * 4 + [STARTS], 5),
        ([BUSY] * 6 + [YOUNG], 7),
        ([BUSY] * 9 + [YOUNG], 12),
        ([IDLE, IDLE, IDLE, STARTS], 0),  # not counted on the way down
        ([IDLE, IDLE, UNKNOWN], 2),  # as fully busy on the way down
        ([BUSY, UNKNOWN], 2),  # as idle on the way up
    ],
)
def test_processor_time_is_shared_out(pods: list[Usage], wanted: int) -> None:
    assert by_cpu(pods, 0.8) == wanted


@pytest.mark.parametrize(
    ("current", "wanted", "decided"),
    [(1, 20, 5), (5, 20, 10), (10, 99, 20), (20, 99, 20), (3, 3, 3), (1, 0, 1), (0, 9, 0)],
)
def test_an_hpa_goes_up_in_steps_and_within_its_bounds(
    current: int, wanted: int, decided: int
) -> None:
    assert Hpa(0, 20).decide(0, current, wanted) == decided


def test_an_hpa_goes_down_to_what_was_wanted_most_in_five_minutes() -> None:
    hpa = Hpa(1, 20)
    wanted = {0: 8, 15: 3, 150: 5, 299: 0, 301: 0, 449: 0, 451: 0, 599: 0, 601: 0}
    current, found = 8, []
    for now, number in wanted.items():
        current = hpa.decide(now, current, number)
        found.append(current)
    assert found == [8, 8, 8, 8, 5, 5, 1, 1, 1]


def test_keda_wakes_for_more_than_nothing_and_sleeps_after_its_cooldown() -> None:
    keda = Keda(cooldown=300)
    table = [
        (0, 0, 0, 0),  # strictly more than 0
        (15, 0, 1, 1),
        (30, 7, 1, 7),  # above one it is the HPA's
        (45, 7, 0, 7),
        (330, 7, 0, 7),
        (331, 7, 0, 0),  # from any number, whatever they do
        (346, 0, 40, 1),
    ]
    for now, current, metric, decided in table:
        assert keda.decide(now, current, metric) == decided, now
    assert Keda().decide(9999, 1, 0, least=1) == 1
    assert Keda().decide(0, 0, 0, least=2) == 2


def test_each_scaler_looks_at_its_own_number() -> None:
    seen = Seen(listed=2, work=9, usage=[BUSY] * 4)
    assert ListScaler(20, 1, 15).sync(0, 4, seen) == 4  # the waiting ones, not below five minutes
    assert ListScaler(20, 5, 30).metric(seen) == 2
    assert WorkScaler(20, 1, 15).sync(0, 4, seen) == 8  # no more than double
    assert CpuScaler(20, 0.8).sync(0, 4, seen) == 5
    assert CpuScaler(20, 0.8).poll(0, 4, Seen(0, 0, [])) == 4
    idle = Seen(listed=3, work=0, usage=[])
    assert ListScaler(20, 1, 15).poll(0, 0, idle) == 1
    assert WorkScaler(20, 1, 15).poll(0, 0, idle) == 0  # a mail check wakes nobody


@pytest.mark.parametrize(
    ("hour", "pods"), [(5.99, 0), (6, 1), (12, 1), (21.99, 1), (22, 0), (24 + 7, 1)]
)
def test_a_cron_trigger_has_one_pod_by_day(hour: float, pods: int) -> None:
    scaler = WorkScaler(20, 1, 15, hours=(6, 22))
    assert scaler.poll(hour * HOUR, 0, Seen(0, 0, [])) == pods


def test_a_replicaset_asks_nobody_whether_a_pod_works() -> None:
    never, late = Pod(1, 0), Pod(2, 0, ready=1990)
    new, old = Pod(3, 1000, ready=1020), Pod(4, 0, ready=20)
    order = first_to_go([old, new, late, never], 2000, chance(1))
    assert [pod.number for pod in order] == [1, 2, 3, 4]
    # Ready for 980 s and 1,980 s: 39 and 40 as whole logarithms of nanoseconds.
    younger, older = Pod(5, 1400, ready=1990), Pod(6, 200, ready=1990)
    assert first_to_go([older, younger], 2000, chance(1)) == [younger, older]
    alike = [Pod(number, 0, ready=900 + number) for number in range(6)]
    orders = {
        tuple(pod.number for pod in first_to_go(alike, 2000, chance(seed))) for seed in range(9)
    }
    assert len(orders) > 1


def test_metrics_server_tells_of_a_pod_what_it_did_since_the_last_look() -> None:
    pod = Pod(1, 0)
    assert pod.usage(10) == Usage(None, settled=False)
    pod.ready = 20
    pod.look(25)
    assert pod.usage(30) == Usage(None, settled=True)
    pod.look(30)
    assert pod.usage(30) == Usage(0.01, settled=False)  # the window began before it was ready
    pod.busy = 7.5
    pod.look(45)
    assert pod.usage(50) == Usage(0.5, settled=True)
