"""What happens to documents in a day, each with what has to be true at the target then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.demo.documents import write_document
from paperfleet.demo.waiting import content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NEW = "2026/Tax Office/Assessment 031.pdf"
RENAMED = "2026/Tax Office/Tax assessment for 2025.pdf"
VERSIONED = "2025/Landlord/Contract 019.pdf"
FOLDER, NEW_FOLDER = "2024/Stadtwerke", "2024/City Utilities"
DELETED = "2025/Health Insurance/Invoice 018.pdf"


class Change(NamedTuple):
    """One change of the source.

    ``make`` does it; ``arrived`` says whether the target has it; ``logged`` is how the line of the
    mirror's log begins, after the time.
    """

    title: str
    make: Callable[[], object]
    arrived: Callable[[], bool]
    logged: str


def changes(source: Path, target: Path) -> Iterator[Change]:
    """Yield the changes in order; each is meant to be made before the next is asked for."""

    def equal(name: str) -> bool:
        return content(target / name) == content(source / name) is not None

    yield Change(
        f"a new document: {NEW}",
        lambda: write_document(source / NEW, "Assessment 031", "Tax Office", 2026, pages=3),
        lambda: equal(NEW),
        f"created   {NEW}",
    )
    yield Change(
        f"a new version of {VERSIONED}",
        lambda: write_document(source / VERSIONED, "Contract, renewed", "Landlord", 2025, pages=6),
        lambda: equal(VERSIONED),
        f"updated   {VERSIONED}",
    )
    yield Change(
        f"a new title, so another name: {RENAMED}",
        lambda: (source / NEW).rename(source / RENAMED),
        lambda: equal(RENAMED) and content(target / NEW) is None,
        f"moved     {NEW} -> {RENAMED}",
    )
    below = [path.name for path in (source / FOLDER).iterdir()]
    yield Change(
        f"a correspondent renamed: the folder {FOLDER} with {len(below)} documents",
        lambda: (source / FOLDER).rename(source / NEW_FOLDER),
        lambda: (
            all(equal(f"{NEW_FOLDER}/{name}") for name in below) and not (target / FOLDER).exists()
        ),
        f"moved     {FOLDER}/ -> {NEW_FOLDER}/",
    )
    yield Change(
        f"a document deleted: {DELETED}",
        (source / DELETED).unlink,
        lambda: content(target / DELETED) is None,
        f"deleted   {DELETED}",
    )
