"""Named moments of tasks and search indexes (``moments``)."""

from __future__ import annotations

from paperfleet.moments import Moments

POINTS = (
    "publish.staged",
    "publish.committed",
    "publish.sent",
    "run.claimed",
    "run.restored",
    "half.taken",
    "half.collated",
    "save.noted",
    "save.stored",
    "run.fenced",
    "run.committed",
    "run.returned",
    "finish.row",
    "finish.sent",
    "sweep.fenced",
    "sweep.claimed",
    "sweep.at_rest",
    "sweep.removed",
    "search.begun",
    "search.built",
    "search.switched",
    "search.read",
    "search.applied",
    "search.noted",
)
"""In the order in which a task, or a search index, passes them; each is right after what it names.
"""

_moments = Moments()
listen_with = _moments.listen_with
passed = _moments.passed
