"""What happens to a fleet while it works: each fault hits somebody who is at work.

A fault takes the fleet and a source of chance, and returns what it did, for the report.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.paperless.broken import ALWAYS
from tests.paperless.fleet_sending import BegunUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.paperless.fleet_sending import Sending
    from tests.paperless.machine_fleet import Fleet, Host
    from tests.servers.machines import Program

CUT_OFF = 40.0
OUTAGE = 30.0
ENDS = "Shutting down granian"
"""What a web server says when it was asked to end (``granian/server/common.py``)."""
_LATEST = 1.0
"""Seconds after a task has begun within which the fault comes."""


def busy_host(fleet: Fleet, random: Random) -> tuple[Host, str, str]:
    """Return a host whose worker is in a task, the task, and its owner; a moment after it began."""
    seen = set(fleet.running())

    def find() -> list[tuple[str, str]]:
        rows = fleet.ask(
            "SELECT task_id, owner FROM paperfleet_work WHERE state = 'running'"
            " AND name = 'documents.tasks.consume_file' ORDER BY task_id"
        )
        return [(task, owner) for task, owner in rows if task not in seen]

    task, owner = random.choice(fleet.until(find, "a task that begins"))
    time.sleep(random.uniform(0, _LATEST))  # any moment of it
    return fleet.hosts[owner.partition("|")[0]], task, owner


def elsewhere(fleet: Fleet, task: str, host: Host, since: float) -> dict[str, Any]:
    """Wait until a task has ended, or runs on another host; return how long that took."""

    def moved() -> bool:
        rows = fleet.ask(
            "SELECT state, owner FROM paperfleet_work WHERE task_id = %s AND state <> 'done'", task
        )
        return not rows or any(
            state == "running" and owner.partition("|")[0] != host.name for state, owner in rows
        )

    fleet.until(moved, f"the task of {host.name} is done elsewhere")
    return {"host": host.name, "elsewhere_after_s": round(time.monotonic() - since, 1)}


def child_killed(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Kill a worker's child in the middle of a task, as the kernel does that lacks memory."""
    host, task, owner = busy_host(fleet, random)
    while not kill_child(fleet, task, owner):  # it was over before
        host, task, owner = busy_host(fleet, random)
    since = time.monotonic()
    fleet.until(lambda: task not in fleet.running(), "the task is not left as running")
    return {"host": host.name, "over_s": round(time.monotonic() - since, 1)}


def kill_child(fleet: Fleet, task: str, owner: str) -> bool:
    """Kill the child of a worker that runs a task; say whether the task was not over before."""
    inside = int(owner.split("|")[3])
    children = fleet.hosts[owner.partition("|")[0]].roles["worker"].children()
    found = [pid for pid in children if _pid_inside(pid) == inside]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    left = fleet.ask(
        "SELECT 1 FROM paperfleet_work WHERE task_id = %s AND state IN ('waiting', 'running')", task
    )
    return bool(found and left)


def _pid_inside(pid: int) -> int:
    """Return a process's number in its innermost namespace (proc(5), ``NSpid``)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[-1]) for line in lines if line.startswith("NSpid:"))


def worker_killed(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Kill a worker with all its children."""
    host, task, _ = busy_host(fleet, random)
    host.kill("worker")
    return elsewhere(fleet, task, host, time.monotonic())


