"""SHA-256 of every document, as paperless-ngx 3 has it when it comes from 2; here in short."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import migrations

if TYPE_CHECKING:
    from pathlib import Path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(65536):
            digest.update(chunk)
    return digest.hexdigest()


def recompute_checksums(apps: Any, _: Any) -> None:  # Django's
    """Give every document whose file is there the checksum of what lies there."""
    documents = apps.get_model("documents", "Document").objects
    for document in documents.all():
        for field, name, root in (
            ("checksum", document.filename, settings.ORIGINALS_DIR),
            ("archive_checksum", document.archive_filename, settings.ARCHIVE_DIR),
        ):
            if name and (root / name).exists():
                setattr(document, field, _sha256(root / name))
        documents.bulk_update([document], ["checksum", "archive_checksum"])


class Migration(migrations.Migration):
    dependencies: ClassVar = [("documents", "0002_paperlesstask")]
    operations: ClassVar = [
        migrations.RunPython(recompute_checksums, migrations.RunPython.noop),
    ]
