"""A real checkout of paperless-ngx with a small installation: rows and files, and no server."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.paperless import checkout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPOSITORY = Path(__file__).parents[2]
PYTHON = os.environ.get("PAPERLESS_PYTHON", "")
SRC = str(checkout.checkout().src) if not checkout.missing() else ""

COMMAND_TIMEOUT = 400.0
"""Seconds after which a command is taken for hanging; ``migrate`` is minutes at work where a
machine has much else to do."""

needs_checkout = pytest.mark.skipif(
    not (SRC and PYTHON), reason="PAPERLESS_SRC and PAPERLESS_PYTHON name no checkout"
)

# Runs inside of paperless-ngx. The second document has no archive, the third is in the trash, the
# fourth has no name in its row.
_FILL = """
import hashlib
from django.conf import settings
from django.utils import timezone
from documents.models import Document
from paperless.version import __version__
hashed = hashlib.md5 if int(str(__version__[0])) == 2 else hashlib.sha256
names = ["2024/Ärzte & Co/a.pdf", "b.txt", "trashed/c.pdf", None]
for number, name in enumerate(names, 1):
    content = f"original {number} ".encode() * 400 * number
    document = Document(pk=number, title=f"t{number}", mime_type="application/pdf")
    document.filename, document.checksum = name, hashed(content).hexdigest()
    path = settings.ORIGINALS_DIR / (name or "%07d.pdf" % number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if number != 2:
        archive = b"archive " + content
        document.archive_filename = f"archived {number}.pdf"
        document.archive_checksum = hashed(archive).hexdigest()
        settings.ARCHIVE_DIR.mkdir(parents=True, exist_ok=True)
        (settings.ARCHIVE_DIR / document.archive_filename).write_bytes(archive)
    Document.objects.bulk_create([document])  # save() would give it another name
    settings.THUMBNAIL_DIR.mkdir(parents=True, exist_ok=True)
    (settings.THUMBNAIL_DIR / ("%07d.webp" % number)).write_bytes(b"thumbnail %d" % number)
Document.objects.filter(pk=3).update(deleted_at=timezone.now())
"""

_ROWS = """
import json
from documents.models import Document
print(json.dumps(list(Document.global_objects.order_by("pk").values_list(
    "pk", "filename", "archive_filename"))))
"""


@dataclass
class Installation:
    """One paperless-ngx in a folder of its own, on SQLite."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def documents(self) -> Path:
        return self.folder / "media" / "documents"

    def environment(self) -> dict[str, str]:
        base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **base,
            "PYTHONPATH": f"{REPOSITORY / 'src'}:{SRC}",
            "PYTHONUTF8": "1",
            "DJANGO_SETTINGS_MODULE": "paperless.settings",
            "PAPERLESS_SECRET_KEY": "x",
            "PAPERLESS_CACHE_BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "PAPERLESS_APPS": "paperfleet.paperless",
            "PAPERLESS_DATA_DIR": str(self.folder / "data"),
            "PAPERLESS_MEDIA_ROOT": str(self.folder / "media"),
            "PAPERLESS_CONSUMPTION_DIR": str(self.folder / "consume"),
            "PAPERLESS_SCRATCH_DIR": str(self.folder / "scratch"),
            **self.settings,
        }

    def make(self) -> None:
        for name in ("data", "media/documents", "consume", "scratch"):
            (self.folder / name).mkdir(parents=True)
        self.manage("migrate", "--verbosity", "0")
        self.shell(_FILL)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PYTHON, "manage.py", *arguments],
            cwd=SRC,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
        )

    def manage(self, *arguments: str, code: int = 0) -> str:
        """Run a command of manage.py, which has to end so; return both outputs."""
        done = self.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def shell(self, program: str) -> str:
        done = subprocess.run(
            [PYTHON, "-c", f"import django; django.setup()\n{program}"],
            cwd=SRC,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def started(
        self, program: str = "", arguments: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a program, or manage.py, beside the test; it is ended with the block."""
        command = [*arguments] or ["-c", f"import django; django.setup()\n{program}"]
        process = subprocess.Popen(
            [PYTHON, *command],
            cwd=SRC,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def rows(self) -> list[list[object]]:
        found: list[list[object]] = json.loads(self.shell(_ROWS).splitlines()[-1])
        return found

    def files(self) -> dict[str, bytes]:
        return on_disk(self.documents)


def on_disk(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
