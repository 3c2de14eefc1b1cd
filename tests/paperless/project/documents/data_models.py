"""What a task is told of a new document."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypedDict


@dataclasses.dataclass
class ConsumableDocument:
    original_file: Path
    root_document_id: int | None = None
    original_path: Path | None = None

    def __post_init__(self) -> None:
        self.original_file = Path(self.original_file).resolve()


class ConsumeFileSuccessResult(TypedDict):
    document_id: int
