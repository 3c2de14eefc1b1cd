"""Comparing the database with what a home holds: by the bytes of every file, unless told else."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from paperfleet.errors import InvalidNameError, NotFoundError, Scope, StorageError
from paperfleet.model import Obstacle
from paperfleet.paperless.areas import ALWAYS
from paperfleet.paperless.care.inventory import Inventory
from paperfleet.paperless.care.report import BROKEN, Finding, Kind, Report
from paperfleet.paperless.documents import digests, files, incidents, rows
from paperfleet.paperless.homes import IGNORED, KEPT, local_names
from paperfleet.storage.names import is_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from paperfleet.model import FileStat
    from paperfleet.paperless.documents.rows import Expected
    from paperfleet.paperless.homes import Home

THREADS = 8
_AHEAD = 4
"""Files that are handed out for each thread."""
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def check(
    home: Home,
    areas: Collection[str],
    *,
    quick: bool,
    fast: bool = False,
    begin: Callable[[int, int], Callable[[int], None]],
) -> Report:
    """Compare, and return what is not as it should be; raise the error of a whole storage.

    ``quick`` compares names alone, ``fast`` reads no bytes of which the storage tells a SHA-256
    that it vouches for. ``begin`` is told how many files and bytes there are, and returns
    what is called with the size of each file that was read. What looks wrong is looked at twice:
    paperless-ngx may be at work meanwhile.
    """
    report = Report(quick=quick)
    with Inventory(home) as inventory:
        inventory.expect(rows.expected(areas))
        obstacles: list[Finding] = []
        for area in areas:
            inventory.find(area, _readable(home, area, obstacles))
        report.files, report.size = inventory.totals()
        found = [_missing(file) for file in inventory.missing()]
        if not quick:
            found += _damaged(home, inventory, report, begin(report.files, report.size), fast=fast)
        found += [_orphan(area, stat) for area, stat in inventory.orphaned() if _counts(stat)]
    report.findings = [now for one in found if (now := again(home, one)) is not None]
    report.findings += obstacles
    report.findings += copies(home, files.ASIDE, Kind.ASIDE)
    report.findings += copies(home, KEPT, Kind.KEPT)
    return report


def _readable(home: Home, area: str, obstacles: list[Finding]) -> Iterator[FileStat]:
    """Yield the files of an area; what is there and is none is added to the obstacles."""
    for item in home.survey(area):
        if not isinstance(item, Obstacle):
            yield item
        elif not is_unfinished(item.name):  # paperless-ngx may be saving it at this moment
            obstacles.append(Finding(Kind.OBSTACLE, area, item.name, reason=item.reason))


def left_behind(home: Home, roots: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is in paperless-ngx's own folders, by local root and area, and not in ``home``."""
    for root, area in roots.items():
        storage = home.area(area)
        for name in local_names(root):
            if not storage.exists(name):
                yield Finding(Kind.LEFT_BEHIND, area, name, stored=f"{root}/{name}")


def _missing(file: Expected) -> Finding:
    return Finding(Kind.MISSING, file.area, file.name, file.row, file.checksum)


def _orphan(area: str, stat: FileStat) -> Finding:
    return Finding(Kind.ORPHANED, area, stat.name, size=stat.size)


def _counts(stat: FileStat) -> bool:
    return stat.name.rpartition("/")[2] not in IGNORED


def _damaged(
    home: Home,
    inventory: Inventory,
    report: Report,
    advance: Callable[[int], None],
    *,
    fast: bool,
) -> list[Finding]:
    """Compare every file that has a checksum; return those that differ, count how they were."""

    def look(pair: tuple[Expected, FileStat]) -> tuple[Finding | None, int, bool]:
        file, stat = pair
        trust = fast and not digests.is_md5(file.checksum)
        return compare(home, file, stat, trust=trust), stat.size, trust

    found = []
    with ThreadPoolExecutor(THREADS, thread_name_prefix="check") as pool:
        for finding, size, trusted in in_parallel(pool, look, inventory.present()):
            advance(size)
            report.vouched += trusted
            report.read += not trusted
            if finding is not None:
                found.append(finding)
    return found


def compare(home: Home, file: Expected, stat: FileStat, *, trust: bool = False) -> Finding | None:
    """Return what is wrong with the bytes of a file, None when nothing is.

    With ``trust`` the word of a storage that vouches for its bytes counts; else they are read.

    Raises the error of a storage that is out of reach as a whole.
    """
    about = (file.area, file.name, file.row, file.checksum)
    try:
        digest = digests.comparable(home.area(file.area), stat, file.checksum, trust=trust)
    except NotFoundError:
        return Finding(Kind.MISSING, *about)
    except StorageError as error:
        if error.scope is Scope.STORAGE:
            raise
        return Finding(Kind.UNREADABLE, *about, error.reason)
    if digest == file.checksum:
        return None
    reason = f"the database says {file.checksum}, it is {digest}"
    return Finding(Kind.DAMAGED, *about, reason, size=stat.size)


def in_parallel(
    pool: ThreadPoolExecutor, work: Callable[[_In], _Out], items: Iterable[_In]
) -> Iterator[_Out]:
    """Yield the results in order, with few items at a time taken from the iterable."""
    running: deque[Future[_Out]] = deque()
    for item in items:
        running.append(pool.submit(work, item))
        if len(running) >= THREADS * _AHEAD:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def again(home: Home, finding: Finding, *, by_bytes: bool = False) -> Finding | None:
    """Return what is wrong with the file now, None when it was a moment of some work.

    Of a file that was missing and is there now, the bytes are compared with ``by_bytes`` alone.
    """
    if finding.row is None:
        return None if _is_settled(home, finding.area, finding.name) else finding
    file = rows.again(rows.Expected(finding.area, finding.name, finding.row, finding.checksum))
    if file is None:
        return None
    try:
        stat = home.area(file.area).find(file.name)
    except InvalidNameError as error:
        return _missing(file)._replace(reason=error.reason)
    if stat is None:
        return _missing(file)
    if not file.checksum or (finding.kind is Kind.MISSING and not by_bytes):
        return None
    return compare(home, file, stat)


def _is_settled(home: Home, area: str, name: str) -> bool:
    """Say whether a file that no row had is gone, or has one now."""
    if not home.area(area).exists(name):
        return True
    return area in ALWAYS and rows.named(area, name) is not None


def copies(home: Home, key: str, kind: Kind) -> Iterator[Finding]:
    """Yield what lies below ``aside`` or ``kept``: ``<key>/<token>/<area>/<name>``."""
    for stat in home.base.list_stats(key):
        parts = stat.name.split("/", 3)
        area, name = parts[2:] if len(parts) == 4 else ("", parts[-1])
        yield Finding(kind, area, name, stored=stat.name, size=stat.size)


def settle_incidents(report: Report, home: Home) -> None:
    """After a check that has read all bytes, forget what was found to be right; tell the rest.

    After any other check everything is told again.
    """
    by_bytes = not report.quick and not report.vouched
    wrong = {(one.area, one.name) for one in report.of(*BROKEN)}
    for incident in incidents.known(incidents.REFUSED):
        text = incidents.told(incident)
        if by_bytes and (incident.area, incident.name) not in wrong:
            incidents.forget(incidents.REFUSED, incident.area, incident.name)
            report.notes.append(f"{text}. Its bytes are right now")
        else:
            report.refused.append(text)
    for incident in incidents.known(incidents.UNDELETED):
        if home.area(incident.area).exists(incident.name):
            report.notes.append(incidents.told(incident))
        else:
            incidents.forget(incidents.UNDELETED, incident.area, incident.name)
