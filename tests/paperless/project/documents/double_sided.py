"""Scans whose halves come one after the other."""

from __future__ import annotations

from typing import Any

from django.conf import settings

STAGING_FILE_NAME = "double-sided-staging.pdf"
SUBFOLDER = settings.CONSUMER_COLLATE_DOUBLE_SIDED_SUBDIR_NAME


class StopConsumeTaskError(Exception):
    pass


class CollatePlugin:
    def __init__(self, input_doc: Any, metadata: Any) -> None:
        self.input_doc, self.metadata = input_doc, metadata

    def run(self) -> None:
        """Keep the first half; of both make a file in the consume folder."""
        file, staging = self.input_doc.original_file, settings.SCRATCH_DIR / STAGING_FILE_NAME
        if not staging.exists():
            staging.write_bytes(file.read_bytes())
            file.unlink()
            raise StopConsumeTaskError("waiting for even numbered pages")
        parts = file.with_name(f"{file.stem}-collated.pdf").parts
        whole = type(file)(*(part for part in parts if part != SUBFOLDER))
        try:
            whole.parent.mkdir(parents=True, exist_ok=True)
            whole.write_bytes(staging.read_bytes())
            if file.read_bytes() == b"more pages":
                raise ValueError("the second file has more pages than the first")
            whole.write_bytes(staging.read_bytes() + file.read_bytes())
            raise StopConsumeTaskError("collated with odd pages")
        finally:
            file.unlink()
            staging.unlink()
