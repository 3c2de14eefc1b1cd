"""What happens to rows of ``Work``: each function is one step, and raises ``DatabaseError``.

Times are those of the database, so that hosts need not agree about theirs. Every step names the
attempt that it is about; when that is over, nothing changes and the step says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction
from django.db.models import BooleanField, Case, Count, Exists, F, Min, OuterRef, Sum, Value, When
from django.db.models.functions import Now

from paperfleet.paperless.delivery import owner as owners
from paperfleet.paperless.delivery import states
from paperfleet.paperless.delivery.message import Message, of_row
from paperfleet.paperless.models import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from paperfleet.paperless.delivery.states import DeliveryLimits, Seen

IDLE = "30s"
"""After so long the database ends a transaction whose host vanished between fence and commit."""


@dataclass(frozen=True)
class StagedFile:
    """A file in the storage that the task finds under ``path``; ``size`` in bytes."""

    key: str
    path: str
    size: int
    sha256: str
    modified_ns: int


@dataclass
class Claim:
    """A row that this process has; ``attempt`` is the fence."""

    task_id: str
    name: str
    attempt: int
    files: Sequence[StagedFile] = ()
    document: int | None = None
    reason: str = ""
    message: Message | None = field(default=None, repr=False)


def add(
    message: Message,
    files: Sequence[StagedFile],
    *,
    source: str = "",
    parent: tuple[str, int] | None = None,
) -> None:
    """Write the row of a new task: it waits, or is held until the attempt ``parent`` has ended."""
    parent_id, parent_attempt = parent or ("", 0)
    Work.objects.create(
        task_id=message.headers["id"],
        name=message.headers["task"],
        state=states.HELD if parent else states.WAITING,
        offered=Now(),
        expires=message.expires,
        body=message.body,
        envelope=message.stored_envelope(),
        files=[vars(file) for file in files],
        source=source,
        parent=parent_id,
        parent_attempt=parent_attempt,
    )


def message_of(task_id: str) -> tuple[Message, int] | None:
    """Return message and deaths of a row that waits, None when it does not wait any more."""
    found = Work.objects.filter(task_id=task_id, state=states.WAITING)
    row = found.values_list("body", "envelope", "deaths").first()
    return (of_row(*row[:2]), row[2]) if row else None


def known_file(identity: str) -> str | None:
    """Return which task a file of the consume folder was published for, None for a new one."""
    return Work.objects.filter(source=identity).values_list("task_id", flat=True).first()


def claim(task_id: str, limits: DeliveryLimits) -> Claim | None:
    """Take a row that waits, or whose owner is known to be gone; None when it is not to be had."""
    with transaction.atomic():
        row = Work.objects.select_for_update().filter(task_id=task_id).first()
        if row is None:
            return None
        if row.state == states.RUNNING:
            if not owners.is_gone(row.owner):
                return None
            row.reason = row.reason or states.condemnation(_seen_briefly(row), limits)
            row.deaths += 1
        elif row.state != states.WAITING:
            return None
        row.state, row.owner = states.RUNNING, owners.this_process()
        row.attempt += 1
        Work.objects.filter(task_id=task_id).update(
            state=row.state,
            owner=row.owner,
            attempt=row.attempt,
            deaths=row.deaths,
            reason=row.reason,
            heartbeat=Now(),
        )
    return Claim(
        task_id,
        row.name,
        row.attempt,
        [StagedFile(**file) for file in row.files],  # type: ignore[arg-type]  # as it was stored
        row.document,
        row.reason,
    )


def _seen_briefly(row: Work) -> Seen:
    return states.Seen(
        row.task_id,
        row.name,
        row.state,
        row.attempt,
        row.deaths,
        made=row.document is not None,
        condemned=bool(row.reason),
    )


def _mine(task_id: str, attempt: int) -> Any:  # noqa: ANN401  # a query
    return Work.objects.filter(task_id=task_id, attempt=attempt, state=states.RUNNING)


def beat(task_id: str, attempt: int) -> bool:
    """Say that an attempt lives; return whether it is still the one."""
    return bool(_mine(task_id, attempt).update(heartbeat=Now()))


def fence(claimed: Claim, document: int | None) -> list[str] | None:
    """Hold the row until the transaction that is open ends, and note what it makes.

    Return None when the attempt is over. To be called as the last thing before the commit. What was
    published before a document waits from this commit on, as no later attempt publishes it again;
    the tasks are returned.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE}'")
    made = {} if document is None else {"document": document}
    if not _mine(claimed.task_id, claimed.attempt).update(heartbeat=Now(), **made):
        return None
    return [] if document is None else _release_children(claimed)


def finish(
    claimed: Claim,
    *,
    failure: str = "",
    keep: bool = False,
    half: bool = False,
    also: Callable[[], None] = lambda: None,
) -> list[str] | None:
    """End an attempt; return the tasks that were published by it and wait, None when fenced.

    With ``keep`` the row stays, with its files and the failure; with ``half`` as a first half.
    ``also`` is done in the same transaction.
    """
    with transaction.atomic():
        mine = _mine(claimed.task_id, claimed.attempt)
        row = mine.select_for_update().values("source").first()
        if row is None:
            return None
        if keep:
            mine.update(state=states.FAILED, reason=failure, offered=Now())
        elif half:
            mine.update(state=states.HALF, parent="", offered=Now())
        elif row["source"]:
            mine.update(state=states.DONE, offered=Now(), files=[])
        else:
            mine.delete()
        also()
        _release_children(claimed)
        # Also those that an earlier attempt released with its document, and did not live to offer.
        waiting = Work.objects.filter(parent=claimed.task_id, state=states.WAITING)
        return list(waiting.values_list("task_id", flat=True))


