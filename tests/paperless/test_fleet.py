"""Every role of a fleet, on the small project with real PostgreSQL and Redis."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from tests.paperless.broken import ALWAYS
from tests.paperless.delivery_kit import ON_SERVERS, Metrics
from tests.paperless.fleet_kit import TIMEOUT, Fleet, fleet_in
from tests.servers.base import HOST, free_port
from tests.servers.moto_server import moto_server
from tests.servers.s3_faults import s3_faults
from tests.wide import WIDE, first_of

from paperfleet.locks.registry import open_lease_store
from paperfleet.running.rolelease import lease_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Servers
    from tests.paperless.programs import Child

pytestmark = ON_SERVERS
STANDS_BY = ("standing by: ",)


@pytest.fixture
def empty(servers: Servers, tmp_path: Path) -> Iterator[Fleet]:
    with fleet_in(tmp_path, servers) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def migrated(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Name a database that the role migrate has made."""
    with fleet_in(tmp_path_factory.mktemp("migrated"), servers) as fleet:
        found = fleet.host("first").run("migrate")
        assert found.returncode == 0, found.stderr
        yield fleet.name


@pytest.fixture
def fleet(servers: Servers, tmp_path: Path, migrated: str) -> Iterator[Fleet]:
    with fleet_in(tmp_path, servers, like=migrated) as fleet:
        yield fleet


def ended(child: Child, timeout: float = TIMEOUT) -> int:
    return child.wait(timeout)


def process(child: Child) -> int:
    return child._process.pid


@WIDE
def test_migrate_makes_tables_and_user_and_once_more_changes_nothing(empty: Fleet) -> None:
    host = empty.host("a", PAPERLESS_ADMIN_USER="alice")
    assert host.run("web", "--check", "alive").returncode == 1
    for _ in range(2):
        found = host.run("migrate")
        assert found.returncode == 0, found.stderr
        assert "user alice made" in found.stdout


@WIDE
def test_two_migrations_at_one_time_take_turns(empty: Fleet) -> None:
    children = [empty.host(name).start("migrate") for name in "ab"]
    assert [ended(child) for child in children] == [0, 0], [c.tail() for c in children]


@WIDE
def test_a_migrate_that_is_killed_is_followed_by_another(empty: Fleet) -> None:
    one = empty.host("a").start("migrate")

    def begun() -> bool:
        with psycopg.connect(empty.address) as connection:
            found = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
            return found != (None,)

    one.wait_until(begun, TIMEOUT)
    one.kill()
    found = empty.host("b").run("migrate")
    assert found.returncode == 0, found.stderr
    found = empty.host("c").run("migrate")
    assert found.returncode == 0, found.stderr
    assert "No migrations to apply" in found.stdout


@WIDE
def test_a_role_refuses_tables_of_a_newer_version_at_once(fleet: Fleet) -> None:
    with psycopg.connect(fleet.address, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('documents', '0099_newer', now())"
        )
    found = fleet.host("a", PAPERFLEET_SCHEMA_WAIT_SECONDS="86400").run("worker")
    assert found.returncode == 1
    assert "the tables are those of a newer version: documents.0099_newer" in found.stderr


@WIDE
def test_a_role_waits_for_its_tables_and_says_how_to_get_them(empty: Fleet) -> None:
    found = empty.host("a", PAPERFLEET_SCHEMA_WAIT_SECONDS="0").run("worker")
    assert found.returncode == 1
    assert "the database has not the tables of this version" in found.stderr
    assert "paperfleet run migrate" in found.stderr
    child = empty.host("b").start("worker")
    child.wait_for_text(["has not the tables"], TIMEOUT)
    assert empty.host("c").run("migrate").returncode == 0
    child.wait_for_text([" ready."], TIMEOUT)


def test_a_role_waits_for_its_storage_and_says_so(empty: Fleet) -> None:
    with moto_server() as server, s3_faults(server) as (proxied, faults):
        in_bucket = {
            "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.S3CompatibleBackend",
            "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": json.dumps(
                {
                    "bucket_name": proxied.bucket,
                    "endpoint_url": proxied.endpoint_url,
                    "region_name": proxied.region,
                    "access_key": proxied.access_key,
                    "secret_key": proxied.secret_key,
                }
            ),
            "PAPERFLEET_MEDIA_LOCK": "redis",
        }
        assert empty.host("a", **in_bucket).run("migrate").returncode == 0
        faults.fail("answer", left=ALWAYS, status=503)
        never = empty.host("b", **in_bucket, PAPERFLEET_SERVER_WAIT_SECONDS="0").run("worker")
        assert never.returncode == 1
        assert "the document storage does not answer" in never.stderr
        assert "PAPERLESS_DOCUMENT_STORAGE_BACKEND" in never.stderr
        child = empty.host("c", **in_bucket).start("worker")
        child.wait_for_text(["waiting up to 60 s: the document storage does not answer"], TIMEOUT)
        faults.heal()
        child.wait_for_text([" ready."], TIMEOUT)


