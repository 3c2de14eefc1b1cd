"""A mirror killed at every journal write and around every request, then started again.

Afterwards source, target and journal agree, nobody else's file was touched, and nothing was sent
again that had arrived.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.crash.mirror_child import JOURNAL_WRITES, Setup, run_once
from tests.crash.pairs import (
    BucketPair,
    BucketServer,
    DavPair,
    Pair,
    bucket_server,
)
from tests.servers.apache_server import apache_missing, apache_server
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.wsgidav_server import wsgidav_server
from tests.trees import read_tree
from tests.wide import QUICK, first_of

from paperfleet.journal.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.servers.base import WebDavServer

pytestmark = pytest.mark.crash

REQUESTS = dict.fromkeys([*DavPair.requests, *BucketPair.requests])
POINTS = [
    *(f"journal.{write}:{when}" for write in JOURNAL_WRITES for when in ("before", "after")),
    *(f"http.{method}:{when}" for method in REQUESTS for when in ("before", "after")),
]
SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
EVERY_REACH = range(1, 60)
SOME_REACHES = (1, 10) if QUICK else (1, 3, 10, 30)
"""The first, which differ most, and some later ones: the others widen them."""

SERVERS: dict[str, Callable[[], AbstractContextManager[WebDavServer | BucketServer]]] = {
    "nextcloud": nextcloud_double,
    "wsgidav": wsgidav_server,
    "bucket": bucket_server,
}
FEW_POINTS = [
    *("http.PUT:after", "http.DELETE:before", "http.PUT:before", "http.DELETE:after"),
    *("journal.start:after", "journal.complete_many:before"),
]
"""Around what a bucket is changed with; on a Nextcloud all points are in ``make test``."""


@pytest.fixture(scope="module", params=first_of(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[WebDavServer | BucketServer]:
    with SERVERS[request.param]() as running:
        yield running


@pytest.fixture
def pair(server: WebDavServer | BucketServer, tmp_path: Path) -> Pair:
    if isinstance(server, BucketServer):
        return BucketPair(server, tmp_path)
    return DavPair(server, tmp_path)


@pytest.fixture(scope="module")
def bucket_alone() -> Iterator[BucketServer]:
    with bucket_server() as running:
        yield running


@pytest.fixture
def bucket(bucket_alone: BucketServer, tmp_path: Path) -> BucketPair:
    return BucketPair(bucket_alone, tmp_path)


def check_agreement(pair: Pair, setup: Setup) -> None:
    pair.check_agreement(setup)
    names = read_tree(setup.source).keys()
    with Journal.open(setup.journal, source="source", target="target") as journal:
        rows = {row.name: row for row in journal.known()}
        assert journal.count_pending() == 0
    assert rows.keys() == names
    assert all(row.sure and row.target_name == row.name for row in rows.values())


@pytest.mark.parametrize("synced", [False, True], ids=["first", "changes"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("reaches", first_of([SOME_REACHES, EVERY_REACH]), ids=["some", "every"])
def test_killed_and_started_again(
    pair: Pair, point: str, reaches: Sequence[int], *, synced: bool
) -> None:
    if reaches is EVERY_REACH and pair.kind != "nextcloud" and not SOAK:
        pytest.skip(f"every moment of a kill on {pair.kind} is left to make soak")
    where = point.partition(":")[0].partition(".")
    if where[0] == "http" and where[2] not in pair.requests:
        pytest.skip(f"{pair.kind} is not asked with {where[2]}")
    times = kill_and_start_again(pair, point, reaches, synced=synced)
    assert reaches is SOME_REACHES or times < len(reaches), f"{point} is reached more often"
    if not times:
        pytest.skip(f"{point} is not reached in this scenario on {pair.kind}")


@pytest.mark.parametrize("point", first_of(FEW_POINTS, 2))
def test_killed_beside_a_bucket(bucket: BucketPair, point: str) -> None:
    times = kill_and_start_again(bucket, point, SOME_REACHES, synced=True)
    assert times, "the point is reached"


@pytest.mark.parametrize("point", ["http.PUT:after", "http.MOVE:before", "http.MOVE:after"])
def test_killed_beside_a_plain_server(tmp_path: Path, plain: WebDavServer, point: str) -> None:
    """There a file is moved into its place."""
    assert kill_and_start_again(DavPair(plain, tmp_path), point, SOME_REACHES, synced=True)


@pytest.fixture(scope="module")
def plain() -> Iterator[WebDavServer]:
    with wsgidav_server() as running:
        yield running


@pytest.fixture(scope="module")
def apache() -> Iterator[WebDavServer]:
    if reason := apache_missing():
        pytest.skip(reason)
    with apache_server() as running:
        yield running


@pytest.mark.parametrize("synced", [False, True], ids=["first", "changes"])
@pytest.mark.parametrize("point", ["http.PUT:before", "http.PUT:after", "http.HEAD:before"])
def test_killed_around_the_one_put_of_a_file(
    apache: WebDavServer, tmp_path: Path, point: str, *, synced: bool
) -> None:
    """Where a server takes a PUT whole or not at all, nothing stands between it and the file."""
    told = httpx.options(apache.url, auth=apache.auth).headers
    pair = DavPair(apache, tmp_path, (told["server"], told["dav"]))
    assert kill_and_start_again(pair, point, (1, 2), synced=synced) == 2


@pytest.mark.parametrize(
    ("point", "reaches"),
    [
        ("http.PUT:after", (2, 3, 4)),
        ("http.PROPFIND:before", (2, 3, 4)),
        ("http.PROPFIND:after", (2, 3, 4)),
    ],
)
def test_killed_before_it_was_seen_what_arrived_of_several_files(
    apache: WebDavServer, tmp_path: Path, point: str, reaches: Sequence[int]
) -> None:
    """With one connection files go in rows, and a listing of their folder proves them."""
    told = httpx.options(apache.url, auth=apache.auth).headers
    pair = DavPair(apache, tmp_path, (told["server"], told["dav"]), connections=1)
    assert kill_and_start_again(pair, point, reaches, synced=False)


def kill_and_start_again(pair: Pair, point: str, reaches: Sequence[int], *, synced: bool) -> int:
    """Kill a mirror at each of the reaches of a point; return how many of them there were."""
    for times, nth in enumerate(reaches):
        setup = pair.fresh(synced=synced)
        died = pair.killed_at(setup, point, nth)
        wanted = read_tree(setup.source)
        arrived = {name for name, found in pair.tree(setup).items() if wanted.get(name) == found}
        sent = pair.sent(setup)
        pair.start_again(setup)
        check_agreement(pair, setup)
        again = arrived & sent()
        assert not again, f"{again} had arrived and was sent again"
        pair.discard(setup)
        if not died:
            return times
    return len(reaches)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", ["remember", "set_folder_etags"])
def test_what_others_changed_is_seen_after_a_kill_between_finding_and_noting_it(
    pair: Pair, write: str, when: str
) -> None:
    """The doubt about a file is on the disk before the etags are that would hide it."""
    if pair.kind != "nextcloud":
        pytest.skip(f"folders have no etags on {pair.kind}")
    setup = pair.fresh(synced=True, edited=False)  # other work would show it by chance
    pair.put_there(setup, "a/keep.pdf", b"foreign!!")
    killed = pair.killed_at(setup, f"journal.{write}:{when}", 1)
    assert killed
    assert run_once(setup).converged
    check_agreement(pair, setup)
    pair.discard(setup)