def host_killed(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Take a host's power away: nobody is told."""
    host, task, _ = busy_host(fleet, random)
    host.lose_power()
    return elsewhere(fleet, task, host, time.monotonic())


def host_cut_off(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Cut a host off for 40 s in the middle of a task, with which it comes back."""
    host, task, _ = busy_host(fleet, random)
    host.machine.unplug()
    since = time.monotonic()
    try:
        seen = elsewhere(fleet, task, host, since)
        time.sleep(max(0.0, CUT_OFF - (time.monotonic() - since)))  # so long, not until
    finally:
        host.machine.plug_in()
    return seen


def store_answers_503(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Let the store answer 503 to everything for 30 s."""
    host, *_ = busy_host(fleet, random)
    fleet.faults.fail("answer", left=ALWAYS, status=503)
    time.sleep(OUTAGE)  # so long, not until
    unused = fleet.faults.unused()
    fleet.faults.heal()
    assert not unused, "nobody asked the store"
    return {"host": host.name}


def redis_emptied(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Kill Redis, which comes back without what it knew."""
    host, *_ = busy_host(fleet, random)
    fleet.servers.redis.kill()
    fleet.servers.redis.start()
    return {"host": host.name}


def postgres_restarted(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Restart PostgreSQL, which cuts all connections."""
    host, *_ = busy_host(fleet, random)
    fleet.servers.postgres.stop()
    fleet.servers.postgres.start()
    return {"host": host.name}


def scheduler_killed(fleet: Fleet, random: Random) -> dict[str, Any]:
    """Kill the scheduler, then a worker: who stands by has to take over, and sweep."""
    (leader,) = (host for host in fleet.hosts.values() if leads(host))
    leader.kill("scheduler")
    since = time.monotonic()
    host, task, _ = busy_host(fleet, random)
    host.kill("worker")
    killed = time.monotonic()
    others = [one for one in fleet.hosts.values() if one is not leader]
    fleet.until(lambda: any(leads(one) for one in others), "another scheduler works")
    taken_over = round(time.monotonic() - since, 1)
    return {"taken_over_s": taken_over, **elsewhere(fleet, task, host, killed)}


def leads(host: Host) -> bool:
    """Say whether the scheduler of a host works, and does not stand by."""
    roles = host.machine.folder / "scratch" / "paperfleet" / "roles"
    told = next(roles.glob("*/scheduler.json"), None)
    program = host.roles.get("scheduler")
    if program is None or not program.alive or told is None:
        return False
    _, _, state = json.loads(told.read_text(encoding="utf-8"))  # ``rolestate.RoleState``
    return bool(state == "working")


FAULTS: dict[str, Callable[[Fleet, Random], dict[str, Any]]] = {
    fault.__name__: fault
    for fault in (
        child_killed,
        worker_killed,
        host_killed,
        host_cut_off,
        store_answers_503,
        redis_emptied,
        postgres_restarted,
        scheduler_killed,
    )
}


EDITING = (
    "documents.tasks.consume_file",
    "documents.tasks.update_document_content_maybe_archive_file",
)
"""The tasks by which edits are made, and which are repeated."""


class EditsKiller:
    """Kills the child of a worker at each edit; one that is over too soon is left."""

    def __init__(self, fleet: Fleet, random: Random) -> None:
        self._fleet, self._random = fleet, random
        self.killed: list[str] = []
        """The names of the edits that were hit."""

    @contextmanager
    def meanwhile(self, name: str) -> Iterator[None]:
        """Kill who begins what is asked for within the block."""
        known = {task for task, *_ in self._open()}
        yield

        def begun() -> tuple[str, str] | bool:
            new = [row for row in self._open() if row[0] not in known]
            runs = [(task, owner) for task, owner, state in new if state == "running"]
            return runs[0] if runs else not new

        found = self._fleet.until(begun, f"a task of {name} that begins")
        if found is True:
            return
        time.sleep(self._random.uniform(0, _LATEST))  # any moment of it
        if kill_child(self._fleet, *found):
            self.killed.append(name)

    def _open(self) -> list[tuple[str, str, str]]:
        return self._fleet.ask(
            "SELECT task_id, owner, state FROM paperfleet_work"
            " WHERE state IN ('held', 'waiting', 'running') AND name = ANY(%s) ORDER BY created",
            list(EDITING),
        )


def rolling_restart(fleet: Fleet, sending: Sending, random: Random) -> dict[str, Any]:
    """Restart each role of each host in order, host after host, as an update does.

    A web server is taken out first, as a load balancer has to: what connects to one that is about
    to end is not answered. What it has begun is: it ends in the middle of an upload.
    """
    began = time.monotonic()
    for host in fleet.hosts.values():
        roles = list(host.roles)
        with ExitStack() as stack:
            if "web" in roles:
                stack.enter_context(sending.without(host))
                _stop_while_it_reads(fleet, host, sending, random)
            for role in roles:
                if role in host.roles:
                    host.stop(role)
            host.start(*roles)
            fleet.wait_until_ready()
    return {"restart_s": round(time.monotonic() - began, 1)}


def _stop_while_it_reads(fleet: Fleet, host: Host, sending: Sending, random: Random) -> None:
    begun = BegunUpload(host, random)

    def go_on(program: Program) -> None:
        fleet.until(lambda: ENDS in program.output(), "a web server to end")
        sending.accepted(begun.paper, begun.finish())

    host.stop("web", go_on)
