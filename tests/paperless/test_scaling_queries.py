"""The number as one query, on real PostgreSQL with rows as paperless-ngx 3 and 2 have them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from tests.paperless import checkout
from tests.paperless.checkout_kit import PYTHON, SRC, needs_checkout
from tests.paperless.scaling_files import files
from tests.servers.postgres_server import postgres_missing, postgres_server

from paperfleet.paperless.delivery.tasks import CONSUME, SCHEDULED, SCHEDULED_SHOWN
from paperfleet.paperless.scaling.queries import KINDS, LONGEST_SECONDS, query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.postgres_server import PostgresServer

MISSING = postgres_missing()
needs_postgres = pytest.mark.skipif(bool(MISSING), reason=str(MISSING))

# Columns of documents/models.py, class PaperlessTask, of 3.0.5 and 2.20.15; a test compares.
SHAPES = {
    "paperless-v3": {
        "task_id": "varchar(72) NOT NULL",
        "task_type": "varchar(50) NOT NULL",
        "status": "varchar(30) NOT NULL",
        "date_created": "timestamp with time zone NOT NULL",
        "date_started": "timestamp with time zone NULL",
    },
    "paperless-v2": {
        "task_id": "varchar(255) NOT NULL",
        "task_name": "varchar(255) NULL",
        "status": "varchar(30) NOT NULL",
        "date_created": "timestamp with time zone NULL",
        "date_started": "timestamp with time zone NULL",
    },
}
FLEET = (
    "CREATE TABLE paperfleet_work (task_id varchar(255) PRIMARY KEY, name varchar(255) NOT NULL,"
    " state varchar(10) NOT NULL, expires timestamp with time zone NULL)"
)
LONG, SHORT = LONGEST_SECONDS + 5, LONGEST_SECONDS - 60
DAY = 86_400
# Status, seconds since it was made and since it was started (None for NULL), and whether it counts.
LISTED = [
    ("pending", 5, None, 1),
    ("pending", DAY - 60, None, 1),
    ("pending", DAY + 60, None, 0),
    ("started", 10, 5, 1),
    ("started", 2 * DAY, SHORT, 1),
    ("started", 2 * DAY, LONG, 0),
    ("started", 5, None, 1),
    ("started", LONG, None, 0),
    ("success", 5, 4, 0),
    ("failure", 5, 4, 0),
    ("revoked", 5, None, 0),
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """Return a connection whose tables nobody else sees."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection
        connection.execute("DROP TABLE IF EXISTS documents_paperlesstask, paperfleet_work")


def make(database: psycopg.Connection, kind: str) -> None:
    columns = ", ".join(f"{name} {about}" for name, about in SHAPES[kind].items())
    database.execute(f"CREATE TABLE documents_paperlesstask ({columns})")


def add(
    database: psycopg.Connection, kind: str, shown: str | None, status: str, *ages: int | None
) -> None:
    """Add a row; what else the real table wants has a value of its own."""
    created, started = ages
    values: dict[str, object] = {
        "task_id": os.urandom(8).hex(),
        "task_type" if kind == "paperless-v3" else "task_name": shown,
        "status": status if kind == "paperless-v3" else status.upper(),
    }
    times = {"date_created": created, "date_started": started}
    wanted = database.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name ="
        " 'documents_paperlesstask' AND is_nullable = 'NO' AND is_identity = 'NO'"
        " AND column_default IS NULL"
    )
    blank = {"boolean": False, "jsonb": "{}"}
    values = {name: blank.get(about, "x") for name, about in wanted if name not in times} | values
    names = [*values, *times]
    places = ["%s"] * len(values) + ["now() - %s * interval '1 second'"] * len(times)
    into = f"INSERT INTO documents_paperlesstask ({', '.join(names)})"
    database.execute(f"{into} VALUES ({', '.join(places)})", [*values.values(), *times.values()])


def asked(database: psycopg.Connection, kind: str) -> int:
    """Return the one number, which must be a number."""
    ((found,),) = database.execute(query(kind)).fetchall()
    assert isinstance(found, int)
    return found


def prove(database: psycopg.Connection, kind: str) -> None:
    """Let the query of a kind tell the right number, one row after the other."""
    assert asked(database, kind) == 0
    expected = 0
    for status, created, started, number in LISTED:
        add(database, kind, "consume_file", status, created, started)
        expected += number
        assert asked(database, kind) == expected, (status, created, started)
    for shown in sorted(SCHEDULED_SHOWN):
        add(database, kind, shown, "pending", 5, None)
        add(database, kind, shown, "started", 5, 5)
    assert asked(database, kind) == expected, "what the scheduler starts"
    add(database, kind, "of_a_later_version", "pending", 5, None)
    assert asked(database, kind) == expected + 1


