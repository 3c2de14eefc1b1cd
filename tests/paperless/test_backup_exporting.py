"""The export of a backup: of one state, while others write."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import SmallInstallation
from tests.servers.postgres_server import postgres_missing, postgres_server

if TYPE_CHECKING:
    from pathlib import Path

# While it exports, somebody tries to take the media lock, and changes the database.
_EXPORT = """
import django; django.setup()
import json, tempfile
from pathlib import Path
from django.conf import settings
from django.db import connection
from filelock import FileLock, Timeout
from documents.management.commands import document_exporter
from documents.models import Document
from paperfleet.paperless.backup.exporting import export

def write():
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("UPDATE documents_document SET title = 'later' WHERE id = 1")
    other.close()

dump = document_exporter.Command._dump
def busily(self, *given):
    try:
        FileLock(settings.MEDIA_LOCK).acquire(timeout=0).lock.release()
        print("lock free")
    except Timeout:
        print("lock held")
    if {writes}:
        write()
        print("written")
    dump(self, *given)

document_exporter.Command._dump = busily
folder = Path(tempfile.mkdtemp())
export(folder, thumbnails=True, locked=False)
(exported,) = (
    record["fields"]["title"] for record in json.loads((folder / "manifest.json").read_text())
    if (record["model"], record["pk"]) == ("documents.document", 1)
)
print("exported", exported, "now", Document.objects.get(pk=1).title)
connection.close()
"""


@pytest.fixture
def paperless(tmp_path: Path) -> SmallInstallation:
    return SmallInstallation(backup_kit.model(tmp_path / "paperless"))


def test_who_writes_or_wants_the_media_lock_waits_for_no_export(
    paperless: SmallInstallation,
) -> None:
    paperless.variables["PAPERFLEET_TEST_WAL"] = "1"
    said = paperless.python(_EXPORT.format(writes=True)).splitlines()
    assert said == ["lock free", "written", "exported töp/1 now later"]


@pytest.mark.skipif(bool(postgres_missing()), reason=str(postgres_missing()))
def test_the_same_on_postgresql(tmp_path: Path) -> None:
    with postgres_server() as server:
        parts = urlsplit(server.url)
        variables = {
            "PAPERLESS_DBHOST": str(parts.hostname),
            "PAPERLESS_DBPORT": str(parts.port),
            "PAPERLESS_DBNAME": parts.path.lstrip("/"),
            "PAPERLESS_DBUSER": unquote(str(parts.username)),
            "PAPERLESS_DBPASS": unquote(str(parts.password)),
        }
        paperless = SmallInstallation(
            backup_kit.model(tmp_path / "paperless", variables), variables
        )
        said = paperless.python(_EXPORT.format(writes=True)).splitlines()
    assert said == ["lock free", "written", "exported töp/1 now later"]


def test_what_cannot_show_one_state_is_exported_under_the_media_lock(
    paperless: SmallInstallation,
) -> None:
    said = paperless.python(_EXPORT.format(writes=False)).splitlines()
    assert said == ["lock held", "exported töp/1 now töp/1"]
