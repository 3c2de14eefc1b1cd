"""How much is measured: everything for the table, or little to see that the benchmarks work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

KB = 1000


@dataclass(frozen=True)
class FleetScale:
    """What a fleet and paperless-ngx by itself are given, in each of the ``rounds``.

    ``documents`` for a number of workers, ``uploads`` that are searched for, ``edits`` while
    ``busy`` workers work, in at most ``edit_seconds``, and ``kills`` of a worker.
    """

    rounds: int
    documents: Mapping[int, int]
    uploads: int
    busy: int
    edits: int
    edit_seconds: int
    kills: int


@dataclass(frozen=True)
class Scale:
    """Sizes of one run. ``rounds`` are measurements per client, in turn with the others.

    ``simulated`` is the tree for the simulated Nextcloud: there a request takes as long as on a
    real one, and a run with all files would be minutes of waiting. ``renamed`` is the folder that
    is renamed; ``others`` is what lies beside what is changed. ``objects`` are put and read in each
    of the ``turns`` of a client. ``days`` are simulated of each kind.
    ``documents`` are backed up.
    """

    tree: Tree
    simulated: Tree
    renamed: Tree
    others: Tree
    rounds: int
    simulated_rounds: int
    edits: int
    live_checks: int
    many: int
    objects: int
    turns: int
    large_mb: int
    saved_mb: int
    migrated: Tree
    cloud: Tree
    fleet: FleetScale
    days: int
    documents: int
    servers: tuple[str, ...]


FULL = Scale(
    tree=Tree(files=2000, folders=100, smallest=5 * KB, largest=500 * KB, seed=1),
    simulated=Tree(files=300, folders=15, smallest=5 * KB, largest=500 * KB, seed=2),
    renamed=Tree(files=500, folders=1, smallest=5 * KB, largest=50 * KB, seed=3),
    others=Tree(files=200, folders=10, smallest=5 * KB, largest=50 * KB, seed=4),
    rounds=2,
    simulated_rounds=2,
    edits=50,
    live_checks=5,
    many=100_000,
    objects=32,
    turns=15,
    large_mb=200,
    saved_mb=2000,
    migrated=Tree(files=5000, folders=100, smallest=5 * KB, largest=500 * KB, seed=5),
    cloud=Tree(files=500, folders=60, smallest=20 * KB, largest=1150 * KB, seed=6),
    fleet=FleetScale(
        rounds=2,
        documents={1: 10, 2: 16, 4: 24},
        uploads=10,
        busy=8,
        edits=20,
        edit_seconds=40,
        kills=1,
    ),
    days=20,
    documents=10_000,
    servers=("rclone", "apache", "nextcloud"),
)
QUICK = Scale(
    tree=Tree(files=40, folders=4, smallest=KB, largest=10 * KB, seed=1),
    simulated=Tree(files=40, folders=4, smallest=KB, largest=10 * KB, seed=2),
    renamed=Tree(files=20, folders=1, smallest=KB, largest=2 * KB, seed=3),
    others=Tree(files=10, folders=2, smallest=KB, largest=2 * KB, seed=4),
    rounds=1,
    simulated_rounds=1,
    edits=3,
    live_checks=1,
    many=2000,
    objects=4,
    turns=2,
    large_mb=20,
    saved_mb=40,
    migrated=Tree(files=40, folders=4, smallest=KB, largest=10 * KB, seed=5),
    cloud=Tree(files=40, folders=4, smallest=KB, largest=10 * KB, seed=6),
    fleet=FleetScale(
        rounds=1,
        documents={1: 2},
        uploads=1,
        busy=2,
        edits=2,
        edit_seconds=20,
        kills=1,
    ),
    days=1,
    documents=20,
    servers=("wsgidav", "nextcloud"),
)
