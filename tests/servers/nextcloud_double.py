"""A double of a Nextcloud 29 server that behaves as one was measured to behave.

Use `nextcloud_double()` in tests. As a program (`python -m tests.servers.nextcloud_double --root
DIR`) it prints its URL as first line and serves until it is terminated.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tests.servers.base import HOST, STOP_TIMEOUT, RecordedRequest, Running, WebDavServer
from tests.servers.nextcloud_auth import Auth
from tests.servers.nextcloud_errors import DavError
from tests.servers.nextcloud_faults import Fault, Faults
from tests.servers.nextcloud_files import Files
from tests.servers.nextcloud_http import (
    APACHE_KEEP_ALIVE,
    ClientGoneError,
    HangUpError,
    HttpServer,
    Request,
    Response,
)
from tests.servers.nextcloud_names import clean, encode
from tests.servers.nextcloud_pages import State
from tests.servers.nextcloud_router import Router

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.nextcloud_activity import Activity

USER = "alice"
APP_PASSWORD = "aaaaa-bbbbb-ccccc-ddddd-eeeee"
ACCOUNT_PASSWORD = "account pässword"


class NextcloudDouble(WebDavServer):
    """The double. `password` is an app password; `account_password` the account's own.

    `clock` gives the server's time in seconds; replace it to make a second last. `latency` is
    simulated: seconds per method, "*" for all others, spent while one of `workers` is busy.
    """

    def __init__(
        self,
        base: Path,
        *,
        user: str = USER,
        password: str = APP_PASSWORD,
        account_password: str = ACCOUNT_PASSWORD,
        port: int = 0,
    ) -> None:
        self.clock = time.time
        self.faults, self.state = Faults(), State()
        self.files = Files(base, self._now)
        self.files.scan()
        self.login = Auth(user, account_password, password, self._now)
        self.account_password = account_password
        self.latency: dict[str, float] = {}
        self.workers: threading.Semaphore | None = None
        self._router = Router(self.files, self.login, self.faults, self.state)
        self._idle_timeout = APACHE_KEEP_ALIVE
        self._stopping = threading.Event()
        self._running = Running()
        self._http = HttpServer(self._answer, port)
        self.base_url = f"http://{HOST}:{self._http.port}"
        url = self.base_url + encode(self._router.files_prefix)
        super().__init__(url, user, password, self.files.root, "nextcloud", counts_requests=True)

    def start(self) -> None:
        """Begin to answer."""
        self._http.idle_timeout = self._idle_timeout
        self._http.start()

    def stop(self) -> None:
        """Stop, end every connection, and end what still runs."""
        self._stopping.set()
        self._http.stop()
        self._router.uploads.stop()

    @contextlib.contextmanager
    def offline(self) -> Iterator[None]:
        """Be down for the length of the block: nothing listens on the port."""
        port = self._http.port
        self._http.stop()
        try:
            yield
        finally:
            self._http = HttpServer(self._answer, port)
            self.start()

    @property
    def idle_timeout(self) -> float:
        """Seconds after which an idle connection is closed (Apache's KeepAliveTimeout)."""
        return self._idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float) -> None:
        self._idle_timeout = self._http.idle_timeout = seconds

    @property
    def chunk_move_504(self) -> float | None:
        """Seconds that a merge goes on after its MOVE was answered with 504; None: no 504."""
        return self._router.uploads.slow_merge

    @chunk_move_504.setter
    def chunk_move_504(self, seconds: float | None) -> None:
        self._router.uploads.slow_merge = seconds

    @property
    def maintenance(self) -> bool:
        """Maintenance mode."""
        return self.state.maintenance

    @maintenance.setter
    def maintenance(self, on: bool) -> None:
        self.state.maintenance = on

    @property
    def quota(self) -> int | None:
        """Bytes that the user may store; None for no limit."""
        return self.files.quota

    @quota.setter
    def quota(self, size: int | None) -> None:
        self.files.quota = size

    @property
    def keeps_versions(self) -> bool:
        """Whether the app "Versions" is on."""
        return self.state.versions

    @keeps_versions.setter
    def keeps_versions(self, on: bool) -> None:
        self.state.versions = self.files.keeps_versions = on

    @property
    def activity(self) -> list[Activity]:
        """Return what happened, oldest first."""
        return self.files.activity

    def write(self, path: str, content: bytes, mtime: int | None = None) -> None:
        """Write as somebody else through the server: ids, ETags, versions, activity follow."""
        path = clean(path)
        with self._as_somebody_else():
            self._make_parents(path)
            node, _ = self.files.upload(path, [content])
            node.checksum = ""
            if mtime is not None:
                self.files.touch(node, mtime)

    def delete(self, path: str) -> None:
        """Delete as somebody else. Raises FileNotFoundError."""
        with self._as_somebody_else():
            try:
                self.files.remove(clean(path))
            except DavError as error:
                raise FileNotFoundError(path) from error

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents, as somebody else."""
        with self._as_somebody_else():
            self._make_parents(clean(path) + "/x")

    def move(self, old: str, new: str) -> None:
        """Move as somebody else, to a name that is free."""
        with self._as_somebody_else():
            self.files.move(clean(old), clean(new))

    def versions(self, path: str) -> list[bytes]:
        """Return the earlier contents of a file, oldest first."""
        return [version.file.read_bytes() for version in self.files.get(clean(path)).versions]

    def file_id(self, path: str) -> int:
        """Return the id of a file or folder."""
        return self.files.get(clean(path)).id

    def etag(self, path: str) -> str:
        """Return the ETag of a file or folder, without quotes."""
        return self.files.get(clean(path)).etag

    def checksum(self, path: str) -> str:
        """Return the stored OC-Checksum, "" for none."""
        return self.files.get(clean(path)).checksum

    @contextlib.contextmanager
    def locked(self, path: str) -> Iterator[None]:
        """Keep a path locked for the length of the block, an hour at most."""
        self.files.locks.lock(clean(path))
        try:
            yield
        finally:
            self.files.locks.unlock(clean(path))

    @contextlib.contextmanager
    def unreadable(self, path: str) -> Iterator[None]:
        """Keep a folder from being read for the length of the block; no ETag changes by that."""
        self.files.unreadable.add(clean(path))
        try:
            yield
        finally:
            self.files.unreadable.discard(clean(path))

    def wait_for_merges(self) -> None:
        """Wait for merges that go on after a 504."""
        self._router.uploads.wait()

    def wait_until_idle(self, timeout: float = STOP_TIMEOUT) -> None:
        """Wait until no request is at work, for example after a client was killed.

        Raises TimeoutError. The answer to a request may still be on its way.
        """
        if not self._running.wait_until_none(timeout):
            raise TimeoutError("requests are still at work")

    @contextlib.contextmanager
    def _as_somebody_else(self) -> Iterator[None]:
        with self.files.lock:
            self.files.actor = "Bob"
            try:
                yield
            finally:
                self.files.actor = "You"

    def _now(self) -> float:
        return self.clock()

    def _make_parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if self.files.find(folder) is None:
                self.files.make_folder(folder)

    def _answer(self, request: Request) -> Response:
        name = self._router.name_of(request)
        record = RecordedRequest(request.method, name, request.headers, time.time())
        with self._running:
            self.requests.add(record)
            self._take_time(request.method)
            fault = self.faults.take(request.method, name)
            response = self._faulty(fault, request, record) if fault else self._go(request, record)
            record.status = response.status
            return response

    def _go(self, request: Request, record: RecordedRequest) -> Response:
        return self._router.answer(request, record)

    def _faulty(self, fault: Fault, request: Request, record: RecordedRequest) -> Response:
        self._stopping.wait(fault.delay)
        if fault.meanwhile is not None:
            fault.meanwhile()
        if fault.cut == "before":
            raise HangUpError
        if fault.cut in {"middle", "killed"}:
            self._break_off(fault, request, record)
        if fault.status is not None and not fault.effect and fault.cut is None:
            return _told(fault)
        response = self._go(request, record)
        if fault.cut == "after":
            raise HangUpError
        return response if fault.status is None else _told(fault)

    def _break_off(self, fault: Fault, request: Request, record: RecordedRequest) -> None:
        request.body.cut_in_half()
        with contextlib.suppress(ClientGoneError):
            self._go(request, record)
        if fault.cut == "killed":
            self.files.locks.lock(record.path)
        raise HangUpError

    def _take_time(self, method: str) -> None:
        seconds = self.latency.get(method, self.latency.get("*", 0.0))
        if seconds:
            with self.workers or contextlib.nullcontext():
                self._stopping.wait(seconds)


def _told(fault: Fault) -> Response:
    assert fault.status is not None
    response = DavError(fault.status, "A fault of the double", headers=fault.headers).response()
    if fault.body:
        response.content = fault.body
    return response


@contextlib.contextmanager
def nextcloud_double(
    base: Path | None = None,
    *,
    user: str = USER,
    password: str = APP_PASSWORD,
    account_password: str = ACCOUNT_PASSWORD,
    port: int = 0,
) -> Iterator[NextcloudDouble]:
    """Run a double on `base`, or on a temporary folder; files are in its folder `files`."""
    with TemporaryDirectory(prefix="nextcloud-") as temp:
        double = NextcloudDouble(
            base or Path(temp),
            user=user,
            password=password,
            account_password=account_password,
            port=port,
        )
        double.start()
        try:
            yield double
        finally:
            double.stop()


if __name__ == "__main__":
    from tests.servers.nextcloud_program import main

    main()
