"""A program: one pass over a source that has not changed, compared with the journal."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from paperfleet.journal.journal import Journal
from paperfleet.mirror.scan import scan
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend


def main() -> None:
    """Take the source, the target and the journal as arguments; print seconds and files."""
    source, target, path = (Path(argument) for argument in sys.argv[1:])
    storage = full(LocalBackend(source, read_only=True))
    labels = storage.label, LocalBackend(target).label
    with storage, Journal.open(path, source=labels[0], target=labels[1]) as journal:
        begun = time.perf_counter()
        found = scan(storage, journal, [""], lambda _: False)
        seconds = time.perf_counter() - begun
    if found.changed or found.vanished or found.obstacles:
        raise SystemExit("the tree is not unchanged")
    json.dump({"seconds": seconds, "files": found.found}, sys.stdout)


if __name__ == "__main__":
    main()