def _release_children(claimed: Claim) -> list[str]:
    held = Work.objects.filter(
        parent=claimed.task_id, parent_attempt=claimed.attempt, state=states.HELD
    )
    names = list(held.values_list("task_id", flat=True))
    Work.objects.filter(task_id__in=names).update(state=states.WAITING, offered=Now())
    return names


def again(claimed: Claim, message: Message) -> None:
    """Let a running task that asked to be retried wait with its new message, when it has ended."""
    claimed.message = message


def wait_again(claimed: Claim, *, died: bool = False) -> bool:
    """Let a row wait once more, after a retry or because its attempt was given up.

    Return whether it was still this attempt's.
    """
    changed: dict[str, Any] = {"state": states.WAITING, "owner": "", "offered": Now()}
    if claimed.message is not None:
        changed["body"] = claimed.message.body
        changed["envelope"] = claimed.message.stored_envelope()
    if died:
        changed["deaths"] = F("deaths") + 1
    with transaction.atomic():
        if not _mine(claimed.task_id, claimed.attempt).update(**changed):
            return False
        if claimed.message is not None:
            _release_children(claimed)
    return True


def deaths(task_id: str) -> int:
    """Return how many attempts ended without an answer."""
    return Work.objects.filter(task_id=task_id).values_list("deaths", flat=True).first() or 0


def survey() -> list[Seen]:
    """Return what the sweeper looks at: every row that has not ended."""
    alive = Work.objects.filter(
        task_id=OuterRef("parent"), attempt=OuterRef("parent_attempt"), state=states.RUNNING
    )
    found = (
        Work.objects.exclude(state__in=states.ENDED)
        .annotate(now=Now(), has_parent=Exists(alive))
        .values(
            *("task_id", "name", "state", "attempt", "deaths", "heartbeat", "offered", "document"),
            *("reason", "expires", "now", "has_parent"),
        )
    )
    return [_seen(row) for row in found]


def _seen(row: dict[str, Any]) -> Seen:
    now = row["now"]
    return states.Seen(
        task_id=row["task_id"],
        name=row["name"],
        state=row["state"],
        attempt=row["attempt"],
        deaths=row["deaths"],
        silent=(now - row["heartbeat"]).total_seconds() if row["heartbeat"] else 0.0,
        offered=(now - row["offered"]).total_seconds() if row["offered"] else 0.0,
        made=row["document"] is not None,
        condemned=bool(row["reason"]),
        expired=row["expires"] is not None and row["expires"] < now,
        orphaned=not row["has_parent"],
    )


def groups() -> list[states.RowGroup]:
    """Return how many rows there are of each state and name; without those that only remember."""
    is_expired = Case(
        When(expires__lt=Now(), then=Value(value=True)),
        default=Value(value=False),
        output_field=BooleanField(),
    )
    found = (
        Work.objects.exclude(state=states.DONE)
        .order_by()
        .annotate(is_expired=is_expired)
        .values("state", "name", "is_expired")
        .annotate(count=Count("pk"), oldest=Now() - Min("created"), all_deaths=Sum("deaths"))
    )
    return [
        states.RowGroup(
            row["state"],
            row["name"],
            row["count"],
            row["is_expired"],
            row["oldest"].total_seconds(),
            row["all_deaths"],
        )
        for row in found
    ]


def take_from_owner(task_id: str, attempt: int, reason: str, silence: float) -> bool:
    """Let a row whose attempt is silent wait again; return whether it was that attempt still.

    A row that is held by a transaction about to commit is left for the next time.
    """
    with transaction.atomic():
        row = (
            _mine(task_id, attempt)
            .filter(heartbeat__lt=Now() - timedelta(seconds=silence))
            .select_for_update(skip_locked=True)
            .first()
        )
        if row is None:
            return False
        Work.objects.filter(task_id=task_id).update(
            state=states.WAITING,
            owner="",
            deaths=F("deaths") + 1,
            offered=Now(),
            reason=row.reason or ("" if row.document is not None else reason),
        )
    return True


def offered(task_id: str) -> None:
    """Note that a waiting row is published now."""
    Work.objects.filter(task_id=task_id, state=states.WAITING).update(offered=Now())


def remove(task_id: str, state: str) -> list[StagedFile] | None:
    """Remove a row that is in this state; return its files, None when it is not."""
    with transaction.atomic():
        row = Work.objects.select_for_update().filter(task_id=task_id, state=state).first()
        if row is None:
            return None
        row.delete()
    return [StagedFile(**file) for file in row.files]  # type: ignore[arg-type]  # as it was stored


def not_done() -> list[Work]:
    """Return every row that waits, runs or has failed, the oldest first; without messages."""
    return list(Work.objects.exclude(state=states.DONE).defer("body", "envelope"))


def files_of(task_id: str, state: str) -> list[StagedFile] | None:
    """Return the files of a row that is in this state, None when it is not."""
    found = Work.objects.filter(task_id=task_id, state=state).values_list("files", flat=True)
    row = found.first()
    return None if row is None else [StagedFile(**file) for file in row]


def retry(task_id: str) -> bool:
    """Let a failed row wait as if it were new; return whether there was one."""
    changed = Work.objects.filter(task_id=task_id, state=states.FAILED).update(
        state=states.WAITING, deaths=0, reason="", offered=Now(), owner=""
    )
    return bool(changed)


def forget_done(seconds: float) -> None:
    """Remove rows that only remember a file of the consume folder, and have done so for long."""
    Work.objects.filter(state=states.DONE, offered__lt=Now() - timedelta(seconds=seconds)).delete()


def staged_tasks(task_ids: Iterable[str]) -> set[str]:
    """Return those of these tasks that have a row."""
    found = Work.objects.filter(task_id__in=list(task_ids))
    return set(found.values_list("task_id", flat=True))
