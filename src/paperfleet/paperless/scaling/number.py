"""How much work waits or runs, from what was read. Pure.

In a fleet each task of the table has a row, and rows are the truth; the broker tells of those that
have none. Without a fleet the broker tells what waits, and paperless-ngx's own list what runs, as a
message is gone from the broker when its task begins. A task counts once, by its number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.paperless.delivery.states import RUNNING, WAITING
from paperfleet.paperless.delivery.tasks import SCHEDULED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from paperfleet.paperless.delivery.broker import BrokerLook
    from paperfleet.paperless.delivery.states import RowGroup


class ScalingFacts(NamedTuple):
    """What was read.

    ``rows`` are those of a fleet, ``listed`` the numbers of tasks that paperless-ngx's own list
    shows as running, or as published a moment ago, and that count.
    """

    broker: BrokerLook
    rows: Sequence[RowGroup] = ()
    listed: frozenset[str] = frozenset()
    is_fleet: bool = False


def counts(name: str) -> bool:
    """Say whether a worker is worth starting for a task: for all but what the scheduler starts.

    An unknown one counts.
    """
    return name not in SCHEDULED


def work(facts: ScalingFacts) -> int:
    """Return how many tasks that count wait or run; one whose worker has died waits, or will."""
    loose = {
        message.task_id
        for message in facts.broker.messages
        if counts(message.name)
        and not message.is_expired
        and not (facts.is_fleet and message.has_row)
    }
    rows = sum(group.rows for group in facts.rows if _is_work(group))
    return rows + len(loose | facts.listed) + _unread(facts)


def _is_work(group: RowGroup) -> bool:
    return counts(group.name) and (
        group.state == RUNNING or (group.state == WAITING and not group.is_expired)
    )


def _unread(facts: ScalingFacts) -> int:
    """Return how many messages that were not read may be tasks that nothing else tells of."""
    known = sum(group.rows for group in facts.rows if group.state in {WAITING, RUNNING})
    seen = {message.task_id for message in facts.broker.messages if message.has_row}
    return max(0, facts.broker.unread - max(0, known - len(seen)))
