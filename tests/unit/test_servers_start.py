"""Every real test server starts, answers the basic WebDAV requests, and stops."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from tests.servers.base import (
    HOST,
    ServerStartError,
    free_port,
    server_process,
    stop_process,
    wait_for_port,
)
from tests.servers.client import trust_of
from tests.servers.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.servers.base import WebDavServer

    Start = Callable[[], AbstractContextManager[WebDavServer]]

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest) -> Start:
    kind = KINDS[request.param]
    if reason := kind.missing():
        pytest.skip(reason)
    return kind.start


@pytest.fixture
def server(start: Start) -> Iterator[WebDavServer]:
    with start() as running:
        yield running


@pytest.fixture
def client(server: WebDavServer) -> Iterator[httpx.Client]:
    trust = trust_of(server)
    with httpx.Client(base_url=server.url, auth=server.auth, timeout=10, verify=trust) as http:
        yield http


def test_refuses_a_stranger(server: WebDavServer) -> None:
    assert httpx.get(server.url, verify=trust_of(server)).status_code == 401


def test_stores_and_lists(server: WebDavServer, client: httpx.Client) -> None:
    assert client.request("MKCOL", "a%20b/").status_code == 201
    assert client.put("a%20b/%C3%BC.txt", content=b"hello").status_code == 201
    assert client.get("a%20b/%C3%BC.txt").content == b"hello"
    listing = client.request("PROPFIND", "a%20b/", headers={"Depth": "1"})
    assert listing.status_code == 207
    assert "%c3%bc.txt" in listing.text.lower()
    assert server.tree() == {"a b/ü.txt": b"hello"}


def test_shows_what_was_written_past_it(server: WebDavServer, client: httpx.Client) -> None:
    server.write("x/y.txt", b"theirs")
    assert client.get("x/y.txt").content == b"theirs"
    server.clear()
    assert client.get("x/y.txt").status_code == 404


def test_moves_without_loss(server: WebDavServer, client: httpx.Client) -> None:
    server.write("old.txt", b"1")
    # Apache knows nothing of the TLS that a proxy ends before it.
    there = server.url.replace("https:", "http:") + "new.txt"
    answer = client.request("MOVE", "old.txt", headers={"Destination": there})
    assert answer.status_code in {201, 204}  # nginx says 204 of a new name, too
    assert server.tree() == {"new.txt": b"1"}


def test_stops(start: Start) -> None:
    with start() as running:
        port = urlsplit(running.url).port
        root = running.root
    assert port
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0
    assert not root.exists()


def test_requests_are_counted_where_that_is_said(
    server: WebDavServer, client: httpx.Client
) -> None:
    client.put("ä.txt", content=b"1")
    assert (("PUT", "ä.txt") in server.requests.pairs()) is server.counts_requests


def test_the_nextcloud_double_is_also_a_program(tmp_path: Path) -> None:
    (tmp_path / "files" / "a").mkdir(parents=True)
    (tmp_path / "files" / "a" / "b.txt").write_bytes(b"was here")
    options = ["--root", str(tmp_path), "--user", "u", "--password", "p", "--latency", "GET=50"]
    command = [sys.executable, "-m", "tests.servers.nextcloud_double", *options]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        answer = httpx.get(f"{url}a/b.txt", auth=("u", "p"))
        stop_process(process)
    assert answer.content == b"was here"
    assert answer.elapsed.total_seconds() >= 0.05
    assert process.returncode == 0


def test_waiting_for_a_port_is_bounded() -> None:
    with pytest.raises(ServerStartError):
        wait_for_port(free_port(), timeout=0.1)


def test_a_process_that_dies_says_why(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such option; exit 3"]
    starting = server_process(command, free_port(), tmp_path / "log")
    with pytest.raises(ServerStartError, match="no such option"), starting:
        pass
