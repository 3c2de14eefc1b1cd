"""A whole paperless-ngx on loopback: web server, worker, scheduler and consumer.

The commands are those of upstream's image (``docker/rootfs/etc/s6-overlay/s6-rc.d/svc-*/run``).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
from tests.paperless.programs import Child, ProgramFailedError
from tests.paperless.rest import ADMIN, PASSWORD, TASK_TIMEOUT, Rest
from tests.servers.base import HOST, free_port
from tests.trees import paths_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.paperless.checkout import Checkout
    from tests.servers.postgres_server import PostgresServer
    from tests.servers.redis_server import RedisServer
    from tests.servers.s3 import S3Server

START_TIMEOUT = 180.0
COMMAND_TIMEOUT = 300.0
PROGRAMS = ("web", "worker", "scheduler", "consumer")
READY = {
    "worker": (" ready.",),
    "scheduler": ("beat: Starting...",),
    "consumer": ("Watching ", "Polling directory"),
}
_TASK = re.compile(r"Task [\w.]+\[([0-9a-f-]+)\] (\w+)")
"""What a worker of Celery says of a task (``celery/app/trace.py``)."""
"""What a program prints once it works: one of these texts."""
MIGRATED = "paperless_migrated"
"""A database as ``migrate`` leaves it, with a superuser; installations begin with a copy of it."""

_numbers = itertools.count(1)
_FOLDERS = (
    *("consume", "data/index", "tmp", "logs"),
    *("media/documents/originals", "media/documents/thumbnails"),
)
"""What upstream's image makes (``init-folders/run``), and a folder for the logs."""


@dataclass(frozen=True)
class Servers:
    """What an installation needs beside itself."""

    postgres: PostgresServer
    redis: RedisServer


@dataclass(frozen=True)
class Bucket:
    """Where an installation keeps its documents: a folder of keys on an S3 server."""

    server: S3Server
    location: str
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        """What a user would set."""
        options = {
            "bucket_name": self.server.bucket,
            "endpoint_url": self.server.endpoint_url,
            "region_name": self.server.region,
            "access_key": self.server.access_key,
            "secret_key": self.server.secret_key,
            "location": self.location,
            **self.options,
        }
        return {
            "PAPERLESS_APPS": "paperfleet.paperless",
            "PAPERLESS_DOCUMENT_STORAGE_BACKEND": "paperfleet.S3CompatibleBackend",
            "PAPERLESS_DOCUMENT_STORAGE_OPTIONS": json.dumps(options),
        }


