"""Opening a journal: what is refused, with words that help, and what is created."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from paperfleet.errors import JournalError
from paperfleet.journal import opening
from paperfleet.journal.database import MIGRATIONS, Database, explain, queries, read_sql
from paperfleet.journal.journal import Journal
from paperfleet.model import KnownFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


def open_journal(path: Path) -> Journal:
    return Journal.open(path, source="file:///a", target="webdavs://cloud/b")


def file(name: str) -> KnownFile:
    return KnownFile(name, name, 1, "aa" * 32, 1, None, None, None)


def test_it_is_created_for_its_owner_alone(path: Path) -> None:
    open_journal(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with open_journal(path) as journal:
        journal.remember([file("a")])
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert set(modes) == {f"journal.sqlite{end}" for end in ("", ".lock", "-wal", "-shm")}
    assert set(modes.values()) == {0o600}


def test_odd_paths_work(tmp_path: Path) -> None:
    path = tmp_path / "50% of ?mode=ro#x &" / "jöurnal"
    with open_journal(path) as journal:
        journal.remember([file("a")])
        assert [known.name for known in journal.known()] == ["a"]
    assert path.is_file()


def test_closing_twice_is_harmless_and_using_it_afterwards_is_not(path: Path) -> None:
    journal = open_journal(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.count_known()


def test_a_second_one_in_this_process_is_refused(path: Path) -> None:
    with open_journal(path), pytest.raises(JournalError, match=f"pid {os.getpid()} on "):
        open_journal(path)
    open_journal(path).close()


def test_a_journal_in_use_names_the_other_process(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from paperfleet.journal.journal import Journal\n"
        "journal = Journal.open(Path(sys.argv[1]), source='file:///a', target='webdavs://cloud/b')\n"
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(JournalError, match=f"pid {other.pid} on ") as caught:
            open_journal(path)
        assert "Stop it first" in caught.value.hint
        other.kill()
    open_journal(path).close()


def test_another_pair_is_refused(path: Path) -> None:
    open_journal(path).close()
    with pytest.raises(JournalError, match=r"belongs to file:///a -> webdavs://cloud/b, not to"):
        Journal.open(path, source="file:///a", target="webdavs://cloud/other")
    open_journal(path).close()


def corrupt_header(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 500)


def corrupt_page(path: Path) -> None:
    with path.open("r+b") as journal:
        journal.seek(8192)
        journal.write(b"\xff" * 8192)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [corrupt_header, corrupt_page, truncate])
def test_a_corrupt_file_is_refused_and_left_as_it_is(path: Path, damage: object) -> None:
    with open_journal(path) as journal:
        journal.remember(file(f"{number}") for number in range(500))
    assert callable(damage)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=re.escape(str(path))) as caught:
        open_journal(path)
    assert "Move it aside" in caught.value.hint
    assert "rebuilt from the target" in caught.value.hint
    assert path.read_bytes() == before
    path.rename(path.with_suffix(".broken"))
    open_journal(path).close()


def test_a_newer_schema_is_refused(path: Path) -> None:
    open_journal(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    for attempt in (open_journal, Journal.read):
        with pytest.raises(JournalError, match="newer Paperfleet"):
            attempt(path)


def test_the_database_of_somebody_else_is_refused_untouched(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE documents (id INTEGER)")
    before = path.read_bytes()
    for attempt in (open_journal, Journal.read):
        with pytest.raises(JournalError, match="not a journal of Paperfleet"):
            attempt(path)
    assert path.read_bytes() == before


def test_a_network_filesystem_is_refused_untouched(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "filesystem_type", lambda _: "nfs4")
    with pytest.raises(JournalError, match=r"network filesystem \(nfs4\)") as caught:
        open_journal(path)
    assert "local disk" in caught.value.hint
    assert not path.parent.exists()


def test_a_place_where_nothing_can_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (Path("/proc/paperfleet/journal"), tmp_path / "file" / "journal", tmp_path):
        with pytest.raises(JournalError, match=re.escape(str(bad))) as caught:
            open_journal(bad)
        assert "may write there" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file(path: Path) -> None:
    open_journal(path).close()
    path.chmod(0o400)
    with pytest.raises(JournalError, match="journal"):
        open_journal(path)


def test_an_sqlite_that_cannot_write(path: Path) -> None:
    with open_journal(path) as journal:
        journal._database.rows("PRAGMA query_only = ON")
        with pytest.raises(JournalError, match="cannot be written") as caught:
            journal.remember([file("a")])
        assert "right to write" in caught.value.hint


def test_a_full_disk_loses_nothing_and_is_survived(path: Path) -> None:
    with open_journal(path) as journal:
        journal.remember([file("kept")])
        pages = journal._database.value("PRAGMA page_count")
        journal._database.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError, match="the disk is full") as caught:
            journal.remember((file(f"{number:0200}") for number in range(1000)), ["kept"])
        assert "Free some space" in caught.value.hint
        assert [known.name for known in journal.known()] == ["kept"]
        journal._database.rows("PRAGMA max_page_count = 100000")
        journal.remember([file("more")])
        assert journal.count_known() == 2


def test_an_old_sqlite_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(JournalError, match=r"needs 3\.37"):
        open_journal(path)
    monkeypatch.undo()
    open_journal(path).close()


@pytest.mark.parametrize(
    ("code", "words", "hint"),
    [
        (sqlite3.SQLITE_CORRUPT, "is corrupt", "Move it aside"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "is corrupt", "Move it aside"),
        (sqlite3.SQLITE_NOTADB, "is not an SQLite database", "Move it aside"),
        (sqlite3.SQLITE_FULL, "cannot grow: the disk is full", "Free some space"),
        (sqlite3.SQLITE_READONLY, "cannot be written", "right to write"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "cannot be written", "right to write"),
        (sqlite3.SQLITE_PERM, "may not be used", "right"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened", "exists"),
        (sqlite3.SQLITE_IOERR_FSYNC, "cannot be read or written", "disk"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "is locked by another process", "Try again"),
        (sqlite3.SQLITE_PROTOCOL, "is locked by another process", "Try again"),
        (sqlite3.SQLITE_CONSTRAINT_CHECK, "failed", ""),
    ],
)
def test_every_code_of_sqlite_has_words(code: int, words: str, hint: str) -> None:
    error = sqlite3.OperationalError("in its own words")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_NAME"
    explained = explain(Path("/var/lib/journal"), error)
    assert explained.message.startswith(f"The journal /var/lib/journal {words}")
    assert "SQLITE_NAME: in its own words" in explained.message
    assert hint in explained.hint


def test_an_error_of_python_itself_has_words() -> None:
    explained = explain(Path("/j"), sqlite3.ProgrammingError("closed"))
    assert explained.message == "The journal /j failed (ProgrammingError: closed)"


NEXT = "ALTER TABLE known ADD COLUMN colour TEXT; UPDATE known SET colour = 'red';"


def with_a_next_schema(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    files = {MIGRATIONS[-1]: read_sql(MIGRATIONS[-1]), "next.sql": sql}
    monkeypatch.setattr(opening, "MIGRATIONS", (*MIGRATIONS, "next.sql"))
    monkeypatch.setattr(opening, "read_sql", files.__getitem__)


def test_an_old_schema_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_journal(path) as journal:
        journal.remember([file("a")])
    with_a_next_schema(monkeypatch, NEXT)
    with pytest.raises(JournalError, match="not set up yet, or by an older"):
        Journal.read(path)
    with open_journal(path) as journal:
        assert journal._database.value("SELECT colour FROM known") == "red"
        assert journal._database.value("PRAGMA user_version") == len(MIGRATIONS) + 1
    open_journal(path).close()


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_journal(path) as journal:
        journal.remember([file("a")])
    with_a_next_schema(monkeypatch, NEXT + "DROP TABLE absent;")
    with pytest.raises(JournalError, match="no such table"):
        open_journal(path)
    monkeypatch.undo()
    with open_journal(path) as journal:
        assert journal.count_known() == 1
        columns = [row[1] for row in journal._database.rows("PRAGMA table_info (known)")]
        assert "colour" not in columns


def test_a_creation_that_was_cut_short_is_finished(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with pytest.raises(JournalError, match="not set up yet"):
        Journal.read(path)
    open_journal(path).close()
    Journal.read(path).close()


def test_a_file_that_vanishes_while_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        Database(tmp_path / "absent", "rw")


@pytest.mark.parametrize(
    "table", ["facts", "known", "operations", "quarantine", "refusals", "schema"]
)
def test_every_statement_is_sound(path: Path, table: str) -> None:
    open_journal(path).close()
    with closing(sqlite3.connect(path)) as connection:
        for name, sql in queries(table).items():
            count = max(map(int, re.findall(r"\?(\d+)", sql)), default=0)
            assert connection.execute(f"EXPLAIN {sql}", [None] * count).fetchall(), name
