"""The time of a file: in which way a server takes it, learned by looking."""

from __future__ import annotations

import time

import httpx
import pytest
from tests.unit.dav_kit import Server, client

from paperfleet.model import FileStat
from paperfleet.storage.dav.mtime import EARLIEST, SECOND, ModifiedTimes, mtime_headers

TIME = 1_500_000_000 * SECOND


@pytest.mark.parametrize(
    ("modified_ns", "expected"),
    [
        (None, {}),
        (0, {}),
        (-TIME, {}),
        ((EARLIEST - 1) * SECOND, {}),
        (EARLIEST * SECOND, {"X-OC-Mtime": str(EARLIEST)}),
        (TIME + 999_999_999, {"X-OC-Mtime": "1500000000"}),
    ],
)
def test_only_times_that_every_server_takes_are_sent(
    modified_ns: int | None, expected: dict[str, str]
) -> None:
    assert mtime_headers(modified_ns) == expected


class Times:
    """A server with one file; ``header`` and ``proppatch`` say which ways it knows."""

    def __init__(self, *, header: bool = False, proppatch: int = 403) -> None:
        self.header, self.status = header, proppatch
        self.modified = int(time.time()) * SECOND
        self.server = Server(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "PROPPATCH"
        assert b"Fri, 14 Jul 2017 02:40:00 GMT" in request.content
        if self.status == 207:
            self.modified = TIME
        return httpx.Response(self.status)

    def save(self, times: ModifiedTimes, modified_ns: int | None) -> FileStat:
        headers = times.headers(modified_ns)
        if self.header and headers:
            self.modified = int(headers["X-OC-Mtime"]) * SECOND
        return times.settled("a", modified_ns, lambda: FileStat("a", 1, self.modified))


def test_with_the_upload() -> None:
    served = Times(header=True)
    with client(served.server) as dav:
        times = ModifiedTimes(dav)
        before = times.kept
        assert served.save(times, TIME + 5).modified_ns == TIME
        assert (before, times.kept) == (False, True)
        served.save(times, TIME)
    assert served.server.requests == []


def test_afterwards() -> None:
    served = Times(proppatch=207)
    with client(served.server) as dav:
        times = ModifiedTimes(dav)
        for _ in range(2):
            assert served.save(times, TIME).modified_ns == TIME
        assert times.kept
        assert times.headers(TIME) == {}
    assert served.server.log == ["PROPPATCH /dav/Folder/a"] * 2


@pytest.mark.parametrize("status", [207, 400, 403, 405, 409, 501])
def test_not_at_all(status: int) -> None:
    served = Times(proppatch=status)
    served.server.answer = [httpx.Response(status)]
    with client(served.server) as dav:
        times = ModifiedTimes(dav)
        for _ in range(3):
            assert served.save(times, TIME).modified_ns == served.modified
        assert not times.kept
    assert len(served.server.requests) == 1


def test_a_new_document_teaches_nothing() -> None:
    served = Times()
    with client(served.server) as dav:
        times = ModifiedTimes(dav)
        served.save(times, time.time_ns())
        assert not times.kept
        assert served.server.requests == []
        assert times.headers(TIME), "the question is still open"
