"""The times that tasks are drawn from: this folder's OCR, and the fleet's measured rate."""

from __future__ import annotations

import json
from pathlib import Path

from bench.autoscale.times import TaskTimes, fitted

OCR_TIMES = Path(__file__).with_name("ocr_times.json")
FLEET = Path(__file__).parents[1] / "results" / "fleet.json"


def measured_times() -> TaskTimes:
    """Return them. A document without OCR takes what one worker of a real fleet needed for one."""
    documents = json.loads(OCR_TIMES.read_text(encoding="utf-8"))["documents"]
    rows = json.loads(FLEET.read_text(encoding="utf-8"))["rows"]
    wanted = ("1 worker", "fleet", "documents a minute")
    rates = [r["median"] for r in rows if (r["server"], r["client"], r["metric"]) == wanted]
    pairs = [(int(one["pages"]), float(one["processor_seconds"])) for one in documents]
    return fitted(60 / rates[0], pairs)
