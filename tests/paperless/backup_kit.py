"""An installation of the small project and its backups in a real restic, seen from outside."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.paperless.children import SMALL

from paperfleet.storage.registry import open_storage

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "a password"
RESTIC = shutil.which("restic")
MISSING = "" if RESTIC else "restic is missing: apt-get install restic"
_OPTIONS = "PAPERLESS_DOCUMENT_STORAGE_OPTIONS"

# Runs inside of the project. The second has no archive, the third is in the trash.
_FILL = """
import django; django.setup()
import tempfile
from pathlib import Path
from documents.consumer import consume
for number in (1, 2, 3):
    folder = Path(tempfile.mkdtemp())
    for kind in ("original", "archive", "thumbnail"):
        (folder / kind).write_bytes(f"{kind} {number} ".encode() * 3000 * number)
    archive = None if number == 2 else folder / "archive"
    made = consume(
        folder / "original", f"töp/{number}", archive=archive, thumbnail=folder / "thumbnail"
    )
    if number == 3:
        made.delete()
"""
# The same with PDFs, of which the last one is broken.
_FILL_PDFS = """
import django; django.setup()
import tempfile
from pathlib import Path
import pikepdf
from documents.consumer import consume
for number in (1, 2, 3, 4):
    folder = Path(tempfile.mkdtemp())
    for kind in ("original", "archive"):
        pdf = pikepdf.new()
        pdf.add_blank_page()
        pdf.docinfo["/Title"] = f"{kind} {number}"
        pdf.save(folder / kind)
    (folder / "thumbnail").write_bytes(b"a picture %d" % number)
    if number == 4:
        (folder / "original").write_bytes(b"%PDF-1.7 of which nothing is left")
    made = consume(
        folder / "original",
        f"invoices/{('january', 'february', 'march', 'april')[number - 1]}",
        archive=None if number == 2 else folder / "archive",
        thumbnail=folder / "thumbnail",
    )
    if number == 3:
        made.delete()
"""
BROKEN = 4
"""The number of the document of ``with_pdfs`` that is none."""
_ROWS = """
import django; django.setup()
import json
from documents.models import Document
fields = ("pk", "title", "filename", "archive_filename", "checksum", "archive_checksum")
print("rows", json.dumps([
    [*row, deleted is None]
    for *row, deleted in Document.global_objects.order_by("pk").values_list(*fields, "deleted_at")
]))
"""


def model(folder: Path, variables: dict[str, str] | None = None) -> Path:
    """Make an installation that has three documents in paperless-ngx's own folder; return it."""
    made = SmallInstallation(folder, variables or {})
    made.manage("migrate", "--verbosity", "0")
    made.python(_FILL)
    return folder


def with_pdfs(folder: Path) -> Path:
    """Make an installation that has four documents, of which one is no PDF; return its folder."""
    made = SmallInstallation(folder)
    made.manage("migrate", "--verbosity", "0")
    made.python(_FILL_PDFS)
    return folder


def empty(folder: Path) -> Path:
    """Make an installation that has no document; return its folder."""
    SmallInstallation(folder).manage("migrate", "--verbosity", "0")
    return folder


@dataclass
class SmallInstallation:
    """One installation in a folder; ``variables`` are more of its environment."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        ours = {
            "PAPERLESS_SRC": str(SMALL.source),
            "PAPERLESS_PYTHON": sys.executable,
            "PAPERLESS_FILENAME_FORMAT": "{{ title }}",
            "PAPERFLEET_BACKUP_REPOSITORY": str(self.repository),
            "PAPERFLEET_BACKUP_PASSWORD": PASSWORD,
            "PAPERFLEET_BACKUP_FOLDER": str(self.folder / "backup"),
        }
        return SMALL.environment(self.folder, **{**ours, **self.variables})

    @property
    def repository(self) -> Path:
        return self.folder.parent / "repository"

    @property
    def media(self) -> Path:
        return self.folder / "media_root" / "documents"

    def manage(self, *words: str, code: int = 0) -> str:
        done = SMALL.run(["manage.py", *words], self.environment())
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, program: str) -> str:
        done = SMALL.run(["-c", program], self.environment())
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def backup(self, *words: str, code: int = 0) -> str:
        """Run a command of ``paperfleet backup``, which has to end so; return both outputs."""
        return self.paperfleet("backup", *words, code=code)

    def paperfleet(self, *words: str, code: int = 0) -> str:
        """Run a command, which has to end so; return both outputs, but JSON alone."""
        done = subprocess.run(
            [sys.executable, "-m", "paperfleet", *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=SMALL.patience,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout if "--json" in words else done.stdout + done.stderr

    def run(self, *words: str, code: int = 0) -> dict[str, object]:
        """Take a backup; return what it says of it."""
        answer = json.loads(self.backup("run", "--json", *words, code=code))
        assert isinstance(answer, dict)
        return answer

    def rows(self) -> object:
        """Return every document of the database."""
        (line,) = (line for line in self.python(_ROWS).splitlines() if line.startswith("rows "))
        return json.loads(line.removeprefix("rows "))

    def files(self) -> dict[str, bytes]:
        """Return every file of a document, past the app, by its area and name."""
        found = {
            path.relative_to(self.media).as_posix(): path.read_bytes()
            for path in self.media.rglob("*")
            if path.is_file()
        }
        if _OPTIONS in self.variables:
            backend = self.variables["PAPERLESS_DOCUMENT_STORAGE_BACKEND"]
            with open_storage(backend, json.loads(self.variables[_OPTIONS])) as storage:
                for name in list(storage.list_files()):
                    if name.startswith(("originals/", "archive/", "thumbnails/")):
                        found[name] = storage.open(name).read()
        return found


def instead_of_restic(folder: Path, script: str) -> str:
    """Make a program that does as a script says where ``REAL "$@"`` is restic; return its path."""
    program = folder / "restic-in-a-test"
    program.write_text(f'#!/bin/bash\nREAL() {{ {RESTIC} "$@"; }}\n{script}\n')
    program.chmod(0o700)
    return str(program)


def restic(
    repository: Path, *words: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program itself, as somebody does who has no Paperfleet."""
    return subprocess.run(
        [str(RESTIC), *words],
        env={
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD": PASSWORD,
            "RESTIC_CACHE_DIR": str(repository.parent / "cache"),
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def wait_for(path: Path) -> None:
    """Wait until a file is there; it has to come within half a minute."""
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} never came"
        time.sleep(0.05)
