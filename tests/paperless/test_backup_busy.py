"""A backup of an installation in which somebody edits, deletes and adds documents all the time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from tests.paperless import backup_kit
from tests.paperless.backup_kit import SmallInstallation
from tests.paperless.children import SMALL

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(300),
]

# Three documents whose originals are replaced without a pause, one that comes and goes.
_EDITS = """
import django; django.setup()
import itertools, os, sys, tempfile, threading
from pathlib import Path
from django.conf import settings
from documents.consumer import consume
from documents.models import Document
from documents.utils import compute_checksum
from filelock import FileLock
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
for number in itertools.count():
    for one in Document.global_objects.order_by("pk")[:3]:
        with FileLock(settings.MEDIA_LOCK):
            Path(one.source_path).write_bytes(f"version {number} of {one.pk}".encode() * 2000)
            checksum = compute_checksum(one.source_path)
            Document.global_objects.filter(pk=one.pk).update(checksum=checksum)
    folder = Path(tempfile.mkdtemp())
    for kind in ("original", "thumbnail"):
        (folder / kind).write_bytes(f"{kind} {number}".encode())
    consume(folder / "original", f"passing/{number}", thumbnail=folder / "thumbnail").hard_delete()
    if number == 0:
        print("begun", flush=True)
"""


@pytest.fixture
def paperless(tmp_path: Path) -> SmallInstallation:
    return SmallInstallation(backup_kit.model(tmp_path / "paperless"))


def test_it_is_complete_though_documents_are_replaced_and_deleted_without_a_pause(
    paperless: SmallInstallation, tmp_path: Path
) -> None:
    with SMALL.start(["-c", _EDITS], paperless.environment()) as editor:
        assert editor.stdout
        assert editor.stdout.readline() == "begun\n"
        for _ in range(2):
            taken = paperless.run("--init")
            assert taken["complete"]
            assert editor.poll() is None, "the edits went on"
    other = SmallInstallation(backup_kit.empty(tmp_path / "other"))
    assert "proven by SHA-256" in other.backup("restore")
    other.manage("paperfleet_check")


def test_what_a_killed_run_has_left_at_work_is_waited_for(paperless: SmallInstallation) -> None:
    paperless.run("--init")
    with FileLock(paperless.folder / "backup" / "collect.lock"):
        assert "another process still collects" in paperless.backup("run", code=1)
    shutil.rmtree(paperless.folder / "backup")
    paperless.run()
