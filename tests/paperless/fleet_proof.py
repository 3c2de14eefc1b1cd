"""What must hold of a fleet after papers were sent to it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from typing import TYPE_CHECKING

from tests.paperless import agreement
from tests.paperless.fleet_sending import FOLDER, Paper, Sent
from tests.paperless.machine_fleet import IDLE_TIMEOUT, Fleet, Host

if TYPE_CHECKING:
    from tests.paperless.rest import Rest

UNSEEN = 20.0
"""Seconds after which a file of the consume folder is touched. paperless-ngx's watcher misses one
that comes while it begins anew, and looks for those after 300 s (``document_consumer.py``)."""
SETTLE_TIMEOUT = 300.0
COMMANDS = ("paperfleet_fleet", "paperfleet_tasks", "paperfleet_check")
"""What shows how a fleet is, and ends with 0 where all is well."""
STAGING_LATER = 7200.0
"""Seconds after which the sweeper removes what a killed process has left in the staging area."""


def wait_until_idle(fleet: Fleet, timeout: float = IDLE_TIMEOUT) -> None:
    """Return once nothing is to be done: no file, no row, no task in paperless-ngx's list."""

    def idle() -> bool:
        for name, state, *more in fleet.work():
            assert state != "failed", f"{name} has failed: {more}"
        waiting = [path for host in fleet.hosts.values() for path in host.consume.rglob("*")]
        for path in waiting:
            with contextlib.suppress(FileNotFoundError):  # it was just taken
                if time.time() - path.stat().st_mtime > UNSEEN:
                    path.touch()
        return not waiting and not fleet.work() and not fleet.unfinished()

    fleet.until(idle, "the fleet has nothing to do", timeout)


def require_well(fleet: Fleet, sent: Sent, *, disturbed: bool = False) -> dict[str, object]:
    """Require what a fleet promises once it is idle; return what was seen.

    Each accepted paper is there once, and can be read and downloaded on every host; of the others
    none is there twice. No task is open, nothing is staged, and the check is clean. Where the
    fleet was ``disturbed``, the sweeper first removes what was written and not committed.
    """
    wait_until_idle(fleet)
    numbers = require_once(fleet, sent)
    failed = [
        (paper.name, task)
        for paper, task in sent.accepted.items()
        if task != FOLDER and _status(fleet, task) != "success"
    ]
    assert not failed, f"these were accepted, and their tasks failed: {failed}"
    for host in fleet.hosts.values():
        if "web" in host.roles:
            require_served(host, numbers)
        else:
            require_readable(host, numbers)
    swept = require_nothing_staged(fleet)
    removed = require_nothing_uncommitted(fleet)
    assert disturbed or not removed, f"these were written and not committed: {removed}"
    require_agreement(fleet)
    assert not local_documents(fleet), "documents are in the storage alone"
    left = {"swept": swept, "uncommitted": len(removed)}
    return {**sent.counts, "documents": len(documents(fleet)), **left}


def require_agreement(fleet: Fleet) -> None:
    """Require that rows and objects agree, past the app and by its check."""
    comparison = fleet.compare()
    comparison.require_nothing_lost()
    comparison.require_agreement()
    host = next(iter(fleet.hosts.values()))
    told = host.manage("paperfleet_check", "--json")
    checked = json.loads(told[told.index("{") : told.rindex("}") + 1])  # a log may stand before it
    assert checked["agrees"], checked
    assert not checked["uncommitted"], checked


SETTLE = """
from paperfleet.paperless.delivery import removal
print(*removal.settle(0), sep="\\n")
"""
VANISHED = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
WHERE a.state = 'idle in transaction' AND a.state_change < now() - interval '30 seconds'
AND a.datname = current_database() AND l.relation = 'documents_document'::regclass
"""


def require_nothing_uncommitted(fleet: Fleet) -> list[str]:
    """Require that the sweeper removes what tasks wrote and did not commit; return what it was.

    It does so 20 minutes after their end, when no request of theirs can be under way. Here it is
    told that it is later. The transaction of a host that is gone is ended by the database after 15.
    """
    removed: list[str] = []
    host = next(iter(fleet.hosts.values()))

    def settled() -> bool:
        if not fleet.ask("SELECT 1 FROM paperfleet_written LIMIT 1"):
            return True
        fleet.ask(VANISHED)
        told = host.shell(SETTLE).splitlines()  # a log may stand beside it
        removed.extend(
            line for line in told if line.startswith(("originals/", "archive/", "thumbnails/"))
        )
        return False

    fleet.until(settled, "the sweeper has removed what was not committed", SETTLE_TIMEOUT)
    return removed


def documents(fleet: Fleet) -> dict[int, str]:
    """Return the checksum of each document's original, also in the trash."""
    return dict(fleet.ask("SELECT id, checksum FROM documents_document"))


