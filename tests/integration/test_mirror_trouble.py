"""What goes wrong at the server, at the source and with the journal, and how the mirror goes on."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import pytest
from tests.integration.mirror_kit import BOUND, Rig
from tests.integration.mirror_places import FolderPlace, MemoryPlace, ServerPlace, storage_on
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double
from tests.wide import first_of

from paperfleet import errors
from paperfleet.journal.journal import Journal
from paperfleet.mirror import policy, room
from paperfleet.mirror.events import Failed, Paused, Resumed, Synced
from paperfleet.mirror.parallelism import Parallelism
from paperfleet.storage.dav.temporary import temporary_beside
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.nextcloud_faults import Cut

START = {
    "a.pdf": b"a",
    "b.pdf": b"bb",
    "folder/c.pdf": b"ccc",
    "folder/d.pdf": b"dddd",
    "other/e.pdf": b"eeeee",
}


@pytest.fixture
def server(cloud: Rig) -> NextcloudDouble:
    """Return the double behind ``cloud``."""
    assert isinstance(cloud.place, ServerPlace)
    assert isinstance(cloud.place.server, NextcloudDouble)
    return cloud.place.server


MOVED = {"folder/c.pdf": "moved/c.pdf", "folder/d.pdf": "moved/d.pdf", "other/e.pdf": "e.pdf"}


def change(rig: Rig) -> None:
    """Make a change of each kind."""
    rig.write({"a.pdf": b"another a", "new/f.pdf": b"f"})
    rig.path("b.pdf").unlink()
    rig.path("folder").rename(rig.path("moved"))
    rig.path("other/e.pdf").rename(rig.path("e.pdf"))


def test_the_server_is_down_at_the_start(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    down = ExitStack()
    down.enter_context(server.offline())
    with cloud.live() as live:
        live.until_event(Paused)
        live.until(lambda: len(cloud.seen(Paused)) > 2, "it goes on trying")
        assert not cloud.seen(Resumed), "it does not answer yet"
        down.close()
        live.until_same()
        live.until_event(Resumed)


def test_once_with_the_server_down(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    with server.offline(), pytest.raises(errors.UnavailableError):
        cloud.once()
    cloud.sync()


def test_the_server_restarts_in_the_middle(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(cloud.tree(120))
    with cloud.live() as live:
        live.until(lambda: cloud.counts()["created"] > 10, "a part has arrived")
        with server.offline():
            cloud.write({"written meanwhile.pdf": b"x"})
            live.until_event(Paused)
        live.until_same()
        with server.offline():
            change_tree(cloud)
            time.sleep(0.2)
        live.until_same()
    assert cloud.quarantined() == {}


def change_tree(rig: Rig) -> None:
    rig.path("folder 0").rename(rig.path("renamed"))
    shutil.rmtree(rig.path("deep/folder 1"))
    rig.write({"folder 3/new.pdf": b"new"})


def test_maintenance(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        server.maintenance = True
        change(cloud)
        paused = live.until_event(Paused)
        assert "maintenance" in paused.reason
        server.maintenance = False
        live.until_same()


def test_a_lock_that_goes_away(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        with server.locked("a.pdf"), server.locked("folder/c.pdf"), server.locked("b.pdf"):
            cloud.write({"a.pdf": b"changed while locked", "new.pdf": b"not blocked"})
            cloud.path("b.pdf").unlink()
            cloud.path("folder/c.pdf").rename(cloud.path("c.pdf"))
            live.until(lambda: "new.pdf" in server.tree(), "the others go on")
            live.until(lambda: len(cloud.quarantined()) >= 3, "all that is locked waits")
        live.until_same()
        assert cloud.quarantined() == {}
        assert server.versions("a.pdf") == [b"a"]


def test_a_locked_move_stays_a_move(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        number = server.file_id("folder/c.pdf")
        with server.locked("folder/c.pdf"):
            cloud.path("folder/c.pdf").rename(cloud.path("c.pdf"))
            live.until(cloud.quarantined, "it waits")
        live.until_same()
        assert server.file_id("c.pdf") == number
        assert cloud.counts()["created"] == len(START)


def test_throttled_waits_as_long_as_it_is_told(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    cloud.sync()
    change(cloud)
    fault = server.faults.add("*", status=429, headers={"Retry-After": "1"}, times=1)
    server.requests.clear()
    cloud.sync()
    times = [request.time for request in server.requests]
    assert fault.hits == 1
    assert times[1] - times[0] > 0.9
    assert cloud.seen(Paused)


def test_throttled_in_the_middle_of_work(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(cloud.tree(150))
    cloud.options["bulk"] = False
    for number in (66, 87):  # one alone would be told of that file
        name = f"folder 3/document {number}.pdf"
        server.faults.add("PUT", name, status=429, headers={"Retry-After": "2"})
    cloud.sync()
    requests = server.requests.all()
    at = max(request.time for request in requests if request.status == 429)
    # What was under way at that moment may still come.
    late = [r for r in requests if at + 0.3 < r.time < at + 0.9]
    assert late == []


def test_a_full_server(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        server.quota = sum(map(len, server.tree().values())) + 100
        cloud.write({f"big/{n}.pdf": b"x" * 1000 for n in range(20)} | {"small.pdf": b"x"})
        live.until(lambda: len(cloud.quarantined()) >= 20, "what does not fit waits")
        live.until(lambda: "small.pdf" in server.tree(), "what fits arrives")
        cloud.path("a.pdf").unlink()
        live.until(lambda: "a.pdf" not in server.tree(), "deletes go on")
        server.quota = None
        live.until_same()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what did not fit rest for longer than any test."""
    monkeypatch.setattr(policy, "_QUOTA_REST", 3600.0)
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.1)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("how", ["the quota is raised", "there is none", "we delete"])
def test_what_did_not_fit_is_tried_again_as_soon_as_there_is_room(
    cloud: Rig, server: NextcloudDouble, how: str
) -> None:
    cloud.write({"old.pdf": b"x" * 2000})
    cloud.sync()
    server.quota = 2100
    with cloud.live() as live:
        cloud.write({"new.pdf": b"y" * 1500})
        live.until(lambda: "new.pdf" in cloud.quarantined(), "it does not fit")
        asked = server.requests.count("PROPFIND")
        live.until(lambda: server.requests.count("PROPFIND") > asked, "the room is looked at")
        if how == "we delete":
            cloud.path("old.pdf").unlink()
        else:
            server.quota = 9000 if how == "the quota is raised" else None
        live.until_same()


