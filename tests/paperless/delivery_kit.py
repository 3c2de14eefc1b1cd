"""Hosts of a fleet on the small project: each with folders of its own, and nothing else in common.

Common are a PostgreSQL, a Redis and an S3 server.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from tests.paperless.children import SMALL, Site
from tests.servers.base import HOST, free_port, stop_process
from tests.servers.moto_server import moto_server
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.redis_server import redis_missing, redis_server

from paperfleet.web.metrics import FRESH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from tests.servers.postgres_server import PostgresServer
    from tests.servers.redis_server import RedisServer
    from tests.servers.s3 import S3Server

_MISSING = postgres_missing() or redis_missing()
ON_SERVERS = [
    pytest.mark.skipif(bool(_MISSING), reason=str(_MISSING)),
    pytest.mark.timeout(600),  # several programs start in a test, one after the other
]
"""What marks the tests of a module that runs on PostgreSQL and Redis."""
PREFIX = "pre "
PATIENCE = 90.0
LOCATION = "fleet"
AREAS = ("staging", "originals", "thumbnails")
"""What tasks of the small project write to."""


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:  # noqa: ANN401  # what it returns
    """Return what a condition returns, as soon as that is true."""
    end = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:g} s: {what}")
        time.sleep(0.1)
    return found


@dataclass
class Fleet:
    """Servers, and the hosts that use them."""

    postgres: PostgresServer
    redis: RedisServer
    s3: S3Server
    folder: Path
    site: Site = SMALL
    hosts: dict[str, Host] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        if name not in self.hosts:
            self.hosts[name] = Host(self, name, self.folder / name)
        return self.hosts[name]

    def anew(self, folder: Path) -> Self:
        """Return a fleet on the same servers whose hosts have had no folders yet."""
        return replace(self, folder=folder, hosts={})

    def variables(self) -> dict[str, str]:
        """Return what all hosts are told."""
        parts = urlsplit(self.postgres.url)
        return {
            "PAPERLESS_DBHOST": str(parts.hostname),
            "PAPERLESS_DBPORT": str(parts.port),
            "PAPERLESS_DBNAME": parts.path.strip("/"),
            "PAPERLESS_DBUSER": str(parts.username),
            "PAPERLESS_DBPASS": unquote(str(parts.password)),
            "PAPERLESS_REDIS": self.redis.url,
            "PAPERLESS_REDIS_PREFIX": PREFIX,
            "PAPERLESS_APPS": "tests.paperless.pointed.Pointed,paperfleet.paperless",
            "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.S3CompatibleBackend",
            "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": json.dumps(
                {
                    "bucket_name": self.s3.bucket,
                    "endpoint_url": self.s3.endpoint_url,
                    "region_name": self.s3.region,
                    "access_key": self.s3.access_key,
                    "secret_key": self.s3.secret_key,
                    "location": LOCATION,
                }
            ),
            "PAPERFLEET_MEDIA_LOCK": "redis",
            "PAPERLESS_CACHE_BACKEND": "django.core.cache.backends.redis.RedisCache",
            "PAPERLESS_CHANNELS_BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "PAPERFLEET_FLEET": "true",
            "PAPERFLEET_TASK_SILENCE_SECONDS": "15",
            **self.more,
        }

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, past Django."""
        with psycopg.connect(self.postgres.url, connect_timeout=10) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def titles(self) -> list[str]:
        """Return the titles of all documents, in order."""
        return [title for (title,) in self.ask("SELECT title FROM documents_document ORDER BY 1")]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return state, attempt and deaths of each row of work that has not ended well."""
        return self.ask(
            "SELECT state, attempt, deaths FROM paperfleet_work WHERE state <> 'done'"
            " ORDER BY created"
        )

    def notes(self) -> list[str]:
        """Return the names of what tasks have noted and not committed."""
        found = self.ask("SELECT area, name FROM paperfleet_written ORDER BY noted")
        return [f"{area}/{name}" for area, name in found]

    def statuses(self) -> list[str]:
        """Return what the list of tasks shows."""
        return [
            one for (one,) in self.ask("SELECT status FROM documents_paperlesstask ORDER BY id")
        ]

    def objects(self, folder: str) -> list[str]:
        """Return the keys below a folder of the storage, past the app."""
        listed = self.s3.client.list_objects_v2(
            Bucket=self.s3.bucket, Prefix=f"{LOCATION}/{folder}/"
        )
        return [one["Key"] for one in listed.get("Contents", [])]

    def content(self, key: str) -> bytes:
        """Return the bytes of an object."""
        body: bytes = self.s3.client.get_object(Bucket=self.s3.bucket, Key=key)["Body"].read()
        return body

    def broker(self) -> Redis:
        """Return a client of the broker."""
        return Redis.from_url(self.redis.url)

    def all_ended(self) -> bool:
        """Say whether no work is left."""
        return not self.rows()

    def age(self, seconds: float) -> None:
        """Let so much time pass for all rows."""
        self.ask(
            "UPDATE paperfleet_work SET heartbeat = heartbeat - %s * interval '1 second',"
            " offered = offered - %s * interval '1 second'",
            seconds,
            seconds,
        )

    def clear(self) -> None:
        """Forget all documents, tasks and messages."""
        self.ask(
            "TRUNCATE documents_document, documents_paperlesstask, paperfleet_work,"
            " paperfleet_written CASCADE"
        )
        with contextlib.closing(self.broker()) as client:
            for key in client.scan_iter(f"{PREFIX}*"):
                client.delete(key)
        for key in (key for area in AREAS for key in self.objects(area)):
            self.s3.client.delete_object(Bucket=self.s3.bucket, Key=key)


@dataclass
class Alone(Fleet):
    """paperless-ngx on the same servers, and no fleet: documents lie on one host."""

    def variables(self) -> dict[str, str]:
        """Return what its processes are told."""
        told = super().variables()
        ours = ("PAPERFLEET_FLEET", "PAPERLESS_DOCUMENT_STORAGE_")
        return {key: text for key, text in told.items() if not key.startswith(ours)}


@contextlib.contextmanager
def fleet_with_tables(
    folder: Path,
    site: Site = SMALL,
    kind: type[Fleet] = Fleet,
    more: Mapping[str, str] | None = None,
) -> Iterator[Fleet]:
    """Start the servers of a fleet whose database has the tables; ``more`` is told to all hosts."""
    with postgres_server() as postgres, redis_server() as redis, moto_server() as s3:
        fleet = kind(postgres, redis, s3, folder, site, more=dict(more or {}))
        first = fleet.host("first").environment()
        done = site.run(["manage.py", "migrate", "--verbosity", "0"], first)
        assert done.returncode == 0, done.stdout + done.stderr
        yield fleet


def emptied(servers: Fleet, folder: Path) -> Iterator[Fleet]:
    """Empty what the servers have and yield a fleet on them; print what its workers said."""
    servers.clear()
    fleet = servers.anew(folder)
    yield fleet
    for host in fleet.hosts.values():
        print(f"--- {host.name}\n{host.log()}")


@dataclass
class Metrics:
    """Metrics that are served on this machine."""

    port: int

    def ask(self) -> tuple[int, str]:
        """Return status and text of an answer that nobody was given before."""
        time.sleep(FRESH_SECONDS)
        answer = httpx.get(f"http://{HOST}:{self.port}/metrics", timeout=30)
        return answer.status_code, answer.text

    def is_there(self) -> bool:
        """Say whether somebody answers, whatever."""
        with contextlib.suppress(httpx.TransportError):
            return bool(httpx.get(f"http://{HOST}:{self.port}/", timeout=30).status_code)
        return False

    def read(self) -> dict[str, float]:
        """Return the value of each metric, called ``name label…``."""
        status, text = self.ask()
        assert status == 200, text
        return {
            " ".join((sample.name, *sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


@dataclass
class Host:
    """A host: its own folders, below the same paths nowhere else."""

    fleet: Fleet
    name: str
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of its processes."""
        gate = self.fleet.folder / "gate"
        gate.mkdir(exist_ok=True)
        return self.fleet.site.environment(
            self.folder, **(self.fleet.variables() | {"PAPERFLEET_TEST_GATE": str(gate)} | more)
        )

    def python(self, code: str, *, fails: bool = False, **more: str) -> str:
        """Run code with Django set up; return what it prints."""
        setup = "import django; django.setup()\n"
        done = self.fleet.site.run(["-c", setup + code], self.environment(**more))
        if bool(done.returncode) is not fails:
            raise AssertionError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if fails else "")

    def upload(
        self, name: str, content: str, *, before: str = "", fails: bool = False, **more: str
    ) -> str:
        """Take a file as a web process does: into the scratch folder, and to the queue."""
        return self.python(
            f"{before}\n"
            "import tempfile, pathlib\n"
            "from django.conf import settings\n"
            "from documents.data_models import ConsumableDocument\n"
            "from documents.tasks import consume_file\n"
            f"path = pathlib.Path(tempfile.mkdtemp(dir=settings.SCRATCH_DIR)) / {name!r}\n"
            f"path.write_text({content!r})\n"
            "kwargs = {'input_doc': ConsumableDocument(path)}\n"
            "print(consume_file.apply_async(kwargs=kwargs).id)\n",
            fails=fails,
            **more,
        )

    @contextlib.contextmanager
    def sweeping(self) -> Iterator[None]:
        """Sweep as the scheduler does, for as long as the block lasts."""
        code = (
            "import django; django.setup()\n"
            "from paperfleet.paperless.activation import documents\n"
            "from paperfleet.paperless.delivery import sweeper\n"
            "sweeper.sweep_tasks(documents.configuration.settings, None)\n"
        )
        with self.fleet.site.start(["-c", code], self.environment()):
            yield

    def tasks(self, *arguments: str, fails: bool = False) -> str:
        """Run ``paperfleet_tasks``; return what it prints."""
        command = ["manage.py", "paperfleet_tasks", *arguments]
        done = self.fleet.site.run(command, self.environment())
        assert bool(done.returncode) is fails, done.stdout + done.stderr
        return done.stdout

    def sweep_staging(self, later: float) -> list[str]:
        """Sweep the staging area so many seconds later; return the keys of what was removed."""
        told = self.python(
            "import time\n"
            "from celery import current_app\n"
            "from paperfleet.paperless.delivery import states, sweeper\n"
            f"now = lambda: time.time() + {later}\n"
            "one = sweeper.Sweeper(current_app, states.DeliveryLimits(), now=now)\n"
            "assert one.sweep_staging() == []\n"
            "done = one.sweep_staging()\n"
            "print('swept', *done)\n"
        )
        return _swept(told)

    def settle(self, later: float, *, fails: bool = False, **more: str) -> list[str]:
        """Remove what was not committed, so many seconds after it was seen; return the keys.

        What ``fails`` is killed.
        """
        told = self.python(
            "from paperfleet.paperless.delivery import removal\n"
            "removal.settle()\n"
            f"done = removal.settle(removal.SETTLED - {later})\n"
            "print('swept', *done)\n",
            fails=fails,
            **more,
        )
        return [] if fails else _swept(told)

    def check(self) -> dict[str, Any]:
        """Run ``paperfleet_check``; return what it tells."""
        done = self.fleet.site.run(["manage.py", "paperfleet_check", "--json"], self.environment())
        told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
        print(done.stdout)
        assert done.returncode == (0 if told["agrees"] else 1), done.stdout + done.stderr
        return told

    def sweep(self, *, fails: bool = False, **more: str) -> list[str]:
        """Sweep once; return the kinds of what was done. What ``fails`` is killed."""
        told = self.python(
            "from celery import current_app\n"
            "from paperfleet.paperless.activation import documents\n"
            "from paperfleet.paperless.delivery import states, sweeper\n"
            "limits = states.limits_of(documents.configuration.settings)\n"
            "done = sweeper.Sweeper(current_app, limits).sweep()\n"
            "print('swept', *(type(one).__name__ for one in done))\n",
            fails=fails,
            **more,
        )
        return [] if fails else _swept(told)

    @contextlib.contextmanager
    def worker(self, point: str = "", **more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Celery worker as the image does, in a process group of its own."""
        command = "celery --app paperless worker --loglevel INFO --without-mingle --without-gossip"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [self.fleet.site.python, "-m", *command.split(), "-n", f"{self.name}@here"],
                cwd=self.fleet.site.source,
                env=self.environment(PAPERFLEET_TEST_POINT=point, **more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                stop_process(process)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def metrics(self, **more: str) -> Iterator[Metrics]:
        """Load the app as a process of the role web does; nothing else of that runs."""
        code = (
            "import os, time\n"
            "os.environ['PAPERFLEET_LAUNCHED'] = f'web {os.getpid()} /nowhere'\n"
            "import django; django.setup()\n"
            "time.sleep(3600)\n"
        )
        found = Metrics(free_port())
        told = {"GRANIAN_HOST": HOST, "PAPERFLEET_METRICS_PORT": str(found.port)}
        with self.fleet.site.start(["-c", code], self.environment(**told, **more)) as process:
            wait_for("metrics", lambda: process.poll() is not None or found.is_there())
            assert process.poll() is None
            yield found

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a worker and all its children, as when the host loses power."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)

    def log(self) -> str:
        """Return what its workers said."""
        path = self.folder / "worker.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _swept(told: str) -> list[str]:
    (line,) = [line for line in told.splitlines() if line.startswith("swept")]
    return line.split()[1:]


def passed(fleet: Fleet, point: str) -> int:
    """Wait for a process at a point; return its PID."""
    mark = fleet.folder / "gate" / point
    wait_for(f"a process at {point}", mark.exists)
    return int(mark.read_text())


def go_on(fleet: Fleet, point: str) -> None:
    """Let the process at a point go on."""
    (fleet.folder / "gate" / f"{point}.go").touch()