class Installation:
    """One installation in a folder of its own; ``bucket`` None is paperless-ngx by itself."""

    def __init__(
        self,
        checkout: Checkout,
        servers: Servers,
        folder: Path,
        bucket: Bucket | None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.checkout, self.servers, self.bucket = checkout, servers, bucket
        self.folder = folder
        self.media, self.consume = folder / "media", folder / "consume"
        self.database = f"paperless_{next(_numbers)}"
        self.port = free_port()
        self._settings = dict(settings or {})
        self._running: dict[str, Child] = {}
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True)

    @property
    def url(self) -> str:
        """Where its web server listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of all of its programs."""
        about = urlsplit(self.servers.postgres.url)
        return (
            self.checkout.environ
            | {
                "PAPERLESS_DBENGINE": "postgresql",
                "PAPERLESS_DBHOST": HOST,
                "PAPERLESS_DBPORT": str(about.port),
                "PAPERLESS_DBUSER": str(about.username),
                "PAPERLESS_DBPASS": unquote(str(about.password)),
                "PAPERLESS_DBNAME": self.database,
                "PAPERLESS_REDIS": self.servers.redis.url,
                "PAPERLESS_REDIS_PREFIX": self.database,
                "PAPERLESS_DATA_DIR": str(self.folder / "data"),
                "PAPERLESS_MEDIA_ROOT": str(self.media),
                "PAPERLESS_CONSUMPTION_DIR": str(self.consume),
                "PAPERLESS_SCRATCH_DIR": str(self.folder / "tmp"),
                "PAPERLESS_STATICDIR": str(self.folder / "static"),
                "PAPERLESS_SECRET_KEY": "of this test alone, and longer than fifty characters",
                "PAPERLESS_ADMIN_USER": ADMIN,
                "PAPERLESS_ADMIN_PASSWORD": PASSWORD,
                "PAPERLESS_URL": self.url,
                "PAPERLESS_TASK_WORKERS": "1",
                "PAPERLESS_THREADS_PER_WORKER": "1",
                "PAPERLESS_OCR_LANGUAGE": "eng",
                # Ghostscript, which makes PDF/A, has releases that OCRmyPDF refuses.
                "PAPERLESS_OCR_OUTPUT_TYPE": "pdf",
                "PAPERLESS_THUMBNAIL_FONT_NAME": a_font(),
                "PAPERLESS_ENABLE_NLTK": "false",
                "PAPERLESS_TOKEN_THROTTLE_RATE": "1000/min",
                "PAPERLESS_ARCHIVE_FILE_GENERATION": "always",
                "PAPERLESS_CONSUMER_STABILITY_DELAY": "1",
                # Machines allow few watches for all of their programs.
                "PAPERLESS_CONSUMER_POLLING_INTERVAL": "1",
                "PAPERLESS_CONSUMER_POLLING": "1",
                "PAPERLESS_CONSUMER_RECURSIVE": "true",
                "GRANIAN_HOST": HOST,
                "GRANIAN_PORT": str(self.port),
                "GRANIAN_WORKERS": "1",
            }
            # Of v2's modes this one makes do with any Ghostscript.
            | ({"PAPERLESS_OCR_MODE": "force"} if self.checkout.version < (3, 0, 0) else {})
            | (self.bucket.environ if self.bucket else {})
            | self._settings
        )

    def on_another_host(self, folder: Path) -> Installation:
        """Return the same installation with a port and local folders of its own."""
        made = Installation(self.checkout, self.servers, folder, self.bucket, self._settings)
        made.database = self.database
        return made

    # Database

    def database_url(self, name: str = "") -> str:
        """Return the address of its database, or of another one beside it."""
        return self.servers.postgres.url.rpartition("/")[0] + f"/{name or self.database}"

    def make_database(self) -> None:
        """Make its database as ``migrate`` leaves it, with a superuser."""
        with psycopg.connect(self.servers.postgres.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (MIGRATED,)
            ).fetchone()
            if found is None:
                self._make_template(connection)
            connection.execute(f'CREATE DATABASE "{self.database}" TEMPLATE "{MIGRATED}"')

    def _make_template(self, connection: psycopg.Connection) -> None:
        connection.execute(f'CREATE DATABASE "{self.database}"')
        with_our_tables = {"PAPERLESS_APPS": "paperfleet.paperless"}
        self.manage("migrate", "--skip-checks", "--no-input", environ=with_our_tables)
        self.manage("manage_superuser", environ=with_our_tables)
        connection.execute(f'ALTER DATABASE "{self.database}" RENAME TO "{MIGRATED}"')

    # Programs

    def manage(
        self, *arguments: str, code: int = 0, environ: Mapping[str, str] | None = None
    ) -> str:
        """Run a management command, with more variables; return what it prints.

        Raises ``ProgramFailedError`` unless it ends with ``code``.
        """
        answer = subprocess.run(
            [str(self.checkout.python), "manage.py", *arguments],
            cwd=self.checkout.src,
            env=self.environ | dict(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT,
            text=True,
        )
        if answer.returncode != code:
            raise ProgramFailedError(
                f"manage.py {' '.join(arguments)} ended with {answer.returncode}\n"
                f"{answer.stdout[-6000:]}"
            )
        return answer.stdout

    def start(self, *names: str, environ: Mapping[str, str] | None = None) -> None:
        """Start programs, all of them without names, with more variables; wait until they work."""
        chosen = names or PROGRAMS
        self.stop(*(set(chosen) & self._running.keys()))
        for name in chosen:
            self._running[name] = Child(
                name,
                self._command(name),
                self.environ | dict(environ or {}),
                self.checkout.src,
                self.folder / "logs" / f"{name}.log",
            )
        for name in chosen:
            self._wait_until_ready(name)

    def _command(self, name: str) -> list[str]:
        python = str(self.checkout.python)
        celery = [python, "-m", "celery", "--app", "paperless"]
        return {
            "web": [
                *(python, "-m", "granian", "--interface", "asginl", "--ws"),
                *("--loop", "uvloop", "paperless.asgi:application"),
            ],
            "worker": [
                *celery,
                "worker",
                "--loglevel",
                "INFO",
                "--without-mingle",
                "--without-gossip",
            ],
            "scheduler": [*celery, "beat", "--loglevel", "INFO"],
            "consumer": [python, "manage.py", "document_consumer"],
        }[name]

    def _wait_until_ready(self, name: str) -> None:
        program = self._running[name]
        if name == "web":
            program.wait_until(self._answers, START_TIMEOUT)
        else:
            program.wait_for_text(READY[name], START_TIMEOUT)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/documents/", timeout=20).status_code == 401
        except httpx.TransportError:
            return False

    def wait_until_tasks_ended(self) -> None:
        """Return once every task that the worker has received has ended, by what it prints.

        The API of paperless-ngx 2 tells of consumption alone.
        """
        worker = self._running["worker"]

        def ended() -> bool:
            told = _TASK.findall(worker.output())
            received = {task for task, word in told if word == "received"}
            return received <= {task for task, word in told if word != "received"}

        worker.wait_until(ended, TASK_TIMEOUT)

    def program(self, name: str) -> Child:
        """Return a program that was started."""
        return self._running[name]

    def stop(self, *names: str) -> None:
        """Stop programs."""
        for name in names:
            self._running.pop(name).stop()

    def stop_all(self) -> None:
        """Stop all programs."""
        self.stop(*self._running)

    def logs(self) -> str:
        """Return the ends of all logs, for the report of a failure."""
        texts = [program.tail() for program in self._running.values()]
        logs = sorted((self.folder / "data" / "log").glob("*.log"))
        texts += [f"--- {log.name}\n{log.read_text(errors='replace')[-6000:]}" for log in logs]
        return "\n".join(texts)

    def rest(self) -> Rest:
        """Return a client that has logged in."""
        return Rest(self.url, self.checkout.version)

    def local_documents(self) -> list[str]:
        """Return the files in the local folders of documents: there must be none."""
        return sorted(
            str(path.relative_to(self.media))
            for folder in ("originals", "archive")
            for path in paths_below(self.media / "documents" / folder)
            if path.is_file()
        )


def a_font() -> str:
    """Return a font of this machine: thumbnails of texts need one."""
    found = sorted(Path("/usr/share/fonts").rglob("*.ttf"))
    return str(found[0]) if found else ""


@contextlib.contextmanager
def installed(
    checkout: Checkout,
    servers: Servers,
    folder: Path,
    bucket: Bucket | None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Installation]:
    """Make an installation with its database; programs that it starts end with the block."""
    made = Installation(checkout, servers, folder, bucket, settings)
    made.make_database()
    try:
        yield made
    finally:
        made.stop_all()


@contextlib.contextmanager
def another_host(first: Installation, folder: Path) -> Iterator[Installation]:
    """Return an installation as another host runs it: all is shared but the local folders."""
    made = first.on_another_host(folder)
    try:
        yield made
    finally:
        made.stop_all()
