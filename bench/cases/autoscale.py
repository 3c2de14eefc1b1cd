"""(l) The workers of a fleet on Kubernetes, scaled in several ways: a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.autoscale import arrivals, fleets
from bench.autoscale.measured import measured_times
from bench.autoscale.simulation import Simulation
from bench.autoscale.summary import Summary, percentile, picture
from bench.results import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.autoscale.arrivals import Day
    from bench.autoscale.fleets import Fleet
    from bench.autoscale.times import TaskTimes
    from bench.setting import Setting

MOST, FEW = 20, 10  # pods
START, SLOW_START = 20.0, 90.0  # assumed: a node with the image has room; or one is added first
CALM, BURST = "a day", f"a day with {arrivals.BURST_PAGES:,} pages scanned"
SLOW = f"the same, pods start within {SLOW_START:.0f} s"
CROWDED = f"the same, at most {FEW} pods"
SETTINGS = {
    CALM: (False, START, MOST),
    BURST: (True, START, MOST),
    SLOW: (True, SLOW_START, MOST),
    CROWDED: (True, START, FEW),
}
P50, P95, HOURS = "wait p50", "wait p95", "pod hours a day"
_SHORTER = 0.7
_SCALE_DOWNS = 1000


def measure(setting: Setting) -> Result:
    """Let each fleet live through the same days."""
    times, count = measured_times(), setting.scale.days
    result = Result("autoscale", "Scaling the workers of a fleet (simulated)", "")
    found: dict[str, dict[str, Summary]] = {}
    for name, (burst, start, most) in SETTINGS.items():
        setting.say(f"  {name}")
        days = [arrivals.day(seed, times, burst=burst) for seed in range(count)]
        found[name] = {one.name: _live(one, days, times.base, start, most) for one in fleets.FLEETS}
        for fleet, summary in found[name].items():
            _add(result, name, fleet, summary)
    result.about = _about(times, count, found[BURST])
    for fleet_ in fleets.FLEETS:
        _judge(result, fleet_, {name: summaries[fleet_.name] for name, summaries in found.items()})
    return result


def _live(fleet: Fleet, days: Sequence[Day], base: float, start: float, most: int) -> Summary:
    return Summary(
        [
            Simulation(day, fleet.scaler(most), fleet.workers, base=base, start=start).run()
            for day in days
        ]
    )


def _add(result: Result, day: str, fleet: str, summary: Summary) -> None:
    waits, wakes = summary.waits, summary.wakes
    result.add(day, fleet, P50, "s", percentile(waits, 50))
    result.add(day, fleet, P95, "s", percentile(waits, 95))
    result.add(day, fleet, HOURS, "", summary.pod_hours)
    result.add(day, fleet, "scale-downs", "", summary.scale_downs)
    result.add(day, fleet, "told to end at work", "", summary.stopped_busy)
    result.add(day, fleet, "killed", "", summary.killed)
    result.add(day, fleet, "lost", "", summary.lost)
    if len(wakes) > 1:
        shown = f"p95 {percentile(wakes, 95):.0f} s, of {len(wakes)}"
        result.add(day, fleet, "wake-up p50", "s", percentile(wakes, 50), shown)


def _judge(result: Result, fleet: Fleet, summaries: Mapping[str, Summary]) -> None:
    if not fleet.beside:
        return
    killed = sum(summary.killed for summary in summaries.values())
    downs = sum(summary.scale_downs for summary in summaries.values())
    busy = sum(summary.stopped_busy for summary in summaries.values())
    measured = f"{killed} in {downs:,} scale-downs, which told {busy} pods at work to end"
    target = f"{fleet.name}: none killed in {_SCALE_DOWNS:,} scale-downs"
    reached = killed == 0 and downs >= _SCALE_DOWNS
    result.verdicts.append(Verdict(target, "all days", measured, reached))
    for day in summaries:
        ours = result.median(day, fleet.name, P95)
        for other in fleet.beside:
            theirs = result.median(day, other, P95)
            target = f"{fleet.name}: wait p95 30 % below {other}"
            measured = f"{ours:.1f} s beside {theirs:.1f} s: {100 * (ours / theirs - 1):+.0f} %"
            result.verdicts.append(Verdict(target, day, measured, ours <= _SHORTER * theirs))
        name, least = result.best(day, fleets.CPU_ALL, HOURS) or ("", 0.0)
        hours = result.median(day, fleet.name, HOURS)
        target = f"{fleet.name}: no more pod hours than scaling by CPU"
        measured = f"{hours:.1f} beside {least:.1f} ({name})"
        result.verdicts.append(Verdict(target, day, measured, hours <= least))


def _about(times: TaskTimes, days: int, burst: Mapping[str, Summary]) -> str:
    documents = next(len(summary.outcomes[0].documents) for summary in burst.values())
    width = max(map(len, burst))
    lines = [
        f"{name:{width}} {picture(summary.outcomes[0], MOST)}" for name, summary in burst.items()
    ]
    return (
        f"**A simulation**, of {days} seeded days without a stack of scans and {days} with one "
        f"({arrivals.BURST_PAGES:,} pages at {60 / arrivals.SCANNER:.0f} a minute; the first of "
        f"these days has {documents} documents), each fleet through the same days. A task takes "
        f"{times.base:.1f} s, and with OCR {times.document:.1f} s and {times.page:.1f} s a page "
        f"more, times what measured documents differed from that. At most {MOST} pods of "
        f"one processor and one task at a time, which start within {START:.0f} s (assumed). "
        "A wait ends when a worker begins; that of a mail begins when the check is due that is to "
        "fetch it. Pods count until they are gone. *As set up today*: Celery's prefetch multiplier "
        f"{fleets.STOCK.reserve}, a grace period of {fleets.STOCK.grace:.0f} s, KEDA's list length "
        "of 5 and polling of 30 s, all by default; *at its best*: as ours, with no prefetch, "
        f"{fleets.OURS.grace:,} s of grace, one pod for each in the list, polling of 15 s. *One by "
        f"day*: from 0, and a cron trigger for one pod from {fleets.OFFICE_HOURS[0]} to "
        f"{fleets.OFFICE_HOURS[1]} o'clock. The picture is the first day with a stack, a bar for "
        f"half an hour, the highest for {MOST} pods.\n\n"
        "```text\n" + "\n".join(lines) + "\n```"
    )
