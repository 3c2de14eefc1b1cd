"""What has come to an end on the pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from paperfleet.mirror.batch import Batch, Observation
    from paperfleet.mirror.execute import OperationResult
    from paperfleet.mirror.jobs import FolderStep
    from paperfleet.model import Operation


@dataclass(frozen=True, slots=True)
class Finished:
    """One operation came to an end: ``outcome`` is what to write down, or why it failed."""

    number: int
    operation: Operation
    outcome: OperationResult | BaseException


class StepDone(NamedTuple):
    """A step of a folder was taken, or failed."""

    step: FolderStep
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch was looked at."""

    batch: Batch
    observation: Observation | BaseException


class EndedJobs(NamedTuple):
    """What came to an end, each kind in the order of its beginning."""

    finished: list[Finished]
    steps: list[StepDone]
    looked: list[Looked]
