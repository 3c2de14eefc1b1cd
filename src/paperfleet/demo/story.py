"""The demonstration from beginning to end, told line by line."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.demo.changes import changes
from paperfleet.demo.child import MirrorProcess
from paperfleet.demo.documents import write_tree
from paperfleet.demo.server import DemoAccount, webdav_server
from paperfleet.demo.waiting import DemoError, seconds_until, tree

if TYPE_CHECKING:
    from paperfleet.demo.changes import Change

Tell = Callable[[str], None]

FIRST_SYNC_SECONDS = 60.0
ARRIVAL_SECONDS = 15.0
LOG_SECONDS = 5.0
FIRST_SYNC_DONE = "first sync done"


def run(tell: Tell) -> None:
    """Show the mirror between a folder of PDFs and a WebDAV server; all of it is temporary.

    Raises ``DemoError`` when a change does not arrive, or a byte differs in the end.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="paperfleet-demo-") as folder:
        source, target = Path(folder, "documents"), Path(folder, "server")
        target.mkdir()
        names = write_tree(source)
        tell(f"{len(names)} PDFs in {source}, as paperless-ngx would file them")
        account = DemoAccount("demo", secrets.token_urlsafe(12))
        with webdav_server(target, account) as url:
            tell(f"a WebDAV server at {url}")
            _mirror(Path(folder), source, target, url, account, tell)
    tell(f"done in {time.perf_counter() - began:.1f} s; the temporary folder is gone")
    tell(
        "your own: make demo SOURCE=/path/to/documents TARGET=nextclouds://you@cloud.example/Archive"
    )


def _mirror(
    folder: Path, source: Path, target: Path, url: str, account: DemoAccount, tell: Tell
) -> None:
    environ = {
        "PAPERFLEET_USERNAME": account.user,
        "PAPERFLEET_PASSWORD_FILE": str(_password_file(folder, account)),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    tell(f"$ paperfleet mirror {source} {url}")
    with MirrorProcess(str(source), url, environ) as mirror:
        for line in mirror.lines_until(FIRST_SYNC_DONE, FIRST_SYNC_SECONDS):
            tell(f"  {line}")
        latencies = [
            _show(number, change, mirror, tell)
            for number, change in enumerate(changes(source, target), 1)
        ]
        code, last = mirror.stop()
        for line in last:
            tell(f"  {line}")
        if code != 0:
            raise DemoError(f"the mirror ended with exit code {code}")
    _compare(tree(source), tree(target), tell)
    tell(f"from change to target: {min(latencies):.0f} to {max(latencies):.0f} ms")


def _show(number: int, change: Change, mirror: MirrorProcess, tell: Tell) -> float:
    """Make one change, show its arrival; return the milliseconds that it took."""
    tell(f"{number}. {change.title}")
    change.make()
    latency = 1000 * seconds_until(change.arrived, ARRIVAL_SECONDS, change.title)
    for line in mirror.lines_until(change.logged, LOG_SECONDS):
        tell(f"  {line}")
    tell(f"   at the target after {latency:.0f} ms")
    return latency


def _compare(source: dict[str, bytes], target: dict[str, bytes], tell: Tell) -> None:
    if source != target:
        differing = sorted(name for name in source | target if source.get(name) != target.get(name))
        raise DemoError(f"source and target differ: {', '.join(differing)}")
    size = sum(map(len, source.values()))
    tell(f"compared: {len(source)} documents, {size:,} bytes, all equal at the target")


def _password_file(folder: Path, account: DemoAccount) -> Path:
    file = folder / "password"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(account.password + "\n")
    return file
