"""The Nextcloud double with latencies: a simulation of what a real one was measured to take.

Measured on a Nextcloud 29.0.6 (Apache, PHP 8.2, SQLite) on loopback, medians. A real server has two
more habits that are imitated here: it does about two requests at a time whatever the number of
connections (27 PUTs a second on one, 51 on two, 46 on four, 48 on 16), and in bulk uploads about
120 files a second (98 on one connection, 115 on two, 120 on four).
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.nextcloud_double import NextcloudDouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nextcloud_http import Request, Response

MILLISECONDS = {
    "PROPFIND": 17,
    "MKCOL": 26,
    "PUT": 34,
    "MOVE": 40,
    "DELETE": 46,
    "GET": 21,
    "POST": 17,
    "*": 17,
}
BULK_MILLISECONDS_PER_FILE = 8
PARALLEL_REQUESTS = 2


class SimulatedNextcloud(NextcloudDouble):
    """A double whose requests take as long as those of a real server."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.latency = {method: ms / 1000 for method, ms in MILLISECONDS.items()}
        self.workers = threading.Semaphore(PARALLEL_REQUESTS)
        self._one_file_at_a_time = threading.Lock()

    def _answer(self, request: Request) -> Response:
        response = super()._answer(request)
        if request.method == "POST" and request.raw_path.endswith("/bulk"):
            files = len(json.loads(response.content))
            with self._one_file_at_a_time:
                time.sleep(files * BULK_MILLISECONDS_PER_FILE / 1000)
        return response


@contextmanager
def simulated_nextcloud() -> Iterator[NextcloudDouble]:
    """Run one on a temporary folder."""
    with TemporaryDirectory(prefix="nextcloud-") as temp:
        double = SimulatedNextcloud(Path(temp))
        double.start()
        try:
            yield double
        finally:
            double.stop()