def test_a_rename_that_needs_room_says_so(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write({"old.pdf": b"x" * 2000})
    cloud.sync()
    server.quota = 2100
    cloud.path("old.pdf").rename(cloud.path("new.pdf"))
    cloud.once()
    told = next(iter(cloud.quarantined().values()))
    assert "less space free than the file is large" in told
    assert "full" not in told
    assert server.tree() == {"old.pdf": b"x" * 2000}
    server.quota = None
    cloud.sync()


def test_room_is_made_by_deleting_at_the_source(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write({f"kept/{n}.pdf": b"k" for n in range(40)})  # so that the guard lets them go
    cloud.write({f"old/{n}.pdf": b"%04d" % n * 250 for n in range(10)})
    cloud.sync()
    server.quota = 10_540
    shutil.rmtree(cloud.path("old"))
    cloud.write({f"new/{n}.pdf": b"%04d" % n * 240 for n in range(10)})
    cloud.sync()


def test_a_body_that_is_too_large(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    server.faults.add("*", "bulk", status=413, times=None)
    server.faults.add("PUT", "folder/c.pdf", status=413, times=None)
    cloud.absent = {"folder/c.pdf"}
    cloud.sync()
    assert "size" in cloud.quarantined()["folder/c.pdf"]


@pytest.mark.parametrize("once", [True, False])
def test_a_wrong_password_is_tried_once(tmp_path: Path, quick: None, once: bool) -> None:
    del quick
    with nextcloud_double() as server:
        place = ServerPlace(server)
        rig = Rig(tmp_path, place, storage=storage_on(server, password="wrong"))
        rig.write(START)
        with pytest.raises(errors.CredentialsError), rig.mirror() as mirror:
            mirror.run_once() if once else mirror.run()
        assert len(server.login.failures) == 1
        assert [r.status for r in server.requests if "authorization" in r.headers] == [401]


def test_a_revoked_password_stops_a_running_mirror(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        server.login.revoke(server.password)
        cloud.write({f"new/{n}.pdf": b"%d" % n for n in range(30)})
        assert isinstance(live.until_ended(), errors.CredentialsError)
    assert len(server.login.failures) == 1


@pytest.mark.parametrize("method", ["PUT", "MOVE", "DELETE", "MKCOL"])
@pytest.mark.parametrize("status", first_of([500, 502]))
def test_a_server_error_on_one_path(
    cloud: Rig, server: NextcloudDouble, method: str, status: int
) -> None:
    cloud.options["bulk"] = False
    cloud.write(START)
    cloud.sync()
    change(cloud)
    cloud.write({f"more/{n}.pdf": b"%d" % n for n in range(20)})
    path = {"PUT": "a.pdf", "MOVE": "other/e.pdf", "DELETE": "b.pdf", "MKCOL": "new"}[method]
    server.faults.add(method, path, status=status, times=None)
    with cloud.live() as live:
        live.until(lambda: len(cloud.quarantined()) > 0, "it is quarantined")
        live.until(lambda: sum(n.startswith("more/") for n in server.tree()) == 20, "others go on")
        server.faults.clear()
        live.until_same()
    assert cloud.quarantined() == {}


def test_a_slow_upload_does_not_prolong_a_pause(
    cloud: Rig, server: NextcloudDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Parallelism, "throttled", lambda *_: None)  # so that there is a free place
    cloud.options["bulk"] = False
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        server.faults.add("PUT", "slow.pdf", delay=4)
        server.faults.add("PUT", "bad.pdf", status=500)
        server.faults.add("PROPFIND", "*", status=500)  # the look at the root after it
        began = time.monotonic()
        cloud.write({"slow.pdf": b"x"})
        live.until(lambda: ("PUT", "slow.pdf") in server.requests.pairs(), "it is being sent")
        cloud.write({"bad.pdf": b"y"})
        live.until_event(Paused)
        cloud.write({f"{n}.pdf": b"%d" % n for n in range(20)})
        live.until(lambda: {"bad.pdf", "19.pdf"} <= server.tree().keys(), "the others arrive")
        assert time.monotonic() - began < 3.5
        live.until_same()


CUT_REQUESTS = [
    ("PUT", "a.pdf"),
    ("PUT", "new/f.pdf"),
    ("MOVE", "folder"),
    ("MOVE", "other/e.pdf"),
    ("DELETE", "b.pdf"),
    ("DELETE", "other"),
    ("MKCOL", "new"),
    ("PROPFIND", "*"),
]
CUTS = [
    (*request, cut)
    for request in CUT_REQUESTS
    for cut in ("before", "after", "middle", "killed")
    if request[0] == "PUT" or cut in {"before", "after"}
]


@pytest.mark.parametrize(("method", "path", "cut"), CUTS)
def test_a_cut_connection(
    cloud: Rig, server: NextcloudDouble, method: str, path: str, cut: Cut
) -> None:
    cloud.write(START)
    cloud.put_foreign({"folder/theirs.txt": b"theirs"} if path == "other/e.pdf" else {})
    cloud.sync()
    numbers = [server.file_id(name) for name in ("a.pdf", *MOVED)]
    change(cloud)
    cloud.write({"new/g.pdf": b"g" * 5000, "new/h.pdf": b"h" * 6000})
    fault = server.faults.add(method, path, cut=cut)
    cloud.once() if cut != "killed" else until_unlocked(cloud, server)
    assert fault.hits == 1
    cloud.check()
    assert numbers == [server.file_id(name) for name in ("a.pdf", *MOVED.values())]
    cloud.sync()
    assert not cloud.tap.sent


@pytest.mark.parametrize("cut", ["before", "after", "middle"])
@pytest.mark.parametrize("times", [1, 5])
def test_a_cut_batch(cloud: Rig, server: NextcloudDouble, cut: Cut, times: int) -> None:
    cloud.write(cloud.tree(60))
    cloud.put_foreign({"folder 1/theirs.txt": b"theirs"})
    fault = server.faults.add("POST", "bulk", cut=cut, times=times)
    cloud.sync()
    assert fault.hits <= 3, "after two lost answers files go one by one"
    assert cloud.quarantined() == {}
    assert not [entry for entry in server.activity if entry.kind == "changed"], "sent twice"


def test_a_file_whose_batch_was_lost_goes_alone(cloud: Rig, server: NextcloudDouble) -> None:
    """A batch that is lost each time says nothing of its files: none comes into quarantine."""
    cloud.write(cloud.tree(10))
    fault = server.faults.add("POST", "bulk", cut="before", times=5)
    cloud.sync()
    assert fault.hits == 1
    assert not cloud.seen(Failed)


def until_unlocked(rig: Rig, server: NextcloudDouble) -> None:
    """Let the lock of a killed worker go away after a while."""
    with rig.live() as live:
        live.until(lambda: rig.seen(Synced), "it has done what it can")
        server.clock = lambda: time.time() + 3700
        live.until_same()


def test_the_server_closes_idle_connections(cloud: Rig, server: NextcloudDouble) -> None:
    server.idle_timeout = 0.1
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        for n in range(3):
            time.sleep(0.15)
            live.edit(lambda n=n: cloud.write({"a.pdf": b"again %d" % n}))  # type: ignore[misc]
    assert not cloud.seen(Paused)


@pytest.mark.parametrize("stopped", [True, False], ids=["stopped", "running"])
def test_a_large_file_goes_on_where_it_was_cut(
    tmp_path: Path, cloud: Rig, server: NextcloudDouble, stopped: bool
) -> None:
    storage = storage_on(server, chunk_size=100_000, chunk_threshold=200_000)
    rig = Rig(tmp_path / "large", cloud.place, storage=storage)
    rig.write({"large.pdf": bytes(range(256)) * 4000})
    fault = server.faults.add("PUT", "uploads/*/*5", cut="before", times=1)
    if stopped:
        server.faults.add("PUT", "uploads/*/*6", delay=30)
        with rig.live() as live:
            live.until(lambda: fault.hits, "the cut")
    rig.sync()
    chunks = [p for m, p in server.requests.pairs() if m == "PUT" and p.startswith("uploads/")]
    assert len(chunks) <= 11 + 2, chunks


def test_stopping_while_a_large_file_is_sent(cloud: Rig, server: NextcloudDouble) -> None:
    cloud.write(START)
    server.faults.add("PUT", "large.pdf", delay=30)
    cloud.options["bulk"] = False
    with cloud.live() as live:
        live.until_same()
        cloud.write({"large.pdf": b"x" * 1_000_000})
        live.until(lambda: ("PUT", "large.pdf") in server.requests.pairs(), "it is being sent")
        began = time.monotonic()
    assert time.monotonic() - began < 10
    server.faults.clear()
    cloud.sync()


def test_stopping_while_moves_are_about_to_begin(cloud: Rig) -> None:
    cloud.write(START)
    with cloud.live() as live:
        live.until_same()
        change(cloud)
    began = time.monotonic()
    cloud.sync()
    assert time.monotonic() - began < BOUND / 2


def test_the_target_folder_goes_away_and_comes_back(disk: Rig) -> None:
    disk.write(START)
    assert isinstance(disk.place, FolderPlace)
    away = disk.place.root.with_name("away")
    with disk.live() as live:
        live.until_same()
        assert isinstance(disk.place, FolderPlace)
        disk.place.root.rename(away)
        disk.write({"new.pdf": b"new"})
        live.until_event(Paused)
        away.rename(disk.place.root)
        live.until_same()


OPERATIONS = (
    "list_stats",
    "folder_etag",
    "list_folder",
    "stat",
    "content_sha256",
    "save_with",
    "save_batch",
    "move",
    "move_folder",
    "delete_if",
    "make_folder",
    "remove_folder",
)
KINDS = (
    errors.UnavailableError,
    errors.MaintenanceError,
    errors.ThrottledError,
    errors.QuotaExceededError,
    errors.NotAStorageError,
    errors.LockedError,
    errors.PreconditionFailedError,
    errors.AlreadyExistsError,
    errors.NotFoundError,
    errors.IntegrityError,
    errors.NameRefusedError,
    errors.FileAccessError,
    ZeroDivisionError,
)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_operation_fails_once(
    tmp_path: Path, quick: None, kind: type[Exception], when: Literal["before", "after"]
) -> None:
    """Before or after its effect, by any error: then all is as if nothing had happened."""
    del quick
    rig = Rig(tmp_path, MemoryPlace(MemoryBackend()), pause=0.002)
    rig.write(START)
    rig.put_foreign({"moved too/theirs.txt": b"theirs", "other/theirs.txt": b"theirs"})
    with rig.live() as live:
        live.until_same()
        for operation in OPERATIONS:
            if operation not in EXCEPTIONS.get(kind, ()):
                rig.tap.fail(operation, error=kind, when=when)
        change(rig)
        rig.place.write("folder/d.pdf", b"somebody was here")
        live.until(lambda: rig.tap.count("save_with") > 1, "it has begun")
        rig.tap.heal()
        live.until(rig.nothing_is_missing, "all of ours")
        rig.foreign |= {n: c for n, c in rig.place.tree().items() if c == b"somebody was here"}
        live.until_same()
    assert rig.quarantined() == {}


EXCEPTIONS: dict[type[Exception], set[str]] = {
    # A fault of the program here ends the run, as it should.
    ZeroDivisionError: {"list_stats", "folder_etag", "list_folder", "remove_folder"},
    # What is not found is gone: nobody would look again.
    errors.NotFoundError: {"delete_if"},
    # Somebody has put something into the folder: it stays.
    errors.PreconditionFailedError: {"remove_folder"},
    errors.AlreadyExistsError: {"remove_folder"},
    errors.LockedError: {"remove_folder"},
    errors.IntegrityError: {"remove_folder"},
    errors.NameRefusedError: {"remove_folder"},
    errors.FileAccessError: {"remove_folder"},
}


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("survey", errors.UnavailableError),
        ("survey", errors.NotAStorageError),
        ("open", errors.UnavailableError),
        ("open", errors.FileAccessError),
        ("open", errors.NotFoundError),
        ("stat", errors.NotFoundError),
        ("stat", errors.UnavailableError),
    ],
)
def test_the_source_fails_for_a_moment(
    disk: Rig, operation: str, kind: type[errors.StorageError]
) -> None:
    disk.write(START)
    with disk.live() as live:
        live.until_same()
        assert disk.origin is not None
        disk.origin.fail(operation, error=kind, times=3)
        change(disk)
        live.until_same()
    assert disk.quarantined() == {}


def test_once_with_a_source_that_goes_away(disk: Rig) -> None:
    disk.write(START)
    with disk.mirror() as mirror:
        disk.source.rename(disk.source.with_name("away"))
        with pytest.raises(errors.NotAStorageError):
            mirror.run_once()
    assert disk.place.tree() == {}


def test_an_outage_in_the_middle_of_many_small_files(disk: Rig) -> None:
    """What was handed over together with a file that failed is neither blamed nor forgotten."""
    files = {f"{number % 7}/{number}.pdf": b"%d" % number for number in range(300)}
    disk.write(files)
    for name in ("0/0.pdf", "3/101.pdf", "5/201.pdf", "6/202.pdf"):
        disk.tap.fail("save_with", name, error=errors.UnavailableError)
    disk.sync()
    assert len(disk.seen(Paused)) >= 1
    assert disk.quarantined() == {}
    assert set(disk.tap.sent) == files.keys()
    assert len(disk.tap.sent) <= len(files) + 4


def test_what_a_killed_run_left_without_a_row_is_swept(cloud: Rig) -> None:
    cloud.write({"a": b"1"})
    cloud.sync()
    cloud.place.write(left := temporary_beside("a"), b"of a trial, say")
    with Journal.read(cloud.journal) as seen:
        source, target = seen.pair()
    with Journal.open(cloud.journal, source=source, target=target) as journal:
        journal.set_fact("running", True)
    cloud.sync()
    assert left not in cloud.place.tree()
    cloud.place.write(other := temporary_beside("a"), b"of another client, at work")
    cloud.once()
    assert other in cloud.place.tree()
