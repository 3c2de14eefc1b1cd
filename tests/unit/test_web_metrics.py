"""Metrics over HTTP: their format, who asks at once, what is away, and the port."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.servers.base import HOST, free_port

from paperfleet.errors import NotReadyError
from paperfleet.web import metrics
from paperfleet.web.metrics import MetricGauge, MetricsAnswers, MetricsServer, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WORK = MetricGauge("paperfleet_work", "Tasks", {(): 3})
STATES = MetricGauge(
    "paperfleet_tasks", "Tasks", {("waiting",): 2, ("running",): 1.5}, labels=("state",)
)


def keda_value(text: str, location: str) -> float:
    """Return what KEDA's metrics-api trigger finds (pkg/scalers/metrics_api_scaler.go).

    With ``format: prometheus`` it wants every line in order, takes the family of exactly that name,
    and of it the first untyped, counter or gauge whose labels have all that the location names.
    """
    name, _, rest = location.partition("{")
    wanted = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    family = families[name]
    assert family.type in {"gauge", "counter", "unknown"}
    return next(
        sample.value
        for sample in family.samples
        if wanted.items() <= sample.labels.items() and sample.name == name
    )


def test_keda_finds_the_values() -> None:
    text = text_of([WORK, STATES]).decode()
    assert keda_value(text, "paperfleet_work") == 3
    assert keda_value(text, 'paperfleet_tasks{state="running"}') == 1.5
    assert "\r" not in text
    assert text.endswith("\n")
    assert "paperfleet_work 3.0\n" in text


@contextlib.contextmanager
def served(
    read: Callable[[], Sequence[MetricGauge]], address: str = HOST, **more: float
) -> Iterator[str]:
    port = free_port()
    server = MetricsServer(address, port, MetricsAnswers(read, **more))
    server.start()
    try:
        wait_until_taken(port)
        yield f"http://{HOST}:{port}"
    finally:
        server.stop()
        assert not server.is_alive()


def wait_until_taken(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 5):
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens at {port}")


def test_it_is_served_under_its_path_alone() -> None:
    with served(lambda: [WORK]) as url:
        answer = httpx.get(f"{url}/metrics?any=1")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert keda_value(answer.text, "paperfleet_work") == 3
        assert httpx.get(f"{url}/").status_code == 404
        assert httpx.post(f"{url}/metrics").status_code == 501


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_everywhere_means_both_kinds_of_addresses() -> None:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        with served(lambda: [WORK], "::") as url:
            assert httpx.get(f"{url}/metrics").status_code == 200
            port = url.rpartition(":")[2]
            assert httpx.get(f"http://[::1]:{port}/metrics").status_code == 200
        return
    pytest.skip("this machine has no address ::1")


def test_what_is_away_is_no_zero_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    away = True

    def read() -> list[MetricGauge]:
        if away:
            raise NotReadyError("Redis does not answer")
        return [WORK]

    with caplog.at_level(logging.WARNING), served(read, fresh=0) as url:
        for _ in range(2):
            answer = httpx.get(f"{url}/metrics")
            assert (answer.status_code, answer.text) == (503, "Redis does not answer\n")
        away = False
        assert httpx.get(f"{url}/metrics").status_code == 200
    told = ["metrics: Redis does not answer", "metrics: they can be read again"]
    assert caplog.messages == told


def test_a_mistake_of_ours_is_no_zero(caplog: pytest.LogCaptureFixture) -> None:
    def read() -> list[MetricGauge]:
        raise KeyError("secret")

    with served(read) as url:
        answer = httpx.get(f"{url}/metrics")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "could not be read" in caplog.text


def test_several_who_ask_at_once_get_one_answer() -> None:
    asked: list[float] = []

    def read() -> list[MetricGauge]:
        asked.append(time.monotonic())
        return [WORK]

    answers = MetricsAnswers(read, fresh=60)
    threads = [threading.Thread(target=answers) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    fresh = MetricsAnswers(read, fresh=0)
    fresh()
    fresh()
    assert len(asked) == 3


def test_nobody_waits_for_a_server_that_hangs() -> None:
    goes_on = threading.Event()
    asked = threading.Event()

    def read() -> list[MetricGauge]:
        asked.set()
        goes_on.wait(60)
        return [WORK]

    answers = MetricsAnswers(read, patience=0.05)
    thread = threading.Thread(target=answers)
    thread.start()
    assert asked.wait(10)
    assert answers().status == 503
    goes_on.set()
    thread.join()
    assert answers().status == 200


def test_a_port_that_becomes_free_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    with served(lambda: [WORK]) as url:
        port = int(url.rpartition(":")[2])
        second = MetricsServer(HOST, port, MetricsAnswers(lambda: [WORK, STATES]), is_alone=False)
        second.start()
        assert "paperfleet_tasks" not in httpx.get(f"{url}/metrics").text
    try:
        wait_until_taken(port)
        assert "paperfleet_tasks" in httpx.get(f"{url}/metrics").text
    finally:
        second.stop()
    assert caplog.messages == []


def test_a_port_of_somebody_else_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_USED_SECONDS", 0.0)
    monkeypatch.setattr(metrics, "BIND_AGAIN_SECONDS", 0.01)
    with socket.create_server((HOST, 0)) as other:
        server = MetricsServer(HOST, other.getsockname()[1], MetricsAnswers(lambda: [WORK]))
        server.start()
        end = time.monotonic() + 20
        while not caplog.messages and time.monotonic() < end:
            time.sleep(0.02)
        server.stop()
    (message,) = caplog.messages
    assert "PAPERFLEET_METRICS_PORT" in message
