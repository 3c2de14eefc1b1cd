"""The one number in the life of real tasks: Celery's workers on real PostgreSQL and Redis."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.paperless.delivery_kit import (
    ON_SERVERS,
    PREFIX,
    Alone,
    Fleet,
    Metrics,
    emptied,
    fleet_with_tables,
    passed,
    wait_for,
)
from tests.servers.base import HOST, free_port
from tests.wide import WIDE, first_of

from paperfleet.paperless.scaling.queries import query
from paperfleet.web.metrics import FRESH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = ON_SERVERS


@pytest.fixture(scope="module")
def fleet_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_with_tables(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def alone_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_with_tables(tmp_path_factory.mktemp("alone"), kind=Alone) as fleet:
        yield fleet


@pytest.fixture
def fleet(fleet_servers: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    yield from emptied(fleet_servers, tmp_path)


@pytest.fixture
def alone(alone_servers: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    yield from emptied(alone_servers, tmp_path)


@pytest.fixture
def metrics(fleet: Fleet) -> Iterator[Metrics]:
    with fleet.host("web").metrics() as metrics:
        yield metrics


@pytest.fixture
def metrics_alone(alone: Fleet) -> Iterator[Metrics]:
    with alone.host("one").metrics() as metrics:
        yield metrics


def numbers(fleet: Fleet, metrics: Metrics) -> tuple[float, int]:
    """Return the number, and the length of the list beside it; the query has to say the same."""
    found = metrics.read()["paperfleet_work"]
    with contextlib.closing(fleet.broker()) as broker:
        length = int(broker.llen(f"{PREFIX}celery"))
    return found, length


def queried(fleet: Fleet, kind: str) -> int:
    ((found,),) = fleet.ask(query(kind))
    return int(found)


def publish(fleet: Fleet, *tasks: str, host: str = "web", **options: object) -> None:
    """Publish tasks without arguments, as the scheduler does."""
    fleet.host(host).python(
        "from celery import current_app\n"
        f"for name in {tasks!r}:\n"
        f"    current_app.send_task(name, **{options!r})\n"
    )


SCHEDULED = ("documents.tasks.train_classifier", "paperless_mail.tasks.process_mail_accounts")


def test_a_fleet_s_tasks_that_wait_run_and_are_with_a_dead_worker_count_once(
    fleet: Fleet, metrics: Metrics
) -> None:
    assert numbers(fleet, metrics) == (0, 0), "and nobody works"
    for name in "abc":
        fleet.host("web").upload(f"{name}.pdf", f"content of {name}")
    publish(fleet, *SCHEDULED)
    assert numbers(fleet, metrics) == (3, 5), "what the scheduler starts wakes nobody"
    with fleet.host("first").worker("run.restored:wait") as worker:
        passed(fleet, "run.restored")
        with contextlib.closing(fleet.broker()) as broker:
            wait_for("it takes more than it runs", lambda: broker.hlen("pre unacked") > 2)
        assert numbers(fleet, metrics)[0] == 3
        assert numbers(fleet, metrics)[1] < 3, "and so the list is wrong"
        assert queried(fleet, "fleet") == 3
        read = metrics.read()
        assert read["paperfleet_tasks running"] == 1
        assert read["paperfleet_tasks waiting"] == 4
        assert read["paperfleet_broker_messages taken"] > 2
        fleet.host("first").kill(worker)
    assert numbers(fleet, metrics)[0] == 3, "it will be offered again"
    fleet.age(61)
    fleet.host("web").sweep()
    read = metrics.read()
    assert (read["paperfleet_work"], read["paperfleet_task_deaths"]) == (3, 1)
    assert read["paperfleet_oldest_waiting_seconds"] > 0
    assert queried(fleet, "fleet") == 3
    with fleet.host("second").worker():
        wait_for("the documents", lambda: len(fleet.titles()) == 3)
        wait_for("all to have ended", lambda: metrics.read()["paperfleet_work"] == 0)
    assert queried(fleet, "fleet") == 0


@WIDE
def test_of_a_fleet_what_is_held_expired_failed_or_unknown(fleet: Fleet, metrics: Metrics) -> None:
    fleet.host("web").upload("a.pdf", "split\none\ntwo")
    with fleet.host("first").worker("publish.committed:wait"):
        passed(fleet, "publish.committed")
        assert numbers(fleet, metrics)[0] == 1, "the parts wait until the whole has ended"
        assert metrics.read()["paperfleet_tasks held"] == 1
        assert queried(fleet, "fleet") == 1
    fleet.clear()
    publish(fleet, "documents.tasks.bulk_update_documents", args=([],), expires=1)
    time.sleep(1.5)
    assert numbers(fleet, metrics) == (0, 1), "nobody wants it any more"
    assert queried(fleet, "fleet") == 0
    fleet.clear()
    fleet.host("web").upload("a.pdf", "unreadable")
    with fleet.host("second").worker():
        wait_for("its end", lambda: fleet.rows() == [("failed", 1, 0)])
    assert numbers(fleet, metrics) == (0, 0), "it waits for a person"
    assert metrics.read()["paperfleet_tasks failed"] == 1
    publish(fleet, "documents.tasks.tick", "somebody.else")
    assert numbers(fleet, metrics) == (2, 2), "they have no row, and count all the same"
    publish(fleet, "somebody.else", expires=1)
    time.sleep(1.5)
    assert numbers(fleet, metrics) == (2, 3)


@WIDE
def test_a_fleet_whose_redis_came_back_empty_has_its_work(fleet: Fleet, metrics: Metrics) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    fleet.redis.kill()
    fleet.redis.start()
    fleet.redis.settle()
    assert numbers(fleet, metrics) == (1, 0)


@pytest.mark.parametrize("server", first_of(["redis", "postgres"]))
def test_without_a_server_there_is_no_number(fleet: Fleet, metrics: Metrics, server: str) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    assert numbers(fleet, metrics)[0] == 1
    away = getattr(fleet, server)
    away.kill()
    status, text = metrics.ask()
    assert status == 503
    assert text.startswith("Redis" if server == "redis" else "the database")
    assert "paperfleet_work" not in text
    away.start()
    wait_for("the number", lambda: metrics.ask()[0] == 200)
    assert metrics.read()["paperfleet_work"] == 1


def test_many_waiting_messages_are_counted_soon(fleet: Fleet, metrics: Metrics) -> None:
    """Of the broker so many are looked at, and the rest of a list is counted by its length."""
    with contextlib.closing(fleet.broker()) as broker:
        publish(fleet, "documents.tasks.tick")
        (message,) = broker.lrange(f"{PREFIX}celery", 0, -1)
        broker.lpush(f"{PREFIX}celery", *[message] * 2499)
    began = time.monotonic()
    status, text = metrics.ask()
    took = time.monotonic() - began - FRESH_SECONDS
    assert status == 200
    assert "paperfleet_work 501.0" in text, "2,000 of one task, and 500 that were not looked at"
    print(f"2,500 messages: {took:.2f} s")
    assert took < 5


def test_without_a_fleet_what_waits_runs_and_is_with_a_dead_worker(
    alone: Fleet, metrics_alone: Metrics
) -> None:
    one = alone.host("one")
    for name in "abc":
        one.upload(f"{name}.pdf", "hold 60")
    publish(alone, *SCHEDULED, host="one")
    assert numbers(alone, metrics_alone) == (3, 5)
    assert queried(alone, "paperless-v3") == 3
    with one.worker() as worker:
        wait_for("a start", lambda: "started" in alone.statuses())
        assert numbers(alone, metrics_alone)[0] == 3, "what runs is in no list"
        assert numbers(alone, metrics_alone)[1] < 2
        assert queried(alone, "paperless-v3") == 3
        one.kill(worker)
    assert numbers(alone, metrics_alone)[0] == 3, "nothing tells that it is dead"
    alone.ask(
        "UPDATE documents_paperlesstask SET date_started = now() - interval '1861 seconds'"
        " WHERE status = 'started'"
    )
    assert numbers(alone, metrics_alone)[0] == 2, "its time is over"
    assert queried(alone, "paperless-v3") == 2
    alone.redis.kill()
    assert metrics_alone.ask()[0] == 503
    alone.redis.start()
    alone.redis.settle()
    alone.ask("UPDATE documents_paperlesstask SET date_created = date_created - interval '11 s'")
    assert numbers(alone, metrics_alone) == (0, 0), "Redis came back empty: they are lost"
    assert queried(alone, "paperless-v3") == 2, "the query's blind spot"


@WIDE
def test_without_a_fleet_what_was_published_a_moment_ago_or_has_ended(
    alone: Fleet, metrics_alone: Metrics
) -> None:
    one = alone.host("one")
    one.upload("a.pdf", "content of a")
    with contextlib.closing(alone.broker()) as broker:
        broker.delete(f"{PREFIX}celery")
    assert metrics_alone.read()["paperfleet_work"] == 1, "its message is on its way"
    wait_for("the moment to be over", lambda: metrics_alone.read()["paperfleet_work"] == 0)
    one.upload("b.pdf", "content of b")
    with one.worker():
        wait_for("the document", lambda: alone.titles() == ["b"])
        wait_for("the number", lambda: metrics_alone.read()["paperfleet_work"] == 0)
    alone.postgres.kill()
    assert metrics_alone.ask()[0] == 503
    alone.postgres.start()
    wait_for("the number", lambda: metrics_alone.ask()[0] == 200)


@WIDE
def test_the_command_tells_the_same_number(fleet: Fleet) -> None:
    fleet.host("web").upload("a.pdf", "content of a")
    assert fleet.host("web").tasks("--work") == "1\n"
    assert fleet.host("web").tasks("--scaling-query", "fleet") == query("fleet")


WORKERS = """
import os, subprocess, sys, time
os.environ["PAPERFLEET_LAUNCHED"] = f"web {os.getpid()} /nowhere"
serve = "import django; django.setup(); print('up', flush=True); import time; time.sleep(3600)"
children = [subprocess.Popen([sys.executable, "-c", serve]) for _ in range(2)]
print(*(child.pid for child in children), flush=True)
time.sleep(3600)
"""


@WIDE
def test_of_several_processes_one_serves_and_another_takes_over(fleet: Fleet) -> None:
    """As Granian's, which are children of the process that was launched."""
    port = free_port()
    environment = fleet.host("web").environment(
        GRANIAN_HOST=HOST, GRANIAN_WORKERS="2", PAPERFLEET_METRICS_PORT=str(port)
    )
    metrics = Metrics(port)
    with fleet.site.start(["-c", WORKERS], environment) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().split() for _ in range(3)]
        children = [int(word) for line in told for word in line if word.isdigit()]
        try:
            wait_for("metrics", metrics.is_there)
            assert metrics.read()["paperfleet_work"] == 0
            first = listener(port)
            assert first in children
            os.kill(first, 9)
            began = time.monotonic()
            wait_for("the other one", lambda: listener(port) not in {0, first}, patience=10)
            print(f"taken over in {time.monotonic() - began:.1f} s")
            assert metrics.read()["paperfleet_work"] == 0
        finally:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)