@pytest.mark.parametrize("role", first_of(["worker", "web", "scheduler", "consumer"]))
def test_a_role_becomes_ready_and_ends_by_sigterm(fleet: Fleet, role: str) -> None:
    host = fleet.host("a")
    child = host.start(role)
    pid = process(child)
    host.wait_until_ready(child)
    assert host.is_("alive", role)
    command = Path("/proc", str(pid), "cmdline").read_text()
    assert "\0run\0" not in command, "the process that was started is the role's program"
    os.kill(pid, signal.SIGTERM)
    code = ended(child)
    assert code == (-signal.SIGTERM if role == "web" else 0), child.tail()
    assert not host.is_("alive", role)
    assert not host.is_("ready", role)


@WIDE
def test_web_is_not_ready_without_its_database_and_alive(fleet: Fleet) -> None:
    host = fleet.host("a")
    child = host.start("web")
    host.wait_until_ready(child)
    host.environ |= {"PAPERLESS_DBPORT": "1"}
    assert host.is_("alive", "web")
    found = host.run("web", "--check", "ready")
    assert found.returncode == 1
    assert "127.0.0.1:1" in found.stdout


def test_web_serves_metrics_at_a_port_of_its_own(fleet: Fleet) -> None:
    metrics = Metrics(free_port())
    host = fleet.host("a", PAPERFLEET_METRICS_PORT=str(metrics.port))
    host.wait_until_ready(host.start("web"))
    assert metrics.read()["paperfleet_work"] == 0, "and there is no worker"
    public = httpx.get(f"http://{HOST}:{host.port}/metrics")
    assert "paperfleet_work" not in public.text


PROMISED = 15.0
"""Seconds in which another one takes over after a kill, where starting a program takes none."""


@pytest.mark.parametrize("kind", first_of(["scheduler on postgres", "consumer on redis"]))
def test_another_one_takes_over_soon_after_a_kill(fleet: Fleet, kind: str) -> None:
    role, lease = kind.split(" on ")
    hosts = [
        fleet.host(name, PAPERFLEET_ROLE_LEASE=lease, PAPERFLEET_TEST_TICK="0.5") for name in "ab"
    ]
    (fleet.consume / "1.pdf").touch()
    start = time.monotonic()
    first = hosts[0].start(role)
    first.wait_until(lambda: bool(fleet.published()), TIMEOUT)
    starting = time.monotonic() - start
    second = hosts[1].start(role)
    second.wait_for_text(STANDS_BY, TIMEOUT)
    hosts[1].wait_until_ready(second)  # to stand by is its work
    assert "Watching" not in second.output()
    assert "beat: Starting" not in second.output()
    first.kill()
    start = time.monotonic()
    (fleet.consume / "2.pdf").touch()
    if role == "consumer":
        second.wait_until(lambda: "consume_file('2.pdf',)" in fleet.published(), TIMEOUT)
    else:
        count = len(fleet.published())
        second.wait_until(lambda: len(fleet.published()) > count, TIMEOUT)
    seconds = time.monotonic() - start
    print(f"{kind}: taken over after {seconds:.1f} s; its first start took {starting:.1f} s")
    assert seconds < PROMISED + starting, "the machine is as slow now as it was then, or the fleet"


