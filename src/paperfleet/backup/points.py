"""Named moments of a backup and a restore, on both sides (``moments``)."""

from __future__ import annotations

from paperfleet.moments import Moments

POINTS = (
    "run.ready",
    "collect.exported",
    "collect.copied",
    "collect.named",
    "collect.noted",
    "collect.brought",
    "collect.locked",
    "collect.pruned",
    "collect.written",
    "run.collected",
    "run.kept",
    "run.cleared",
    "run.forgotten",
    "restore.laid_out",
    "restore.brought",
    "restore.filled",
    "restore.imported",
    "restore.proven",
    "restore.ended",
)
"""In the order in which a backup, then a restore, passes them; each is right after what it names.
"""

_moments = Moments()
listen_with = _moments.listen_with
passed = _moments.passed
