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

    Other programs on the machine count less there than in seconds of a clock. As in an image or
    after an installation by pip, the bytecode is there: the first start, not measured, writes it.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_until_set_up(installation)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_until_set_up(installation: Installation) -> None:
    """Run a process until Django is there with all its apps; it writes bytecode."""
    environ = {k: v for k, v in installation.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [str(installation.checkout.python), "-c", DJANGO],
        cwd=installation.checkout.src,
        env=environ,
        check=True,
        timeout=120,
    )


def seed(installation: Installation, documents: int, moved: int) -> int:
    """Make documents; return the number of the storage path of the first ``moved`` of them."""
    text = seeding.program(documents, moved, sha256=installation.checkout.version >= (3, 0, 0))
    answer = installation.manage("shell", "-c", text)
    return int(answer.split("path ")[-1])


def consume(installation: Installation, rest: Rest, count: int) -> tuple[float, float]:
    """Return the seconds that the worker spends in the tasks, and those of the clock.

    The clock also has the time that Celery takes to replace its worker process after every task
    (``CELERY_WORKER_MAX_TASKS_PER_CHILD`` of paperless-ngx is 1), seconds that come and go.
    """
    contents = [papers.pdf() for _ in range(count)]
    begun = time.perf_counter()
    tasks = [rest.post_document(f"{n}.pdf", content) for n, content in enumerate(contents)]
    rest.until(lambda: _done(installation, tasks)[0] == count, "the documents", LONGEST)
    return _done(installation, tasks)[1], time.perf_counter() - begun


def _done(installation: Installation, tasks: list[str]) -> tuple[int, float]:
    """Return how many tasks are done, and the seconds that they took."""
    with psycopg.connect(installation.database_url()) as connection:
        rows = connection.execute(
            "SELECT lower(status), extract(epoch FROM date_done - date_started)"
            " FROM documents_paperlesstask WHERE task_id = ANY(%s) AND date_done IS NOT NULL",
            (tasks,),
        ).fetchall()
    failed = [status for status, _ in rows if status != "success"]
    if failed:
        raise RuntimeError(f"{len(failed)} documents were not consumed: {failed}")
    return len(rows), float(sum(seconds for _, seconds in rows))


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


def rename(
    installation: Installation, rest: Rest, path: int, count: int, to: str
) -> tuple[float, float]:
    """Return the seconds from the change of a storage path until the task is over.

    And those until all files are moved: the app moves them first, and paperless-ngx's loop goes on.
    """
    begun = time.perf_counter()
    rest.patch(f"storage_paths/{path}/", json={"path": f"{to}/{{{{ title }}}}"})
    rest.until(lambda: _named(installation, to) == count, "the renames", LONGEST)
    moved = time.perf_counter() - begun
    rest.wait_until_idle(LONGEST)
    return time.perf_counter() - begun, moved


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