def require_once(fleet: Fleet, sent: Sent) -> dict[int, Paper]:
    """Require each accepted paper once, each other one at most once; return them by number."""
    found = documents(fleet)
    like = next(iter(found.values()), "0" * 64)
    by_checksum: dict[str, list[int]] = {}
    for number, checksum in found.items():
        by_checksum.setdefault(checksum, []).append(number)
    numbers: dict[int, Paper] = {}
    wrong = []
    for paper in (*sent.accepted, *sent.unknown):
        there = by_checksum.get(agreement.checksum(paper.content, like), [])
        if len(there) > 1 or (paper in sent.accepted and not there):
            wrong.append(f"{paper} is there {len(there)} times: {there}")
        numbers |= dict.fromkeys(there, paper)
    assert not wrong, wrong
    return numbers


def _status(fleet: Fleet, task: str) -> str:
    rows = fleet.ask("SELECT status FROM documents_paperlesstask WHERE task_id = %s", task)
    assert len(rows) == 1, f"task {task} is in the list {len(rows)} times"
    return str(rows[0][0]).lower()


def require_served(host: Host, numbers: dict[int, Paper]) -> None:
    """Require that a web server finds each paper, and gives original, archive and thumbnail."""
    with contextlib.closing(host.rest()) as client:
        known = {one["id"] for one in client.documents()}
        assert numbers.keys() <= known, f"{host.name} lists {sorted(known)}"
        for number, paper in numbers.items():
            where = f"{paper} as document {number} on {host.name}"
            assert client.download(number).content == paper.content, where
            about = client.metadata(number)
            if about["has_archive_version"]:
                archive = client.download(number, original=False).content
                kept = about["archive_checksum"]
                assert agreement.checksum(archive, kept) == kept, where
            thumbnail = client.get(f"documents/{number}/thumb/").content
            assert thumbnail[:4] == b"RIFF", where
            require_found(client, number, paper.word)


def require_found(client: Rest, number: int, word: str) -> None:
    """Require that a web server finds a document, and nothing else, by a word of its title."""

    def found() -> bool:
        return [one["id"] for one in client.documents(query=word)] == [number]

    client.until(found, f"document {number} to be found by {word} at {client.base_url}")


READ = """
import hashlib, json
from documents.models import Document
told = {}
for document in Document.objects.all():
    with document.source_file as stream:
        original = hashlib.sha256(stream.read()).hexdigest()
    with document.thumbnail_file as stream:
        assert stream.read(4) == b"RIFF", document.pk
    if document.has_archive_version:
        with document.archive_file as stream:
            assert stream.read(4) == b"%PDF", document.pk
    told[document.pk] = original
print(json.dumps(told))
"""


def require_readable(host: Host, numbers: dict[int, Paper]) -> None:
    """Require that a host without a web server reads each paper through the app."""
    told = json.loads(host.shell(READ).splitlines()[-1])
    for number, paper in numbers.items():
        expected = hashlib.sha256(paper.content).hexdigest()
        assert told[str(number)] == expected, f"{paper} as document {number} on {host.name}"


SWEEP = f"""
import time
from celery import current_app
from paperfleet.paperless.delivery import states, sweeper
later = lambda: time.time() + {STAGING_LATER}
one = sweeper.Sweeper(current_app, states.DeliveryLimits(), now=later)
one.sweep_staging()
print(len(one.sweep_staging()))
"""


def require_nothing_staged(fleet: Fleet) -> int:
    """Require an empty staging area; return how many objects the sweeper had to remove.

    A process that is killed between the end of a row and that of its files leaves them; no row
    names them any more, and the sweeper takes them after an hour. Here it is told that it is later.
    """
    if not fleet.staged():
        return 0
    swept = int(next(iter(fleet.hosts.values())).shell(SWEEP).splitlines()[-1])
    assert not fleet.staged(), "the sweeper leaves them too"
    return swept


def local_documents(fleet: Fleet) -> list[str]:
    """Return the files in the local folders of documents."""
    return [
        f"{host.name}: {path.name}"
        for host in fleet.hosts.values()
        for area in ("originals", "archive", "thumbnails")
        for path in (host.machine.folder / "media" / "documents" / area).rglob("*")
        if path.is_file()
    ]
