"""Triggers by which the database writes the stream of changes, whatever changes a document.

paperless-ngx writes documents by ``save``, by ``update`` of many rows, and by its importer; Django
tells of the first alone, and after the commit where no transaction is open. A trigger is in the
transaction of each change. It is put on paperless-ngx's tables when the first web server of a fleet
starts, and changes nothing but the stream.
"""

from __future__ import annotations

import hashlib
from typing import Final

from django.db import connection, transaction

from paperfleet.paperless.models import SearchChange
from paperfleet.paperless.search import stream
from paperfleet.paperless.search.watched import EVENTS, WATCHED, Watched

_PREFIX: Final = "paperfleet_search_"
_OURS: Final = _PREFIX.replace("_", r"\_") + "%"
"""The names of our triggers, for LIKE."""
_STREAM: Final = SearchChange._meta.db_table  # noqa: SLF001  # Django's documented name
_FUNCTIONS: Final = f"""
CREATE OR REPLACE FUNCTION {_PREFIX}changed() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
  written bigint;
BEGIN
  EXECUTE format(
    'INSERT INTO %1$I.{_STREAM} (document, xid, happened)'
    ' SELECT DISTINCT f.document, txid_current(), clock_timestamp()'
    ' FROM (' || TG_ARGV[0] || ') AS f (document) WHERE f.document IS NOT NULL',
    TG_TABLE_SCHEMA);
  GET DIAGNOSTICS written = ROW_COUNT;
  -- Nobody else removes rows where the app has gone.
  IF written > 0 AND random() < 0.01 THEN
    EXECUTE format(
      'DELETE FROM %1$I.{_STREAM} WHERE id IN (SELECT id FROM %1$I.{_STREAM}'
      ' WHERE id < currval(pg_get_serial_sequence(''%1$I.{_STREAM}'', ''id'')) - {stream.MOST}'
      ' ORDER BY id LIMIT {stream.MOST} FOR UPDATE SKIP LOCKED)',
      TG_TABLE_SCHEMA);
  END IF;
  RETURN NULL;
EXCEPTION WHEN undefined_column OR undefined_table THEN
  -- A migration of paperless-ngx, or of ours, goes on; what changed is unknown.
  IF to_regclass(format('%1$I.{_STREAM}', TG_TABLE_SCHEMA)) IS NOT NULL THEN
    EXECUTE format(
      'INSERT INTO %1$I.{_STREAM} (document, xid, happened)'
      ' VALUES ({stream.UNKNOWN}, txid_current(), clock_timestamp())',
      TG_TABLE_SCHEMA);
  END IF;
  RETURN NULL;
END $body$;
CREATE OR REPLACE FUNCTION {_PREFIX}truncated() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  EXECUTE format(
    'INSERT INTO %1$I.{_STREAM} (document, xid, happened)'
    ' VALUES ({stream.UNKNOWN}, txid_current(), clock_timestamp())',
    TG_TABLE_SCHEMA);
  RETURN NULL;
END $body$;
"""  # noqa: S608  # names of ours, no values


def are_there() -> bool:
    """Say whether every change is written into the stream."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgname LIKE %s AND t.tgenabled IN ('O', 'A')"
            " AND c.relnamespace = current_schema()::regnamespace",
            [_OURS],
        )
        return bool(cursor.fetchone()[0] >= len(_statements(_present())))


def ensure() -> None:
    """Let the database write the stream; raise ``django.db.DatabaseError``.

    Where it did not before, or otherwise, the stream says that changes may be missing. Takes no
    lock where there is nothing to do.
    """
    if _is_installed() and are_there():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        # Who changes documents must not queue behind us for long.
        cursor.execute("SET LOCAL lock_timeout = '3s'")
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('paperfleet search triggers'))")
        if _is_installed() and are_there():
            return
        _drop(cursor)
        cursor.execute(_FUNCTIONS)
        for statement in _statements(_present()):
            cursor.execute(statement)
        cursor.execute(f"COMMENT ON FUNCTION {_PREFIX}changed() IS '{_fingerprint()}'")
        stream.write([stream.UNKNOWN])


def remove() -> None:
    """Take all triggers away again."""
    with transaction.atomic(), connection.cursor() as cursor:
        _drop(cursor)
        for name in ("changed", "truncated"):
            cursor.execute(f"DROP FUNCTION IF EXISTS {_PREFIX}{name}()")


def _drop(cursor: object) -> None:
    execute = cursor.execute  # type: ignore[attr-defined]  # Django's cursor
    execute(
        "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE t.tgname LIKE %s AND c.relnamespace = current_schema()::regnamespace",
        [_OURS],
    )
    for name, table in cursor.fetchall():  # type: ignore[attr-defined]
        execute(f'DROP TRIGGER "{name}" ON "{table}"')


def _present() -> list[Watched]:
    """Return the rows of the table that this version has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name::text, array_agg(column_name::text) FROM information_schema.columns"
            " WHERE table_schema = current_schema() GROUP BY table_name"
        )
        columns = dict(cursor.fetchall())
    return [
        one
        for one in WATCHED
        if one.table in columns and set(one.columns) <= set(columns[one.table])
    ]


def _statements(present: list[Watched]) -> list[str]:
    made = []
    for number, one in enumerate(present):
        for event in one.events:
            quoted = one.query.replace("'", "''")
            made.append(
                f"CREATE TRIGGER {_PREFIX}{number}_{event.lower()} AFTER {event} ON {one.table}"
                f" REFERENCING {EVENTS[event]} FOR EACH STATEMENT"
                f" EXECUTE FUNCTION {_PREFIX}changed('{quoted}')"
            )
    made.append(
        f"CREATE TRIGGER {_PREFIX}truncate AFTER TRUNCATE ON documents_document"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {_PREFIX}truncated()"
    )
    return made


def _fingerprint() -> str:
    told = "\n".join([_FUNCTIONS, *_statements(_present())])
    return hashlib.sha256(told.encode()).hexdigest()


def _is_installed() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT obj_description(to_regprocedure('{_PREFIX}changed()'), 'pg_proc')")
        return bool(cursor.fetchone()[0] == _fingerprint())
