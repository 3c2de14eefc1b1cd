"""The machines on which tests of a fleet run: nothing is common, and a cut is seen by nobody."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.servers.base import free_port, server_process
from tests.servers.machines import SERVERS, Machine, Network, machines_missing, network
from tests.servers.moto_server import moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = machines_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=str(MISSING))
ASK = """
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).recv(5).decode())
except OSError as error:
    print("cut off:", error)
"""
SERVE = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    taken, _ = server.accept()
    try:
        taken.sendall(b"hello")
    except OSError:
        pass  # it only looked whether somebody listens
    taken.close()
"""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path) as made:
        yield made


ENVIRONMENT = {name: text for name, text in os.environ.items() if "COV" not in name}
"""A machine can write no data file of the test's coverage."""


def told(machine: Machine, *words: str) -> str:
    return machine.run(words, ENVIRONMENT, machine.home, 60).stdout


def test_a_machine_sees_its_own_folder_alone_and_writes_nowhere_else(net: Network) -> None:
    one, two = net.machine("one"), net.machine("two")
    told(one, "touch", "file of one")
    assert (one.folder / "file of one").exists()
    assert told(one, "ls", str(one.home)).strip() == "file of one"
    for place in (str(two.home), str(net.all), "/dev/shm", "/var/tmp"):  # noqa: S108  # they must be empty
        assert told(two, "ls", place) == ""
    assert "Read-only" in told(two, "touch", str(one.home.parent / "common"))
    assert [told(one, "hostname").strip(), told(two, "hostname").strip()] == ["one", "two"]
    assert len(told(two, "ip", "route").splitlines()) == 1, "no way out"


def test_a_bucket_is_reached_from_each_network(tmp_path: Path) -> None:
    with moto_server() as before:
        before.client.put_object(Bucket=before.bucket, Key="a", Body=b"outside")
        with network(tmp_path), moto_server() as inside:
            inside.client.put_object(Bucket=inside.bucket, Key="a", Body=b"inside")
        read = before.client.get_object(Bucket=before.bucket, Key="a")["Body"].read()
    assert read == b"outside"


def test_a_machine_that_loses_its_power_keeps_its_folder(net: Network) -> None:
    machine = net.machine("one")
    log = machine.folder / "log"
    program = machine.start(["sleep", "600"], ENVIRONMENT, machine.home, log)
    machine.switch_off()
    assert program.wait(20) != 0
    machine.switch_on()
    assert told(machine, "ls", str(machine.home)).strip() == "log"
    assert "sleep" not in told(machine, "ps", "ax")


def test_a_machine_that_is_cut_off_reaches_nobody_until_it_is_back(
    net: Network, tmp_path: Path
) -> None:
    machine, port = net.machine("one"), free_port()
    serve = [sys.executable, "-c", SERVE, str(port)]
    ask = [sys.executable, "-c", ASK, SERVERS, str(port)]
    with server_process(serve, port, tmp_path / "log"):
        assert told(machine, *ask).strip() == "hello"
        machine.unplug()
        assert "cut off" in told(machine, *ask)
        machine.plug_in()
        assert told(machine, *ask).strip() == "hello"
