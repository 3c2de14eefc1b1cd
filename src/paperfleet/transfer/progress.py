"""What a migration remembers between two runs: which files were verified, in which state.

A file of JSON lines that is only ever appended to, and kept: when the source was let go of, it is
what still knows that the files arrived. A line that a crash cut off is ignored: its file
is verified again.
"""

from __future__ import annotations

import json
from threading import Lock
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from paperfleet.private import make_folder, open_text
from paperfleet.transfer.receipt import ReceiptEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from paperfleet.model import FileStat


class VerifiedFile(NamedTuple):
    """A file whose bytes were equal on both sides: their hash, and the state of both sides then.

    ``proven`` is how that is known of the target (see ``receipt.Entry``).
    """

    name: str
    target_name: str
    size: int
    sha256: str
    source_state: str
    target_state: str
    proven: str = ""

    @property
    def entry(self) -> ReceiptEntry:
        """The line of it in a receipt."""
        return ReceiptEntry(self.target_name, self.size, self.sha256, self.proven)


def state_of(stat: FileStat) -> str:
    """Return what changes when the file does, '' when the storage tells nothing of the sort.

    A strong etag is all of it: not every answer that has one has the time as well. Size alone is no
    state.
    """
    if stat.etag is not None and not stat.etag.startswith("W/"):
        return f"{stat.size}-{stat.etag}"
    if stat.etag is None and stat.modified_ns is None:
        return ""
    return f"{stat.size}-{stat.modified_ns}-{stat.etag}"


class Progress:
    """The verified files of one migration, in memory and on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._file: IO[str] | None = None
        self.verified: dict[str, VerifiedFile] = {}

    def __enter__(self) -> Self:
        """Read what earlier runs wrote and open the file for more."""
        make_folder(self._path.parent)
        if self._path.exists():
            self._read()
        self._file = open_text(self._path, "a")
        if self._path.stat().st_size:
            self._file.write("\n")  # closes a line that was cut off; an empty line means nothing
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def _read(self) -> None:
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                entry = _parsed(line)
                if entry:
                    self.verified[entry.name] = entry

    def add(self, entry: VerifiedFile) -> None:
        """Remember a file; any thread may call."""
        with self._lock:
            self.verified[entry.name] = entry
            if self._file:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()

    def still_true(
        self, name: str, source: FileStat, target: FileStat | None
    ) -> VerifiedFile | None:
        """Return what was verified, if neither side has changed since."""
        entry = self.verified.get(name)
        if entry is None or target is None or not entry.source_state or not entry.target_state:
            return None
        same = entry.source_state == state_of(source) and entry.target_state == state_of(target)
        return entry if same else None

    def gone_from_source(
        self, entries: Iterable[ReceiptEntry], there: Mapping[str, FileStat]
    ) -> list[ReceiptEntry]:
        """Return what was proven, is not among ``entries``, and is at the target as it was then."""
        now = {entry.name for entry in entries}
        return sorted(
            known.entry
            for known in self.verified.values()
            if known.target_name not in now
            and known.target_name in there
            and known.target_state
            and known.target_state == state_of(there[known.target_name])
        )


def _parsed(line: str) -> VerifiedFile | None:
    """Return the entry of a line, None for one that was cut off or is none."""
    try:
        values = json.loads(line)
        entry = VerifiedFile(*values) if isinstance(values, list) else None
    except (ValueError, TypeError, RecursionError):
        return None
    if entry is None or type(entry.size) is not int:
        return None
    texts = entry._replace(size="")  # type: ignore[arg-type]  # only looked through
    return entry if all(isinstance(value, str) for value in texts) else None
