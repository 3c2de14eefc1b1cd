"""An installation whose storage can be broken at will."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.paperless import agreement, checkout
from tests.paperless.installation import Bucket, Installation, Servers, installed
from tests.servers.s3 import new_location
from tests.servers.s3_faults import s3_faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Bypass, S3Server
    from tests.servers.s3_faults import Kind, S3Faults

ALWAYS = 1_000_000
TIMEOUT = 3.0
HANG_TIMEOUT = 120.0


@dataclass(frozen=True)
class Point:
    """A request to the storage: its method and a text in its path, after ``spare`` others."""

    method: str
    text: str
    spare: int = 0

    def __str__(self) -> str:
        return f"{self.method} {self.text}" + (f" after {self.spare}" if self.spare else "")


@dataclass(frozen=True)
class Broken:
    """The installation, what breaks its storage, and the objects past all of it."""

    paperless: Installation
    faults: S3Faults
    objects: S3Bypass

    def fail(self, kind: Kind, point: Point, *, left: int = ALWAYS, **more: object) -> None:
        """Break all requests like this one, or the next ``left`` of them."""
        self.faults.fail(kind, point.method, point.text, left=left, spare=point.spare, **more)

    def heal(self) -> None:
        """Heal the storage; a fault that nothing has met would have shown nothing."""
        unused = self.faults.unused()
        self.faults.heal()
        assert not unused, "these faults were never met"

    def kill_when_it_hangs(self, name: str) -> None:
        """Kill a program as soon as the request hangs, heal the storage, start it again."""
        assert self.faults.hanging.wait(HANG_TIMEOUT), "the point was never reached"
        self.paperless.program(name).kill()
        self.faults.heal()
        self.paperless.start(name)

    def compare(self) -> agreement.Comparison:
        """Compare database and storage."""
        return agreement.compare(self.paperless, self.objects)

    def clean_up(self) -> None:
        """Remove what a fault may leave: files of no row, documents of no file, and marks."""
        found = self.compare()
        for name in [*found.orphans, *self.marks()]:
            self.objects.delete(name)
        lost = {int(text.rpartition(" ")[2]) for text in found.missing + found.damaged}
        agreement.forget(self.paperless, lost)

    def marks(self) -> list[str]:
        """Return what says that a move is under way, or was cut off."""
        return [name for name in self.objects.names() if name.startswith(agreement.WORK)]

    def contents(self) -> list[bytes]:
        """Return the content of every object, whatever its name."""
        return [self.objects.read(name) for name in self.objects.names()]


@contextlib.contextmanager
def broken(
    servers: Servers, server: S3Server, folder: Path, *, timeout: float = TIMEOUT, outage: int = 0
) -> Iterator[Broken]:
    """Make an installation behind a proxy in front of its S3 server.

    ``timeout`` is for how many seconds the client waits for a byte, ``outage`` for how many a task
    waits for a storage that does not answer.
    """
    location = new_location()
    options = {"timeout": timeout, "retries": 0}
    quick = {"PAPERFLEET_MEDIA_LOCK_SECONDS": "5", "PAPERFLEET_OUTAGE_SECONDS": str(outage)}
    with s3_faults(server) as (proxied, faults):
        bucket = Bucket(proxied, location, options)
        with installed(checkout.checkout(), servers, folder, bucket, quick) as made:
            yield Broken(made, faults, agreement.bypass(Bucket(server, location)))