@needs_postgres
@pytest.mark.parametrize("kind", SHAPES)
def test_over_the_list_of_paperless(database: psycopg.Connection, kind: str) -> None:
    make(database, kind)
    prove(database, kind)


@needs_postgres
def test_over_the_list_of_v2_without_names_and_times(database: psycopg.Connection) -> None:
    make(database, "paperless-v2")
    add(database, "paperless-v2", None, "pending", 5, None)
    assert asked(database, "paperless-v2") == 1, "without a name it is unknown, and counts"
    add(database, "paperless-v2", "consume_file", "pending", None, None)
    add(database, "paperless-v2", "consume_file", "started", None, None)
    assert asked(database, "paperless-v2") == 1, "of unknown age"
    add(database, "paperless-v2", "consume_file", "started", None, 5)
    assert asked(database, "paperless-v2") == 2


@needs_postgres
def test_over_the_rows_of_a_fleet(database: psycopg.Connection) -> None:
    database.execute(FLEET)
    assert asked(database, "fleet") == 0
    rows = [
        ("waiting", CONSUME, None, 1),
        ("waiting", CONSUME, 60, 1),
        ("waiting", CONSUME, -1, 0),
        ("running", CONSUME, -1, 1),
        ("running", CONSUME, None, 1),
        *((state, CONSUME, None, 0) for state in ("held", "failed", "done", "half")),
        *((state, name, None, 0) for state in ("waiting", "running") for name in SCHEDULED),
    ]
    expected = 0
    for number, (state, name, expires, counted) in enumerate(rows):
        database.execute(
            "INSERT INTO paperfleet_work VALUES (%s, %s, %s, now() + %s * interval '1 second')",
            [str(number), name, state, expires],
        )
        expected += counted
        assert asked(database, "fleet") == expected, (state, name, expires)


@needs_postgres
@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_is_the_one_that_is_given(database: psycopg.Connection, kind: str) -> None:
    assert ":" not in query(kind).partition("*/")[2]
    if kind == "fleet":
        assert query(kind, 7) == query(kind), "there a heartbeat tells"
        return
    make(database, kind)
    add(database, kind, "consume_file", "started", 100, 100)
    assert asked(database, kind) == 1
    assert "interval '99 seconds'" in query(kind, 99)
    assert database.execute(query(kind, 99)).fetchall() == [(0,)]


@pytest.mark.parametrize(("path", "text"), files().items(), ids=KINDS)
def test_the_files_are_what_is_made(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "make docs"
    assert "--" not in text, "a comment to the end of the line ends nowhere in folded YAML"


_CREATE = """
import django; django.setup()
from django.db import connection
from documents.models import PaperlessTask
with connection.schema_editor(collect_sql=True, atomic=False) as editor:
    editor.create_model(PaperlessTask)
    print(editor.collected_sql[0])
"""


@needs_postgres
@needs_checkout
def test_over_the_real_table_of_this_version(
    postgres: PostgresServer, database: psycopg.Connection, tmp_path: Path
) -> None:
    version = checkout.checkout().version
    kind = f"paperless-v{version[0]}"
    about = urlsplit(postgres.url)
    folders = ("DATA_DIR", "MEDIA_ROOT", "SCRATCH_DIR", "CONSUMPTION_DIR")
    done = subprocess.run(
        [PYTHON, "-c", _CREATE],
        cwd=SRC,
        env={
            **checkout.checkout().environ,
            **{f"PAPERLESS_{name}": str(tmp_path) for name in folders},
            "PAPERLESS_SECRET_KEY": "x",
            "PAPERLESS_DBENGINE": "postgresql",
            "PAPERLESS_DBHOST": str(about.hostname),
            "PAPERLESS_DBPORT": str(about.port),
            "PAPERLESS_DBNAME": about.path.strip("/"),
            "PAPERLESS_DBUSER": str(about.username),
            "PAPERLESS_DBPASS": unquote(str(about.password)),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    database.execute(done.stdout.strip().splitlines()[-1].encode())
    found = database.execute(
        "SELECT column_name, data_type, character_maximum_length, is_nullable"
        " FROM information_schema.columns WHERE table_name = 'documents_paperlesstask'"
    ).fetchall()
    shape = {
        name: " ".join(
            (f"varchar({length})" if length else about, "NULL" if null == "YES" else "NOT NULL")
        )
        for name, about, length, null in found
    }
    assert {name: shape[name] for name in SHAPES[kind]} == SHAPES[kind]
    prove(database, kind)
