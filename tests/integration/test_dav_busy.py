"""What a server says of one file for a while stops that file alone; of itself, everything."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import ServerPlace, storage_on
from tests.servers.dialect_server import Dialect, DialectServer, dialect_server
from tests.wide import first_of

from paperfleet import errors
from paperfleet.mirror.events import Paused, Resumed
from paperfleet.model import ANYTHING, Upload
from paperfleet.storage.dav import arrivals, trials, webdav
from paperfleet.storage.dav.temporary import trial_above
from paperfleet.storage.dav.webdav import WebDavBackend

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.dialect_server import Answer

FILES = {f"folder {n % 3}/{n}.pdf": b"%03d" % n * (n + 1) for n in range(6)}
PLAIN: Answer = (503, {}, b"<html>Service Unavailable</html>")
SPOKEN: list[Answer] = [
    (425, {}, b""),
    (503, {}, b"The file is being processed"),
    PLAIN,
    (404, {}, b""),
]


@pytest.fixture
def server() -> Iterator[DialectServer]:
    with dialect_server() as server:
        yield server


@pytest.fixture
def rig(server: DialectServer, tmp_path: Path) -> Rig:
    return Rig(tmp_path, ServerPlace(server), storage=storage_on(server))


def sent(server: DialectServer) -> list[str]:
    """Return what was uploaded, without the files by which the server was tried."""
    puts = [request.path for request in server.requests if request.method == "PUT"]
    return [path for path in puts if not trial_above(path)]


@pytest.mark.parametrize("answer", first_of(SPOKEN), ids=["425", "503 processing", "503", "404"])
def test_a_file_that_is_worked_on_is_waited_for_and_sent_once(
    rig: Rig, server: DialectServer, answer: Answer
) -> None:
    server.dialect = Dialect(processing=0.5, processing_answer=answer)
    rig.write(FILES)
    rig.sync()
    assert len(sent(server)) == len(FILES)
    assert not rig.seen(Paused)


def nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (arrivals, webdav, trials):
        monkeypatch.setattr(module, "WORKING", ())


def test_an_upload_that_is_not_ready_in_time_is_kept_and_put_in_place_later(
    server: DialectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_is_waited_for(monkeypatch)
    busy = Dialect(answer=lambda method, _: (425, {}, b"") if method == "MOVE" else None)
    upload = Upload(lambda: io.BytesIO(b"content"), 7, sha256=SHA256)
    server.dialect = busy
    store = storage_on(server)
    assert isinstance(store, WebDavBackend)
    with store:
        for _ in range(2):
            with pytest.raises(errors.BusyError):
                store.save_with("a.pdf", upload, ANYTHING)
        store.sweep(older_than=-1.0)
        server.dialect = Dialect()
        store.save_with("a.pdf", upload, ANYTHING)
        assert server.tree() == {"a.pdf": b"content"}
        assert len(sent(server)) == 1


def test_a_kept_upload_makes_way_for_other_content(
    server: DialectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_is_waited_for(monkeypatch)
    server.dialect = Dialect(answer=lambda m, _: (425, {}, b"") if m == "MOVE" else None)
    store = storage_on(server)
    assert isinstance(store, WebDavBackend)
    with store:
        with pytest.raises(errors.BusyError):
            store.save_with(
                "a.pdf", Upload(lambda: io.BytesIO(b"content"), 7, sha256=SHA256), ANYTHING
            )
        server.dialect = Dialect()
        store.save_with("a.pdf", Upload(lambda: io.BytesIO(b"other"), 5), ANYTHING)
    assert server.tree() == {"a.pdf": b"other"}


SHA256 = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"


@pytest.mark.parametrize("answer", [PLAIN, (429, {"Retry-After": "1"}, b""), (500, {}, b"")])
def test_the_others_go_on_while_one_file_meets_a_refusal(
    rig: Rig, server: DialectServer, answer: Answer
) -> None:
    rig.write({"one.pdf": b"one", "two.pdf": b"two"})
    rig.sync()
    refused: list[float] = []
    served: list[float] = []

    def told(method: str, name: str) -> Answer | None:
        if method == "MOVE" and name == "two.pdf" and not refused:
            refused.append(time.monotonic())
            return answer
        if method == "MOVE" and name == "two.pdf":
            served.append(time.monotonic())
        return None

    server.dialect = Dialect(answer=told)
    rig.path("two.pdf").rename(rig.path("moved.pdf"))
    rig.write({"three.pdf": b"three"})
    rig.sync()
    assert not rig.seen(Paused)
    assert served[0] - refused[0] >= float(answer[1].get("Retry-After", "0"))


@pytest.mark.parametrize("answer", [PLAIN, (429, {"Retry-After": "0"}, b""), (502, {}, b"")])
def test_what_is_said_of_the_whole_server_pauses_everything(
    rig: Rig, server: DialectServer, answer: Answer
) -> None:
    rig.write(FILES)
    with rig.live() as live:
        live.until_same()
        server.dialect = Dialect(answer=lambda *_: answer)
        rig.write({"new.pdf": b"new"})
        live.until_event(Paused)
        server.dialect = Dialect()
        live.until_event(Resumed)
        live.until_same()


def test_a_limit_of_requests_that_lets_some_pass_is_the_whole_servers(
    rig: Rig, server: DialectServer
) -> None:
    rig.write(FILES)
    tokens: Iterator[Answer | None] = iter([None, (429, {}, b"")] * 3)
    server.dialect = Dialect(
        answer=lambda method, _: next(tokens, None) if method == "PUT" else None
    )
    rig.sync()
    assert rig.seen(Paused)
