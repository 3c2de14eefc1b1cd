"""Fills an installation with documents; runs in ``manage.py shell``, through its own paths."""

from __future__ import annotations

SEED = """
import hashlib
from django.db import transaction
from documents.models import Document, StoragePath
digest = hashlib.sha256 if {sha256} else hashlib.md5
path = StoragePath.objects.create(name="bench", path="before/{{{{ title }}}}")
thumbnail = b"RIFF0000WEBP"
for number in range({documents}):
    content = b"document %d of the benchmark\\n" % number * 40
    moved = number < {moved}
    name = f"before/{{number:05}}.txt" if moved else f"{{number:05}}.txt"
    document = Document(
        title=f"{{number:05}}", content="text", mime_type="text/plain", filename=name,
        checksum=digest(content).hexdigest(), storage_path=path if moved else None,
    )
    with transaction.atomic():
        Document.objects.bulk_create([document])
        document.source_path.parent.mkdir(parents=True, exist_ok=True)
        document.source_path.write_bytes(content)
    document.thumbnail_path.write_bytes(thumbnail)
print("path", path.pk)
"""
"""A program for ``str.format``: how many documents, and how many of them have the storage path."""


def program(documents: int, moved: int, *, sha256: bool) -> str:
    """Return the program; it prints the number of the storage path."""
    return SEED.format(documents=documents, moved=moved, sha256=sha256)
