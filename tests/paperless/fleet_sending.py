"""What is sent to a fleet, by all ways at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import httpx
from tests.paperless import papers
from tests.paperless.machine_fleet import IDLE_TIMEOUT, Fleet, Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KINDS: tuple[tuple[str, Callable[[], bytes]], ...] = (
    ("pdf", papers.pdf),
    ("txt", papers.plain),
    ("png", papers.scan),
    ("pdf", lambda: papers.pdf(pages=3)),
)
FOLDER = "folder"
"""What stands for a task's number of what went through the consume folder."""


@dataclass(frozen=True)
class Paper:
    """A document, and its way in: the name of a host, or the consume folder of one."""

    name: str
    content: bytes = field(repr=False)
    way: str
    folder: bool = False

    @property
    def word(self) -> str:
        """A word of its title that no other one has."""
        return self.name.split()[2].partition(".")[0]


@dataclass
class Sent:
    """What became of papers: ``accepted`` with the task's number, ``unknown`` without an answer."""

    accepted: dict[Paper, str] = field(default_factory=dict)
    unknown: dict[Paper, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {"accepted": len(self.accepted), "unknown": len(self.unknown)}


class Sending:
    """Sends papers by all ways at once: through each web server, and into the consume folder.

    With the block each way begins, in a thread of its own; with its end each of them ends, after it
    has sent at least ``least``. Before that it sends no more than ``most``. Between two papers pass
    0 to ``2 * pace`` seconds. A paper for a web server that nobody reaches, or that was taken out,
    goes to another one, as a load balancer would have it.
    """

    def __init__(
        self,
        fleet: Fleet,
        random: Random,
        *,
        least: int = 4,
        most: int = 0,
        pace: float = 0.5,
        kinds: Sequence[int] = range(len(KINDS)),
    ) -> None:
        self._fleet, self._pace, self._kinds = fleet, pace, kinds
        self._least, self._most = least, max(least, most)
        self.sent, self._lock, self._enough = Sent(), threading.Lock(), threading.Event()
        self._out: set[str] = set()
        self._asked, self._changed = Counter[str](), threading.Condition(self._lock)
        self._clients = {host.name: host.rest() for host in fleet.webs}
        for client in self._clients.values():  # none is kept that a restart closes in between
            client.headers["Connection"] = "close"
        ways = [(host.name, False) for host in fleet.webs] + [("one", True)]
        self._threads = [
            threading.Thread(target=self._send, args=(*way, Random(random.random())))  # noqa: S311  # of a test
            for way in ways
        ]

    def __enter__(self) -> Sent:
        for thread in self._threads:
            thread.start()
        return self.sent

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(IDLE_TIMEOUT)
        assert not any(thread.is_alive() for thread in self._threads), "all ways have ended"
        for client in self._clients.values():
            client.close()

    @contextlib.contextmanager
    def without(self, host: Host) -> Iterator[None]:
        """Within this block nothing new goes to a web server; what it was asked is answered."""
        with self._changed:
            self._out.add(host.name)
            assert self._changed.wait_for(lambda: not self._asked[host.name], IDLE_TIMEOUT)
        yield
        with self._changed:
            self._out.discard(host.name)

    @contextlib.contextmanager
    def _asking(self, name: str) -> Iterator[bool]:
        """Within this block a web server is asked, unless it was taken out; say which."""
        with self._changed:
            is_in = name not in self._out
            self._asked[name] += is_in
        try:
            yield is_in
        finally:
            with self._changed:
                self._asked[name] -= is_in
                self._changed.notify_all()

    def accepted(self, paper: Paper, told: str) -> None:
        """Note that a paper was accepted, as this task."""
        with self._lock:
            self.sent.accepted[paper] = told

    def _send(self, way: str, folder: bool, random: Random) -> None:
        number = 0
        while number < self._least or not (self._enough.is_set() or number >= self._most):
            ending, make = KINDS[self._kinds[number % len(self._kinds)]]
            paper = Paper(f"{papers.new_text()[:24].strip()}.{ending}", make(), way, folder)
            accepted, told = self._put(paper) if folder else self._post(paper)
            if accepted:
                self.accepted(paper, told)
            else:
                with self._lock:
                    self.sent.unknown[paper] = told
            number += 1
            self._enough.wait(random.uniform(0, 2 * self._pace))

    def _put(self, paper: Paper) -> tuple[bool, str]:
        put(self._fleet.hosts[paper.way], paper)
        return True, FOLDER

    def _post(self, paper: Paper) -> tuple[bool, str]:
        others = [name for name in self._clients if name != paper.way]
        end = time.monotonic() + IDLE_TIMEOUT
        while time.monotonic() < end:
            for name in (paper.way, *others):
                with self._asking(name) as is_in:
                    found = self._answer(name, paper) if is_in else None
                if found is not None:
                    return found
            time.sleep(0.1)
        raise AssertionError("no web server was to be reached")

    def _answer(self, name: str, paper: Paper) -> tuple[bool, str] | None:
        try:
            return True, self._clients[name].post_document(paper.name, paper.content)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return None  # it was not even asked
        except httpx.HTTPError as error:
            return False, repr(error)


class BegunUpload:
    """An upload that a web server has begun to read: its head is sent, of its content nothing.

    The server says by ``100 Continue`` that it reads (RFC 9110, section 10.1.1).
    """

    def __init__(self, host: Host, random: Random) -> None:
        ending, make = random.choice(KINDS)
        self.paper = Paper(f"{papers.new_text()[:24].strip()}.{ending}", make(), host.name)
        with contextlib.closing(host.rest()) as client:
            files = {"document": (self.paper.name, self.paper.content)}
            request = client.build_request("POST", "documents/post_document/", files=files)
        request.headers["Connection"] = "close"
        request.headers["Expect"] = "100-continue"
        self._body = request.read()
        url = request.url
        self._connection = http.client.HTTPConnection(str(url.host), url.port, IDLE_TIMEOUT)
        self._connection.putrequest(
            "POST", url.raw_path.decode(), skip_host=True, skip_accept_encoding=True
        )
        for header, value in request.headers.items():
            self._connection.putheader(header, value)
        self._connection.endheaders()
        told = self._connection.sock.recv(1000)
        assert told.startswith(b"HTTP/1.1 100 "), told

    def finish(self) -> str:
        """Send the content; return the task."""
        with contextlib.closing(self._connection):
            self._connection.send(self._body)
            answer = self._connection.getresponse()
            told = answer.read()
        assert answer.status == 200, (answer.status, told[:1000])
        return str(json.loads(told))


def put(host: Host, paper: Paper) -> None:
    """Put a paper into a consume folder, whole or not at all."""
    draft = host.machine.folder / f"{paper.name}.part"
    draft.write_bytes(paper.content)
    draft.rename(host.consume / paper.name)