@WIDE
def test_one_that_is_killed_between_its_turn_and_its_work_is_succeeded(
    fleet: Fleet, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    one = fleet.host("a", PAPERFLEET_TEST_START_GATE=str(gate)).start("scheduler")
    one.wait_until(gate.exists, TIMEOUT)
    one.kill()
    host = fleet.host("b")
    other = host.start("scheduler")
    other.wait_for_text(["beat: Starting"], TIMEOUT)
    host.wait_until_ready(other)


@WIDE
def test_one_tick_is_never_run_twice(fleet: Fleet) -> None:
    tick = {"PAPERFLEET_TEST_TICK": "0.5", "PAPERFLEET_ROLE_LEASE_SECONDS": "2"}
    first, second = (fleet.host(name, **tick) for name in "ab")
    one = first.start("scheduler")
    one.wait_until(lambda: len(fleet.publishers()) > 1, TIMEOUT)
    other = second.start("scheduler")
    other.wait_for_text(STANDS_BY, TIMEOUT)
    os.kill(process(one), signal.SIGSTOP)
    try:
        other.wait_until(lambda: len(set(fleet.publishers())) > 1, TIMEOUT)
    finally:
        os.kill(process(one), signal.SIGCONT)
    assert ended(one) == 1
    other.wait_until(lambda: fleet.publishers().count(process(other)) > 4, TIMEOUT)
    turns = [pid for pid, _ in itertools.groupby(fleet.publishers())]
    assert turns == [process(one), process(other)], "each began a tick after the other had"


def test_the_mirror_works_becomes_ready_and_ends_by_sigterm(fleet: Fleet, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source, target):
        folder.mkdir()
    (source / "a.pdf").write_text("content of a")
    host = fleet.host(
        "a",
        PAPERFLEET_SOURCE=str(source),
        PAPERFLEET_TARGET=str(target),
        XDG_STATE_HOME=str(tmp_path / "state"),
    )
    child = host.start("mirror")
    child.wait_until((target / "a.pdf").exists, TIMEOUT)
    assert (target / "a.pdf").read_text() == "content of a"
    assert host.is_("ready", "mirror")
    (source / "b.pdf").write_text("content of b")
    child.wait_until((target / "b.pdf").exists, TIMEOUT)
    os.kill(process(child), signal.SIGTERM)
    assert ended(child) == 0, child.tail()
    assert not host.is_("alive", "mirror")


FIRST_PROCESS = ("unshare", "--pid", "--fork", "--mount-proc")


@WIDE
@pytest.mark.parametrize("inside", first_of([FIRST_PROCESS, ()]), ids=["first process", "plain"])
def test_a_sigterm_before_the_program_hears_it_ends_it_all_the_same(
    fleet: Fleet, tmp_path: Path, inside: tuple[str, ...]
) -> None:
    if inside:
        try:
            found = subprocess.run([*inside, "true"], capture_output=True, text=True)
        except OSError as error:
            pytest.skip(f"no PID namespace can be made: {error}")
        if found.returncode:
            pytest.skip(f"no PID namespace can be made: {found.stderr}")
    gate = tmp_path / "gate"
    child = fleet.host("a", PAPERFLEET_TEST_START_GATE=str(gate)).start("scheduler", inside)
    child.wait_until(gate.exists, TIMEOUT)
    pid = process(child)
    if inside:
        pid = int(Path("/proc", str(pid), "task", str(pid), "children").read_text())
    os.kill(pid, signal.SIGTERM)
    gate.with_name("gate.go").touch()
    assert ended(child) == 0, child.tail()
    assert "beat: Starting" not in child.output()


@WIDE
def test_a_scheduler_that_ends_in_order_gives_its_lease_back(fleet: Fleet) -> None:
    host = fleet.host("a", PAPERFLEET_ROLE_LEASE_SECONDS="60")
    child = host.start("scheduler")
    child.wait_for_text(["beat: Starting"], TIMEOUT)
    os.kill(process(child), signal.SIGTERM)
    assert ended(child) == 0
    lease = lease_of("scheduler", host.environ)
    with open_lease_store(lease.address) as store:
        store.acquire(lease.name, ttl=lease.seconds, timeout=0).release()


@WIDE
def test_a_process_that_cannot_renew_its_lease_ends_at_once(fleet: Fleet) -> None:
    child = fleet.host("a", PAPERFLEET_ROLE_LEASE_SECONDS="3").start("scheduler")
    child.wait_for_text(["beat: Starting"], TIMEOUT)
    with psycopg.connect(fleet.servers.postgres.url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'paperfleet lease'",
            [fleet.name],
        )
    assert ended(child) == 1
    assert "this one ends" in child.output()


@WIDE
def test_a_process_that_was_stopped_beyond_its_lease_publishes_nothing_more(fleet: Fleet) -> None:
    first, second = (fleet.host(name, PAPERFLEET_ROLE_LEASE_SECONDS="2") for name in ("a", "b"))
    one = first.start("consumer")
    one.wait_for_text(["Watching"], TIMEOUT)
    other = second.start("consumer")
    other.wait_for_text(STANDS_BY, TIMEOUT)
    os.kill(process(one), signal.SIGSTOP)
    try:
        other.wait_for_text(["Watching"], TIMEOUT)
        (fleet.consume / "1.pdf").touch()
        other.wait_until(lambda: bool(fleet.published()), TIMEOUT)
    finally:
        os.kill(process(one), signal.SIGCONT)
    assert ended(one) == 1
    assert "this one ends" in one.output()
    assert fleet.published() == ["consume_file('1.pdf',)"]


@WIDE
def test_of_many_that_start_at_once_one_works(fleet: Fleet) -> None:
    hosts = [fleet.host(name) for name in "abc"]
    children = [host.start("consumer") for host in hosts]
    for host, child in zip(hosts, children, strict=True):
        host.wait_until_ready(child)
    (fleet.consume / "1.pdf").touch()
    children[0].wait_until(lambda: bool(fleet.published()), TIMEOUT)
    for child in children:
        child.wait_for_text(["Watching", *STANDS_BY], TIMEOUT)
    assert sum("Watching" in child.output() for child in children) == 1
    assert fleet.published() == ["consume_file('1.pdf',)"]


@WIDE
def test_one_that_was_slower_stands_by_again(fleet: Fleet) -> None:
    """As when a program starts for longer than the lease of who is next lasts."""
    holder = fleet.host("a")
    one = holder.start("consumer")
    holder.wait_until_ready(one)
    other = fleet.host("b")
    script = f"""
import os, sys
from pathlib import Path
from paperfleet.running.rolelease import launched_text
from paperfleet.settings.fleet import LAUNCHED
state = Path({other.environ["PAPERLESS_SCRATCH_DIR"]!r}, "consumer.json")
os.environ[LAUNCHED] = launched_text("consumer", state)
os.chdir(os.environ["PAPERLESS_SRC"])
os.execv(sys.executable, [sys.executable, "manage.py", "document_consumer"])
"""
    child = fleet.started(other.child("consumer", script))
    child.wait_for_text(["consumer stands by again"], TIMEOUT)
    child.wait_for_text(STANDS_BY, TIMEOUT)
    assert "Watching" not in child.output()


@WIDE
def test_a_role_that_stands_by_ends_by_a_signal(fleet: Fleet) -> None:
    host = fleet.host("a")
    one = host.start("scheduler")
    host.wait_until_ready(one)
    other = fleet.host("b").start("scheduler")
    other.wait_for_text(STANDS_BY, TIMEOUT)
    os.kill(process(other), signal.SIGTERM)
    assert ended(other) == 0


ANYBODY = 12345
UNSHARE = ("unshare", "--mount", "bash", "-ec")
CONFINED = """
mount --make-rprivate /
mount --bind "$0" "$0"
mount -o remount,ro,bind /
exec setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all "$@"
"""


def confined(folder: Path) -> list[str]:
    """Return what runs a command as another user without rights, with one folder to write."""
    return [*UNSHARE, CONFINED.format(user=ANYBODY), str(folder)]


@pytest.fixture
def writable() -> Iterator[Path]:
    """Make the only folder that a confined process may write, or skip where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a mount namespace with a read-only root")
    with TemporaryDirectory(prefix="fleet-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        tried = [sys.executable, "-c", "import celery, django, paperfleet, psycopg, redis"]
        try:
            found = subprocess.run([*confined(folder), *tried], capture_output=True, text=True)
        except OSError as error:
            pytest.skip(f"no mount namespace can be made: {error}")
        if found.returncode:
            pytest.skip(f"another user cannot run this Python here: {found.stderr[-200:]}")
        yield folder


@WIDE
def test_a_role_runs_as_any_user_on_a_root_that_is_read_only(
    servers: Servers, migrated: str, writable: Path
) -> None:
    with fleet_in(writable, servers, like=migrated) as fleet:
        host = fleet.host("a", HOME="/", TMPDIR=str(writable / "a"))
        for path in (writable, *writable.rglob("*")):
            os.chown(path, ANYBODY, ANYBODY)
        child = host.start("worker", confined(writable))
        host.wait_until_ready(child)
        status = Path("/proc", str(process(child)), "status").read_text()
        assert f"Uid:\t{ANYBODY}\t" in status
        assert "CapEff:\t0000000000000000" in status
        os.kill(process(child), signal.SIGTERM)
        assert ended(child) == 0, child.tail()
