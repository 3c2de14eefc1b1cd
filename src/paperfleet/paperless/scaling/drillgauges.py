"""What ``/metrics`` tells of drills of the backup. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.web.metrics import MetricGauge

if TYPE_CHECKING:
    from paperfleet.backup.published import Published


def gauges(found: Published | None) -> list[MetricGauge]:
    """Return how drills of the backup ended, where this host has its folder."""
    if found is None:
        return []
    is_green = found.last is not None and found.last.is_green
    restored: dict[tuple[str, ...], float] = {}
    if found.green is not None:
        restored[()] = found.green.restore_seconds
    return [
        MetricGauge(
            "paperfleet_backup_drill_age_seconds",
            "Age of the last green drill of the backup; +Inf when none was ever green",
            {(): found.age()},
        ),
        MetricGauge(
            "paperfleet_backup_drill_green",
            "1 when the last drill of the backup was green; 0 when not, or there was none",
            {(): float(is_green)},
        ),
        MetricGauge(
            "paperfleet_backup_drill_restore_seconds",
            "What the last green drill took to restore all documents",
            restored,
        ),
    ]
