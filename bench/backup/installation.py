"""An installation of the small project with many documents, and its backups in a real restic."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.paperless.backup_kit import PASSWORD, RESTIC, SmallInstallation
from tests.paperless.children import SMALL

from bench.processes import Command, Ended, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST = 1800.0
SIZES = {"originals": 6000, "archive": 6000, "thumbnails": 2000}
"""Bytes of the files of a document; of two documents one has an archive version."""
_SEED = """
import django; django.setup()
import hashlib, random
from django.conf import settings
from documents.models import Document
chance = random.Random({documents})
roots = {{
    "originals": settings.ORIGINALS_DIR,
    "archive": settings.ARCHIVE_DIR,
    "thumbnails": settings.THUMBNAIL_DIR,
}}
rows = []
for number in range(1, {documents} + 1):
    name = f"{{number // 100:03}}/document {{number:05}}.pdf"
    names = {{"originals": name, "archive": name, "thumbnails": f"{{number:07}}.webp"}}
    if number % 2:
        del names["archive"]
    sums = {{}}
    for area, name in names.items():
        path = roots[area] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = chance.randbytes({sizes}[area])
        path.write_bytes(content)
        sums[area] = hashlib.sha256(content).hexdigest()
    rows.append(Document(
        pk=number, title=f"document {{number:05}}", filename=names["originals"],
        archive_filename=names.get("archive"), checksum=sums["originals"],
        archive_checksum=sums.get("archive"),
    ))
Document.objects.bulk_create(rows, batch_size=500)
"""
_CHANGE = """
import django; django.setup()
import hashlib, os
from documents.models import Document
document = Document.objects.get(pk=1)
content = os.urandom({size})
document.source_path.write_bytes(content)
Document.objects.filter(pk=1).update(checksum=hashlib.sha256(content).hexdigest())
"""


class MeasuredInstallation(SmallInstallation):
    """One whose commands are measured; restic is called by ``program``."""

    def seed(self, documents: int) -> None:
        """Make the tables, and so many documents."""
        self.measured("manage.py", "migrate", "--verbosity", "0")
        if documents:
            self.measured("-c", _SEED.format(documents=documents, sizes=SIZES))

    def change(self) -> None:
        """Give one document another original, as a new version of it."""
        self.measured("-c", _CHANGE.format(size=SIZES["originals"]))

    def measured(self, *arguments: str) -> Ended:
        """Run Python in the project to its end."""
        command = ["env", "--chdir", str(SMALL.source), sys.executable, *arguments]
        return run(Command(command, self._given()), LONGEST)

    def measured_backup(self, *words: str) -> Ended:
        """Run a command of ``paperfleet backup`` to its end."""
        command = [sys.executable, "-m", "paperfleet", "backup", *words]
        return run(Command(command, self._given()), LONGEST)

    def _given(self) -> dict[str, str]:
        given = self.environment() | {"PAPERFLEET_TEST_WAL": "1"}
        del given["PYTHONDONTWRITEBYTECODE"]  # nobody starts without the compiled modules
        return given


def plain_restic(repository: Path, words: Sequence[str], folder: Path) -> Ended:
    """Run restic as somebody does who has no Paperfleet, in a folder."""
    given = {
        "RESTIC_REPOSITORY": str(repository),
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(repository.with_name(f"{repository.name}-cache")),
    }
    return run(Command(["env", "--chdir", str(folder), str(RESTIC), *words], given), LONGEST)
