"""A password that is not accepted is asked with once, however many requests are waiting."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.integration.mirror_places import storage_on
from tests.servers.dialect_server import Dialect, dialect_server
from tests.servers.nextcloud_double import nextcloud_double

from paperfleet import errors
from paperfleet.model import ABSENT, Upload
from paperfleet.storage.dav import login
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    import pytest
    from tests.servers.dialect_server import Answer

    from paperfleet.storage.protocol import DocumentStorage

THREADS = 8


def upload(content: bytes) -> Upload:
    return Upload(lambda: io.BytesIO(content), len(content))


def refused(storage: DocumentStorage) -> int:
    """Ask in many threads at once; return how many were told that the login is refused."""
    together = threading.Barrier(THREADS)

    def ask(number: int) -> bool:
        together.wait(10)
        try:
            storage.exists(f"{number}.pdf")
        except errors.CredentialsError:
            return True
        return False

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(ask, range(THREADS)))


def test_a_wrong_password_is_one_failed_login_for_all_threads() -> None:
    with nextcloud_double() as server, storage_on(server, password="wrong") as storage:
        assert refused(storage) == THREADS
        assert len(server.login.failures) == 1


def test_a_password_revoked_since_is_one_failed_login_for_all_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login, "FRESH", 0.0)
    with nextcloud_double() as server, storage_on(server) as storage:
        assert refused(storage) == 0
        server.login.revoke(server.password)
        assert refused(storage) == THREADS
        assert len(server.login.failures) == 1


def test_a_login_that_is_accepted_lets_all_go_at_once() -> None:
    inside = threading.Barrier(THREADS)

    def meet(_method: str, name: str) -> Answer | None:
        if name != "first.pdf":
            inside.wait(10)
        return None

    with dialect_server(Dialect(answer=meet)) as server, storage_on(server) as storage:
        storage.exists("first.pdf")
        assert refused(storage) == 0


def test_a_refusal_that_is_long_in_coming_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "WAIT", 0.0)
    with nextcloud_double() as server, storage_on(server, password="wrong") as storage:
        server.faults.add("PROPFIND", "*", delay=0.5, times=1)
        assert refused(storage) == THREADS
        assert len(server.login.failures) == 1


def test_a_long_upload_that_asks_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(login, "WAIT", 0.05)
    going, released = threading.Event(), threading.Event()

    def hold(method: str, name: str) -> Answer | None:
        if method == "PUT" and "paperfleet" in name and not going.is_set():
            going.set()
            released.wait(20)
        return None

    with (
        dialect_server(Dialect(answer=hold)) as server,
        storage_on(server) as storage,
        ThreadPoolExecutor(1) as pool,
    ):
        assert isinstance(storage, WebDavBackend)
        content = b"x" * (2 << 20)
        long = pool.submit(storage.save_with, "long.pdf", upload(content), ABSENT)
        assert going.wait(10)
        assert not storage.exists("short.pdf")
        assert not long.done()
        released.set()
        assert long.result(20).size == len(content)