def listener(port: int) -> int:
    """Return the process that listens at a port, 0 for none (proc(5))."""
    script = (
        "import glob, os, sys\n"
        "wanted = {line.split()[9] for line in open('/proc/net/tcp').readlines()[1:]\n"
        "          if line.split()[1].endswith(':%04X' % int(sys.argv[1]))\n"
        "          and line.split()[3] == '0A'}\n"
        "for link in glob.glob('/proc/[0-9]*/fd/*'):\n"
        "    try: name = os.readlink(link)\n"
        "    except OSError: continue\n"
        "    if name.startswith('socket:[') and name[8:-1] in wanted:\n"
        "        print(link.split('/')[2]); break\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(port)], capture_output=True, text=True)
    return int(done.stdout or 0)


SILENT = """
import os, socket, sys, time
os.environ["PAPERFLEET_LAUNCHED"] = f"{sys.argv[1]} {os.getpid()} /nowhere"
import django; django.setup()
address = "127.0.0.1", int(os.environ["TRIED"])
end = time.monotonic() + 3
while time.monotonic() < end:
    with socket.socket() as tried:
        if tried.connect_ex(address) == 0:
            print("serves"); break
    time.sleep(0.1)
else:
    print("silent")
"""


@pytest.mark.parametrize(
    ("role", "port", "expected"),
    [
        ("web", "", "serves"),
        ("web", "0", "silent"),
        pytest.param("worker", "", "silent", marks=WIDE),
    ],
)
def test_only_the_web_role_serves_metrics(
    fleet: Fleet, role: str, port: str, expected: str
) -> None:
    tried = str(free_port())
    environment = fleet.host("web").environment(
        GRANIAN_HOST=HOST, PAPERFLEET_METRICS_PORT=port or tried, TRIED=tried
    )
    done = fleet.site.run(["-c", SILENT, role], environment)
    assert done.stdout == f"{expected}\n", done.stderr


MISSES = """
import os, sys
sys.modules["prometheus_client"] = None
os.environ["PAPERFLEET_LAUNCHED"] = f"web {os.getpid()} /nowhere"
import django; django.setup()
print("up")
"""


@WIDE
def test_a_web_server_without_the_package_says_so(fleet: Fleet) -> None:
    environment = fleet.host("web").environment(GRANIAN_HOST=HOST)
    done = fleet.site.run(["-c", MISSES], environment)
    assert done.returncode == 1
    assert "prometheus-client" in done.stderr
    assert "PAPERFLEET_METRICS_PORT=0" in done.stderr
    done = fleet.site.run(["-c", MISSES], environment | {"PAPERFLEET_METRICS_PORT": "0"})
    assert done.stdout == "up\n", done.stderr
