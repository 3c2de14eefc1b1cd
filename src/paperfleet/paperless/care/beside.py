"""What lies in the storage beside documents, as ``paperfleet_check`` tells it.

Files of deleted documents that the operator keeps (the trash folder), and those that one host of a
fleet gives another to work on: of an upload that waits, the staged file is all that there is. And
what tasks of a fleet write and have not committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.paperless.areas import STAGING, TRASH
from paperfleet.paperless.care.checking import compare
from paperfleet.paperless.care.report import Finding, Kind
from paperfleet.paperless.delivery import states, written
from paperfleet.paperless.documents.rows import Expected
from paperfleet.paperless.models import Work
from paperfleet.running.words import files_text, size_text
from paperfleet.settings.app import FLEET

LONG = 86_400.0
"""Seconds after which the scheduler should have removed what was not committed."""

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.paperless.care.report import Report
    from paperfleet.paperless.homes import Home


def tell_of_trash(home: Home, report: Report) -> None:
    """Note what is kept of deleted documents; no row knows it, and nothing here removes it."""
    sizes = [found.size for found in home.stats(TRASH)]
    if sizes:
        total = f"{files_text(len(sizes))} ({size_text(sum(sizes))})"
        report.notes.append(f"{TRASH}/ has {total} of deleted documents, which you may remove")


def look_at_staging(home: Home, report: Report, *, in_fleet: bool, by_bytes: bool) -> None:
    """Find files that tasks wait for and that are missing or damaged, and those of no task."""
    staged = list(_staged())
    for file in staged:
        finding = _wrong(home, file, by_bytes=by_bytes)
        if finding is not None and file in _staged(file.task_id):
            report.findings.append(finding)
    failed = len({file.task_id for file in staged if file.state == states.FAILED})
    if failed:
        report.notes.append(
            f"{failed} tasks have failed, and their files are kept: see paperfleet_tasks"
        )
    waiting = Work.objects.exclude(state__in=states.ENDED).count()
    if waiting and not in_fleet:
        report.faults.append(
            f"{waiting} tasks wait for workers of a fleet, and {FLEET} is off here. Give every"
            " process the same settings"
        )
    _tell_of_leftovers(home, report, {file.key for file in staged})


def look_at_written(report: Report, *, in_fleet: bool) -> None:
    """Take what a task has written for what it is, and not for an orphan.

    That of a task that runs is work in progress. That of one that is over the scheduler removes; it
    is an orphan after all where that was not done within a day, or where there is no fleet.
    """
    notes = {(note.area, note.name): note for note in written.noted()}
    writing = 0
    findings = []
    for one in report.findings:
        note = notes.get((one.area, one.name)) if one.kind is Kind.ORPHANED else None
        if note is None:
            findings.append(one)
        elif in_fleet and note.runs:
            writing += 1
        elif in_fleet and note.seconds < LONG:
            findings.append(one._replace(kind=Kind.UNCOMMITTED, reason=_by(note)))
        else:
            findings.append(one._replace(reason=f"{_by(note)}; no scheduler has removed it"))
    report.findings = findings
    if writing:
        report.notes.append(f"{files_text(writing)} of tasks that run have no document yet")


def _by(note: written.Noted) -> str:
    return f"written by task {note.task_id}, attempt {note.attempt}"


class _Staged(NamedTuple):
    task_id: str
    state: str
    key: str
    sha256: str


def _staged(task_id: str = "") -> Iterator[_Staged]:
    """Yield the files of tasks that have not ended."""
    found = Work.objects.exclude(state=states.DONE)
    if task_id:
        found = found.filter(task_id=task_id)
    for task, state, files in found.values_list("task_id", "state", "files"):
        for file in files:
            yield _Staged(task, state, str(file["key"]), str(file["sha256"]))


def _wrong(home: Home, file: _Staged, *, by_bytes: bool) -> Finding | None:
    name = file.key.removeprefix(f"{STAGING}/")
    stat = home.area(STAGING).find(name)
    if stat is None:
        return Finding(Kind.MISSING, STAGING, name, checksum=file.sha256, reason=_why(file))
    if not by_bytes:
        return None
    found = compare(home, Expected(STAGING, name, 0, file.sha256), stat)
    return found and found._replace(row=None, reason=f"{found.reason}; {_why(file)}")


def _why(file: _Staged) -> str:
    return f"task {file.task_id}, which is {file.state}, works on it"


def _tell_of_leftovers(home: Home, report: Report, known: set[str]) -> None:
    left = [found.size for found in home.stats(STAGING) if f"{STAGING}/{found.name}" not in known]
    if left:
        total = f"{files_text(len(left))} ({size_text(sum(left))})"
        report.notes.append(
            f"{STAGING}/ has {total} of no task: the scheduler of a fleet removes them after an"
            " hour, as they may be of a task that is published now"
        )
