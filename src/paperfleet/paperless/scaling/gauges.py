"""What ``/metrics`` of the web role tells, and where it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import current_app
from django.db import connection

from paperfleet.backup import published
from paperfleet.paperless.delivery import states
from paperfleet.paperless.scaling import drillgauges, reading
from paperfleet.paperless.scaling.number import counts, work
from paperfleet.web.metrics import MetricGauge, MetricsAnswers, MetricsServer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from paperfleet.paperless.scaling.number import ScalingFacts
    from paperfleet.settings.app import AppSettings

_STATES = (states.WAITING, states.RUNNING, states.HELD, states.FAILED, states.HALF)


def serve(settings: AppSettings, environ: Mapping[str, str]) -> None:
    """Serve metrics in a thread.

    To be called by the thread that loads the app: another one would not find its Celery.
    """
    address = settings.metrics_address or environ["GRANIAN_HOST"]
    app = current_app._get_current_object()  # noqa: SLF001  # Celery's only way to it
    is_alone = environ.get("GRANIAN_WORKERS", "1") == "1"
    answers = MetricsAnswers(lambda: [*_read(app), *drillgauges.gauges(published.here(environ))])
    MetricsServer(address, settings.metrics_port, answers, is_alone=is_alone).start()


def _read(app: Celery) -> list[MetricGauge]:
    try:
        return gauges(reading.read(app))
    finally:
        connection.close()  # of the thread of this request


def gauges(facts: ScalingFacts) -> list[MetricGauge]:
    """Return what was read as gauges."""
    found = [
        MetricGauge(
            "paperfleet_work",
            "Tasks that wait or run and that a worker is worth starting for",
            {(): work(facts)},
        ),
        MetricGauge(
            "paperfleet_broker_messages",
            "Messages in Redis: those in its lists, and those that workers have taken",
            {("listed",): facts.broker.listed, ("taken",): facts.broker.taken},
            ("place",),
        ),
    ]
    return [*found, *_of_rows(facts)] if facts.is_fleet else found


def _of_rows(facts: ScalingFacts) -> list[MetricGauge]:
    waiting = [
        group.oldest
        for group in facts.rows
        if group.state == states.WAITING and counts(group.name) and not group.is_expired
    ]
    return [
        MetricGauge(
            "paperfleet_tasks",
            "Tasks of a fleet by their state, also those that do not count as work",
            {
                (state,): sum(group.rows for group in facts.rows if group.state == state)
                for state in _STATES
            },
            ("state",),
        ),
        MetricGauge(
            "paperfleet_oldest_waiting_seconds",
            "Age of the oldest task that waits and counts as work; 0 when none does",
            {(): max(waiting, default=0.0)},
        ),
        MetricGauge(
            "paperfleet_task_deaths",
            "Workers that died while they ran tasks that have not ended yet, or have failed",
            {(): sum(group.deaths for group in facts.rows)},
        ),
    ]
