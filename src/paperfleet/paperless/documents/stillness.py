"""No document changes for a moment: what needs that their rows say all."""

from __future__ import annotations

from django.db import connection

from paperfleet.paperless.documents import rows


def lock_rows(seconds: float) -> None:
    """Let nobody else write documents until the open transaction ends; PostgreSQL.

    Waits for transactions that have; raises ``OperationalError`` after so many seconds.
    """
    table = connection.ops.quote_name(rows.all_documents().model._meta.db_table)  # noqa: SLF001  # Django's documented name
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{round(seconds * 1000)}ms'")
        cursor.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
