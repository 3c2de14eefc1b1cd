"""What is measured on one installation."""

from __future__ import annotations

import resource
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
from tests.paperless import papers

from bench.paperless import seeding

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.paperless.installation import Installation
    from tests.paperless.rest import Rest

LONGEST = 1800.0
DJANGO = "import django; django.setup()"


def start_up(installation: Installation) -> float:
    """Return the processor seconds that a process needs until Django is there with all its apps.

    Other programs on the machine count less there than in seconds of a clock.
    """
    command = [str(installation.checkout.python), "-c", DJANGO]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, cwd=installation.checkout.src, env=installation.environ, check=True, timeout=120
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seed(installation: Installation, documents: int, moved: int) -> int:
    """Make documents; return the number of the storage path of the first ``moved`` of them."""
    text = seeding.program(documents, moved, sha256=installation.checkout.version >= (3, 0, 0))
    answer = installation.manage("shell", "-c", text)
    return int(answer.split("path ")[-1])


def consume(rest: Rest, count: int) -> float:
    """Return the seconds from the first upload until the last document is consumed."""
    contents = [papers.pdf() for _ in range(count)]
    begun = time.perf_counter()
    tasks = [rest.post_document(f"{n}.pdf", content) for n, content in enumerate(contents)]
    for task in tasks:
        rest.task(task, timeout=LONGEST)
    return time.perf_counter() - begun


def download(rest: Rest, count: int) -> list[float]:
    """Return the seconds of each download of an original."""
    numbers = [one["id"] for one in rest.documents(page_size=count)][:count]
    return [timed(lambda n=number: rest.download(n)) for number in numbers]  # type: ignore[misc]


def listing(rest: Rest) -> float:
    """Return the seconds of a list of 1,000 documents."""
    return timed(lambda: rest.documents(page_size=1000))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def rename(installation: Installation, rest: Rest, path: int, count: int, to: str) -> float:
    """Return the seconds from the change of a storage path until all of its files are moved."""
    begun = time.perf_counter()
    rest.patch(f"storage_paths/{path}/", json={"path": f"{to}/{{{{ title }}}}"})
    rest.until(lambda: _named(installation, to) == count, "the renames", LONGEST)
    return time.perf_counter() - begun


def _named(installation: Installation, start: str) -> int:
    with psycopg.connect(installation.database_url()) as connection:
        found = connection.execute(
            "SELECT count(*) FROM documents_document WHERE filename LIKE %s", (f"{start}/%",)
        ).fetchone()
    return int(found[0]) if found else 0


def sanity(installation: Installation) -> float:
    """Return the seconds of a sanity check of everything."""
    answer = ""

    def check() -> None:
        nonlocal answer
        answer = installation.manage("document_sanity_checker", "--no-progress-bar")

    seconds = timed(check)
    if "mismatch" in answer.lower():
        raise RuntimeError(f"the documents are damaged\n{answer[-2000:]}")
    return seconds


def client(installation: Installation) -> closing[Rest]:
    """Return a client for a block."""
    return closing(installation.rest())
