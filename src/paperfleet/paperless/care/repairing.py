"""Mending what a check found, without ever losing a byte.

Content that a row needs is found by its checksum: among orphans (a rename that was cut off) and
among what transactions kept aside. What has to make way is kept. Nothing else is deleted, but for
copies of which the document itself is intact, and what ``--delete-orphans`` asks for.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import IntegrityError, NotFoundError, StorageError
from paperfleet.paperless.areas import ALWAYS
from paperfleet.paperless.care.checking import THREADS, again, compare, in_parallel
from paperfleet.paperless.care.report import BROKEN, Finding, Kind, Repair, Report
from paperfleet.paperless.documents import digests, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from paperfleet.paperless.documents.digests import FileDigests
    from paperfleet.paperless.documents.rows import Expected
    from paperfleet.paperless.homes import Home
    from paperfleet.storage.full import FullStorage

OLD_SECONDS = 86_400.0
"""What a save that was cut off left behind goes after so many seconds."""

_STRAY = (Kind.ORPHANED, Kind.UNCOMMITTED)
"""What lies under a name that no row has."""
_SOURCES = (*_STRAY, Kind.ASIDE, Kind.KEPT)
"""Where the content of a broken row can be, the best place first."""
_DELETABLE = (Kind.ORPHANED, Kind.ASIDE, Kind.KEPT)
"""What may be asked to be deleted; what was not committed is the scheduler's."""


class _Candidate(NamedTuple):
    """Content that no row has, and its checksums."""

    finding: Finding
    digests: FileDigests


def repair(
    home: Home,
    report: Report,
    at_rest: Callable[[], AbstractContextManager[None]],
    *,
    delete_orphans: bool,
) -> None:
    """Mend what can be mended, noting each in the report.

    Everything is done inside of ``at_rest``, in which nobody else changes documents; what changed
    since the check is left alone. Orphans are deleted only when no document is broken any more:
    they may be what is left of it.
    """
    candidates = _candidates(home, report)
    with at_rest():
        worker = _Repairer(home, candidates)
        for finding in report.of(*BROKEN):
            report.repairs += worker.mend(finding)
        for finding in report.of(Kind.ASIDE):
            if finding not in worker.used:
                report.repairs += worker.drop_unneeded(finding)
        for used in worker.used:
            report.repairs.append(Repair(used, "put in its place"))
        _look_again(home, report)
        if delete_orphans and not report.of(*BROKEN):
            for finding in deletable(report):
                report.repairs += worker.delete(finding)


def _look_again(home: Home, report: Report) -> None:
    """Drop what was work in progress during the check; it has come to its end by now.

    What a repair put in its place and could not prove is there, too, and stays a finding.
    """
    for finding in report.of(*BROKEN, *_STRAY):
        now = again(home, finding, by_bytes=True)
        at = report.findings.index(finding)
        report.findings[at : at + 1] = [] if now is None else [now]


def deletable(report: Report) -> list[Finding]:
    """Return what ``--delete-orphans`` is about: content that no row needs."""
    return report.of(*_DELETABLE)


def sweep(home: Home) -> int:
    """Remove what saves that were cut off left behind a day ago; return how many."""
    return home.base.sweep(OLD_SECONDS)


def _candidates(home: Home, report: Report) -> list[_Candidate]:
    """Read what could be the content of a broken row."""
    if not any(finding.checksum for finding in report.of(*BROKEN)):
        return []

    def look(finding: Finding) -> _Candidate | None:
        try:
            return _Candidate(finding, digests.read(*_where(home, finding)))
        except StorageError:
            return None  # what cannot be read mends nothing, and stays listed

    with ThreadPoolExecutor(THREADS, thread_name_prefix="repair") as pool:
        found = in_parallel(pool, look, report.of(*_SOURCES))
        return [candidate for candidate in found if candidate is not None]


def _where(home: Home, finding: Finding) -> tuple[FullStorage, str]:
    if finding.stored:
        return home.base, finding.stored
    return home.area(finding.area), finding.name


class _Repairer:
    """Does single repairs; a failure of one is noted and does not stop the rest."""

    def __init__(self, home: Home, candidates: list[_Candidate]) -> None:
        self._home, self._candidates = home, candidates
        self.used: list[Finding] = []

    def mend(self, finding: Finding) -> Iterator[Repair]:
        """Give a row its content back, if it is somewhere."""
        known = rows.Expected(finding.area, finding.name, finding.row or 0, finding.checksum)
        candidate = self._candidate(known)
        if candidate is None or rows.again(known) != known:
            return
        source = candidate.finding
        try:
            self._put_in_place(known, source)
        except StorageError as error:
            yield Repair(finding, f"to be restored from {source.place}", str(error))
        else:
            self.used.append(source)
            yield Repair(finding, f"restored from {source.place}")

    def _candidate(self, file: Expected) -> _Candidate | None:
        """Return content with the row's checksum, an orphan first: a move leaves nothing behind."""
        fitting = [
            candidate
            for candidate in self._candidates
            if file.checksum
            and candidate.finding.area == file.area
            and candidate.finding not in self.used
            and candidate.digests.like(file.checksum) == file.checksum
        ]
        return min(fitting, key=lambda one: _SOURCES.index(one.finding.kind), default=None)

    def _put_in_place(self, file: Expected, source: Finding) -> None:
        area = self._home.area(file.area)
        in_the_way = area.find(file.name) is not None
        if in_the_way:
            self._home.keep(file.area, file.name)
        if source.kind in _STRAY:
            if in_the_way:
                area.delete(file.name)  # a move never overwrites
            area.move(source.name, file.name)
            self._prove(file)
            return
        with self._home.base.open(source.stored) as content:
            area.save(file.name, content)
        self._prove(file)
        self._home.base.delete(source.stored)

    def _prove(self, file: Expected) -> None:
        stat = self._home.area(file.area).stat(file.name)
        wrong = compare(self._home, file, stat)
        if wrong is not None:
            raise IntegrityError(wrong.reason, operation="restore", name=file.name)

    def drop_unneeded(self, finding: Finding) -> Iterator[Repair]:
        """Delete a copy that was kept aside when the document itself is intact."""
        if finding.area not in ALWAYS:
            return
        file = rows.named(finding.area, finding.name)
        if file is None or not file.checksum:
            return
        try:
            stat = self._home.area(file.area).find(file.name)
            if stat is None or compare(self._home, file, stat) is not None:
                return
        except StorageError as error:
            yield Repair(finding, "to be compared with the document", str(error))
            return
        yield self._deleted(finding, "deleted: the document is intact")

    def delete(self, finding: Finding) -> Iterator[Repair]:
        """Delete content that no row has, if that is still so."""
        could_have_row = finding.kind is Kind.ORPHANED and finding.area in ALWAYS
        if could_have_row and rows.named(finding.area, finding.name) is not None:
            return
        yield self._deleted(finding, "deleted")

    def _deleted(self, finding: Finding, what: str) -> Repair:
        storage, name = _where(self._home, finding)
        try:
            storage.delete(name)
        except NotFoundError:
            return Repair(finding, "gone already")
        except StorageError as error:
            return Repair(finding, f"to be {what}", str(error))
        return Repair(finding, what)
