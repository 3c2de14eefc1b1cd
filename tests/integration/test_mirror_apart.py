"""A target within the source by another address, and our own files within the source."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import BOUND
from tests.integration.mirror_places import write_file
from tests.integration.test_mirror_cli import FILES, User
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.rclone_server import rclone_server
from tests.servers.wsgidav_server import wsgidav_server
from tests.trees import read_tree

from paperfleet.running.exitcodes import FINE, UNFINISHED, WRONG

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.mark.parametrize("server", [wsgidav_server, rclone_server])
@pytest.mark.parametrize("folder", ["", "copy"])
def test_a_server_that_serves_the_source_is_refused(
    server: object, folder: str, user: User
) -> None:
    """Else each copy is a new document: the copies have no end."""
    served = user.source / folder
    served.mkdir(exist_ok=True)
    with server(served) as dav:  # type: ignore[operator]  # each is a server of a folder
        login = {"PAPERFLEET_USERNAME": dav.user, "PAPERFLEET_PASSWORD": dav.password}
        run = user.once(dav.url, **login)
    assert run.returncode == WRONG, run.stdout + run.stderr
    assert "one place or lie in one another" in run.stderr
    assert read_tree(user.source) == FILES


def test_a_server_beside_the_source_is_taken(user: User) -> None:
    with wsgidav_server(user.target) as dav:
        login = {"PAPERFLEET_USERNAME": dav.user, "PAPERFLEET_PASSWORD": dav.password}
        assert user.once(dav.url, **login).returncode == FINE
        asked = len(dav.requests)
        assert user.once(dav.url, **login).returncode == FINE
        assert not any("probe" in r.path for r in list(dav.requests)[asked:]), "once a day"
    assert read_tree(user.target) == FILES


def test_a_source_that_holds_the_journal_and_the_leases(tmp_path: Path) -> None:
    """The way it is with `paperfleet mirror $HOME`: it comes to an end, and again to nothing."""
    user = User(tmp_path)
    home = user.source
    user.environ |= {"HOME": str(home), "PAPERFLEET_LEASE": f"file:{home}/leases"}
    del user.environ["PAPERFLEET_JOURNAL"]
    write_file(home / ".local/state/paperfleet/notes.txt", b"of somebody else")
    for _ in range(2):
        run = user.once()
        assert run.returncode == FINE, run.stdout + run.stderr
    expected = FILES | {".local/state/paperfleet/notes.txt": b"of somebody else"}
    assert read_tree(user.target) == expected
    assert list((home / ".local/state/paperfleet").glob("*.sqlite")), "the journal lies there"
    assert list((home / "leases").glob("*.lease")), "and the lease"


def test_a_running_mirror_rests_beside_its_own_journal(tmp_path: Path) -> None:
    user = User(tmp_path)
    user.environ["PAPERFLEET_JOURNAL"] = str(user.source / "journal.db")
    with user.mirroring() as process:
        deadline = time.monotonic() + 60
        while read_tree(user.target) != FILES and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == FINE, said
    assert read_tree(user.target) == FILES
    assert "journal.db" not in said


def test_a_migration_of_a_home_leaves_its_own_progress_out(tmp_path: Path) -> None:
    user = User(tmp_path)
    user.environ["HOME"] = str(user.source)
    run = user.run("migrate", user.source, user.target)
    assert run.returncode == FINE, run.stdout + run.stderr
    assert read_tree(user.target) == FILES


def test_once_that_is_stopped_before_its_end_says_so(user: User) -> None:
    """899 of 3,000 is not success."""
    with nextcloud_double() as cloud:
        cloud.faults.add("PUT", "folder/deep/c.pdf", delay=BOUND)
        user.environ |= {"PAPERFLEET_PASSWORD": cloud.password, "PAPERFLEET_USERNAME": cloud.user}
        user.environ |= {"PAPERFLEET_ONCE": "yes", "PAPERFLEET_BULK": "off"}
        with user.mirroring(cloud.url) as process:
            deadline = time.monotonic() + BOUND
            while not any(request.method == "PUT" for request in list(cloud.requests)):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=BOUND)
    assert process.returncode == UNFINISHED, said
