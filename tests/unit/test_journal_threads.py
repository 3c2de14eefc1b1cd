"""Many threads on one journal, and a reader beside them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from paperfleet.journal.journal import Journal
from paperfleet.model import FileStat, KnownFile, Put

THREADS = 4
EACH = 60


def file(name: str) -> KnownFile:
    return KnownFile(name, name, 1, "aa" * 32, 1, None, None, None)


def work(journal: Journal, thread: int) -> None:
    """Bring every third operation to each of its ends."""
    for number in range(EACH):
        name = f"{thread}/{number:03}"
        stat = FileStat(name, 1, sha256="bb" * 32)
        [operation_id] = journal.record([Put(stat, name, "created")])
        journal.start([operation_id])
        match number % 3:
            case 0:
                journal.complete(operation_id, [file(name)])
            case 1:
                journal.fail(operation_id)
            case _:
                journal.doubt(operation_id)
        journal.known_at([f"{thread}"])


def watch(journal: Journal, path: Path, stop: Event) -> int:
    """Count the completed files again and again; they must never become fewer."""
    rounds, before = 0, 0
    with Journal.read(path) as view:
        while not stop.is_set():
            inside = sum(1 for _ in journal.known())
            outside = view.count_known()
            assert before <= inside <= outside
            before, rounds = outside, rounds + 1
    return rounds


def test_threads_share_a_journal(tmp_path: Path) -> None:
    path, stop = tmp_path / "journal.sqlite", Event()
    with (
        Journal.open(path, source="s", target="t") as journal,
        ThreadPoolExecutor(THREADS + 1) as pool,
    ):
        watcher = pool.submit(watch, journal, path, stop)
        workers = [pool.submit(work, journal, thread) for thread in range(THREADS)]
        try:
            for worker in workers:
                worker.result(timeout=60)
        finally:
            stop.set()
        assert watcher.result(timeout=60) > 0
        assert journal.count_pending() == 0
        rows = list(journal.known())
    assert sum(row.sure for row in rows) == THREADS * EACH // 3
    assert sum(not row.sure for row in rows) == THREADS * EACH // 3
