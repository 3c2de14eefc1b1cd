"""The mirror as a user starts, stops and asks it: processes, exit codes, what they say."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.integration.mirror_kit import BOUND
from tests.integration.mirror_places import write_file
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.wsgidav_server import wsgidav_server
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.nextcloud_double import NextcloudDouble

COMMAND = [sys.executable, "-m", "paperfleet"]
SOME_FAILED = 3
FILES = {"a.pdf": b"a", "folder/b.pdf": b"bb", "folder/deep/c.pdf": b"ccc", "other/d.pdf": b"dddd"}


class User:
    """Somebody with a source, a target and a terminal."""

    def __init__(self, base: Path) -> None:
        self.command = COMMAND
        self.source, self.target = base / "source", base / "target"
        self.journal = base / "journal.sqlite"
        self.environ = {n: v for n, v in os.environ.items() if not n.startswith("PAPERFLEET_")}
        self.environ |= {"HOME": str(base), "PAPERFLEET_JOURNAL": str(self.journal)}
        self.target.mkdir()
        for name, content in FILES.items():
            write_file(self.source / name, content)

    def run(self, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            env=self.environ | more,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def once(self, target: object = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Sync once."""
        return self.run("mirror", "--once", self.source, target or self.target, **more)

    @contextmanager
    def mirroring(self, target: object = None) -> Iterator[subprocess.Popen[str]]:
        """Let the mirror run; it is killed at the end if it still does."""
        arguments = ["mirror", "--settle-seconds", "0.05", self.source, target or self.target]
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=BOUND)

    def quarantined(self) -> dict[str, str]:
        """Return what `paperfleet status` says to be in quarantine, with the reasons."""
        return {entry["name"]: entry["reason"] for entry in self.state()["quarantined"]}

    def state(self) -> dict[str, Any]:
        """Return what `paperfleet status` says."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


@pytest.fixture
def cloud() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as running:
        yield running


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + BOUND
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come true"
        time.sleep(0.02)


def nextcloud_url(server: NextcloudDouble) -> str:
    return f"nextcloud://{server.user}@{urlsplit(server.url).netloc}/"


def test_to_a_nextcloud_and_back_to_it(user: User, cloud: NextcloudDouble) -> None:
    password = {"PAPERFLEET_PASSWORD": cloud.password}
    first = user.once(nextcloud_url(cloud), **password)
    assert first.returncode == 0, first.stdout + first.stderr
    assert cloud.tree() == FILES
    assert "created" in first.stdout
    cloud.requests.clear()
    second = user.once(nextcloud_url(cloud), **password)
    assert second.returncode == 0
    assert cloud.requests.pairs() == [("PROPFIND", "")]
    secret = cloud.password
    assert secret not in first.stdout + first.stderr + second.stdout + second.stderr
    assert secret.encode() not in user.journal.read_bytes()


def test_the_password_of_an_account_is_warned_of(user: User, cloud: NextcloudDouble) -> None:
    slow = user.once(nextcloud_url(cloud), PAPERFLEET_PASSWORD=cloud.account_password)
    assert slow.returncode == 0, slow.stdout + slow.stderr
    assert "does not look like an app password" in slow.stdout
    assert cloud.account_password not in slow.stdout + slow.stderr
    line = user.once(
        nextcloud_url(cloud),
        PAPERFLEET_PASSWORD=cloud.account_password,
        PAPERFLEET_LOG_FORMAT="json",
    ).stdout.splitlines()[0]
    assert (json.loads(line)["event"], json.loads(line)["level"]) == ("notice", "warning")
    fast = user.once(nextcloud_url(cloud), PAPERFLEET_PASSWORD=cloud.password)
    assert "app password" not in fast.stdout


def test_term_while_a_large_file_is_sent(user: User, cloud: NextcloudDouble) -> None:
    write_file(user.source / "large.pdf", b"x" * 3_000_000)
    cloud.faults.add("PUT", "large.pdf", delay=60)
    cloud.faults.add("POST", "bulk", status=405, times=None)
    user.environ["PAPERFLEET_PASSWORD"] = cloud.password
    with user.mirroring(nextcloud_url(cloud)) as process:
        until(lambda: ("PUT", "large.pdf") in cloud.requests.pairs(), "the upload")
        until(lambda: len(cloud.tree()) == len(FILES), "the other files")
        health = user.run("health")
        assert health.returncode == 1
        assert "first sync" in health.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    cloud.faults.clear()
    assert user.once(nextcloud_url(cloud)).returncode == 0
    assert cloud.tree() == read_tree(user.source)


def test_killed_and_started_again(user: User, cloud: NextcloudDouble) -> None:
    for n in range(100):
        write_file(user.source / f"more/{n}.pdf", b"%d" % n)
    cloud.latency = {"*": 0.02}
    cloud.faults.add("POST", "bulk", status=405, times=None)
    user.environ["PAPERFLEET_PASSWORD"] = cloud.password
    with user.mirroring(nextcloud_url(cloud)) as process:
        until(lambda: len(cloud.tree()) > 20, "a part")
        process.kill()
    cloud.wait_until_idle()
    cloud.latency = {}
    assert user.once(nextcloud_url(cloud)).returncode == 0
    assert cloud.tree() == read_tree(user.source)
    assert not [entry for entry in cloud.activity if entry.kind == "changed"], "sent twice"


def test_live_with_status_and_health(user: User) -> None:
    with user.mirroring() as process:
        until(lambda: read_tree(user.target) == FILES, "the first sync")
        until(lambda: user.run("health").returncode == 0, "health")
        write_file(user.source / "new.pdf", b"new")
        (user.source / "a.pdf").rename(user.source / "renamed.pdf")
        until(lambda: read_tree(user.target) == read_tree(user.source), "the changes")
        os.mkfifo(user.source / "pipe")
        until(lambda: user.state()["left_out"], "the pipe is told")
        assert user.run("health", "--missing-seconds", "0").returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert user.run("health").returncode == 1


def test_nothing_is_green_when_nothing_arrives(user: User, cloud: NextcloudDouble) -> None:
    user.environ["PAPERFLEET_PASSWORD"] = cloud.password
    for method in ("PUT", "POST"):
        cloud.faults.add(method, status=403, times=None)
    with user.mirroring(nextcloud_url(cloud)):
        until(lambda: user.run("status").returncode == 0, "a journal")
        until(lambda: len(user.quarantined()) == len(FILES), "the quarantine")
        until(lambda: user.state()["compared_at"], "a comparison")
        health = user.run("health")
        state, table = user.state(), user.run("status").stdout
    assert health.returncode == 1
    assert "4 files not at the target as at the source" in health.stdout
    assert "in sync" not in health.stdout
    assert (state["proven"], state["source_files"]["files"]) == (0, len(FILES))
    assert state["converged_at"] is None
    assert re.search("at the target +0 files", table)
    once = user.once(nextcloud_url(cloud))
    assert once.returncode == SOME_FAILED
    assert "not in sync after the first pass" in once.stdout
    assert "0 files at the target" in once.stdout


def test_a_journal_that_is_corrupt(user: User) -> None:
    assert user.once().returncode == 0
    size = user.journal.stat().st_size
    user.journal.write_bytes(b"not a database, " * (size // 16))
    result = user.once()
    assert result.returncode == 1
    assert str(user.journal) in result.stderr
    assert "Move it aside" in result.stderr
    for path in user.journal.parent.glob("journal.sqlite*"):
        path.rename(path.with_name("aside " + path.name))
    before = {p: p.stat().st_mtime_ns for p in user.target.rglob("*.pdf")}
    result = user.once()
    assert result.returncode == 0
    assert "created" not in result.stdout
    assert {p: p.stat().st_mtime_ns for p in user.target.rglob("*.pdf")} == before


def test_a_journal_whose_pages_are_damaged(user: User) -> None:
    for n in range(300):
        write_file(user.source / f"many/{n}.pdf", b"%d" % n)
    assert user.once().returncode == 0
    content = bytearray(user.journal.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b"\xff" * 8192
    user.journal.write_bytes(content)
    result = user.once()
    assert result.returncode == 1
    assert "corrupt" in result.stderr


def test_a_journal_of_another_pair(user: User, tmp_path: Path) -> None:
    assert user.once().returncode == 0
    other = tmp_path / "another target"
    result = user.once(other)
    assert result.returncode == 1
    assert "belongs to" in result.stderr
    assert not other.exists() or not any(other.iterdir())


def test_a_dry_run_names_a_target_that_is_not_there_yet(user: User, tmp_path: Path) -> None:
    result = user.run("mirror", "--dry-run", user.source, tmp_path / "new")
    assert result.returncode == 0
    assert f"to file://{tmp_path}/new" in result.stdout
    assert "create a.pdf" in result.stdout
    assert not (tmp_path / "new").exists()


def test_a_dry_run_names_the_journal_and_not_its_copy(user: User, tmp_path: Path) -> None:
    assert user.once().returncode == 0
    other = user.run("mirror", "--dry-run", user.source, tmp_path / "another target")
    assert (other.returncode, other.stdout) == (1, "")
    assert f"The journal {user.journal} belongs to" in other.stderr
    user.journal.write_bytes(b"not a database, " * 1000)
    corrupt = user.run("mirror", "--dry-run", user.source, user.target)
    assert corrupt.returncode == 1
    assert str(user.journal) in corrupt.stderr
    assert "Traceback" not in corrupt.stderr


def test_a_journal_in_use(user: User) -> None:
    with user.mirroring() as process:
        until(lambda: read_tree(user.target) == FILES, "the first sync")
        result = user.once()
        assert result.returncode == 1
        assert f"pid {process.pid}" in result.stderr
        write_file(user.source / "new.pdf", b"new")
        until(lambda: "new.pdf" in read_tree(user.target), "the first one goes on")


# Root reads everything by two capabilities; dropped from the bounding set they are gone after exec.
DROP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2
for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
    if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def mortal(user: User) -> User:
    """Return somebody for whom the rights of files hold, also where the tests are run as root."""
    if os.geteuid() == 0:
        user.command = [sys.executable, "-c", DROP, *COMMAND]
        tried = user.run("--version")
        if tried.returncode != 0:
            pytest.skip(f"run as root, which cannot give up its powers here: {tried.stderr}")
    return user


def test_an_unreadable_file_is_told_and_the_rest_goes_on(mortal: User) -> None:
    (mortal.source / "a.pdf").chmod(0)
    result = mortal.once()
    assert result.returncode == SOME_FAILED, result.stderr
    assert read_tree(mortal.target).keys() == FILES.keys() - {"a.pdf"}
    assert mortal.quarantined() == {"a.pdf": "permission denied"}
    (mortal.source / "a.pdf").chmod(0o600)
    assert mortal.once().returncode == 0
    assert read_tree(mortal.target) == FILES
    assert mortal.quarantined() == {}


def test_an_unreadable_folder_at_the_target_is_told_and_left_alone(mortal: User) -> None:
    assert mortal.once().returncode == 0
    for folder in (mortal.target / "lost+found", mortal.target / "folder"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0)
    write_file(mortal.source / "new.pdf", b"new")
    result = mortal.once()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "folder at the target cannot be read and is left alone" in result.stdout
    assert "restored" not in result.stdout
    assert (mortal.target / "new.pdf").read_bytes() == b"new"
    assert mortal.state()["unreadable"].keys() == {"folder", "lost+found"}
    for folder in (mortal.target / "lost+found", mortal.target / "folder"):
        folder.chmod(0o700)
    assert mortal.once().returncode == 0
    assert mortal.state()["unreadable"] == {}
    (mortal.target / "lost+found").rmdir()
    assert read_tree(mortal.target) == read_tree(mortal.source)


def test_what_becomes_unreadable_is_not_deleted_at_the_target(mortal: User) -> None:
    assert mortal.once().returncode == 0
    (mortal.source / "a.pdf").chmod(0)
    (mortal.source / "folder").chmod(0)
    try:
        result = mortal.once()
        assert result.returncode == SOME_FAILED, result.stderr
        assert read_tree(mortal.target) == FILES
        assert "folder" in mortal.quarantined()
    finally:
        (mortal.source / "folder").chmod(0o700)
    (mortal.source / "a.pdf").chmod(0o600)
    (mortal.source / "folder/b.pdf").unlink()
    assert mortal.once().returncode == 0
    assert read_tree(mortal.target).keys() == FILES.keys() - {"folder/b.pdf"}


def test_an_unreadable_source_or_target(mortal: User) -> None:
    mortal.source.chmod(0)
    result = mortal.once()
    mortal.source.chmod(0o700)
    assert result.returncode == 1
    assert "source" in result.stderr
    mortal.target.chmod(0o500)
    result = mortal.once()
    mortal.target.chmod(0o700)
    assert mortal.quarantined().keys() == FILES.keys()
    assert result.returncode == SOME_FAILED
    assert mortal.once().returncode == 0
    assert read_tree(mortal.target) == FILES


BAD_TARGETS = {
    "not even a scheme": ("htps://cloud.example/", "htps"),
    "plain http to another machine": ("http://192.0.2.1/dav/", "http"),
    "a password in it": ("webdav://me:hidden-word@127.0.0.1/dav/", "password"),
}


@pytest.mark.parametrize("kind", BAD_TARGETS)
def test_a_target_that_cannot_be(user: User, kind: str) -> None:
    url, word = BAD_TARGETS[kind]
    result = user.once(url)
    assert result.returncode == 1
    assert word in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert "hidden-word" not in result.stderr + result.stdout


PAGES = {
    "a login page": "/index.php/login",
    "no such page": "/apps/nothing/here",
    "somebody elses folder": "/remote.php/dav/files/bob/",
    "a folder that is not there": "/remote.php/dav/files/alice/not/there/",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_that_is_no_webdav_folder(user: User, cloud: NextcloudDouble, page: str) -> None:
    host = urlsplit(cloud.url).netloc
    more = {"PAPERFLEET_USERNAME": cloud.user, "PAPERFLEET_PASSWORD": cloud.password}
    result = user.once(f"http://{host}{PAGES[page]}", **more)
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("paperfleet: ")
    assert cloud.tree() == {}


def test_names_in_the_log_stay_on_their_line(user: User) -> None:
    write_file(user.source / "two\nlines.pdf", b"1")
    write_file(user.source / os.fsdecode(b"caf\xe9.pdf"), b"2")
    for form in ("text", "json"):
        result = user.once(PAPERFLEET_LOG_FORMAT=form, LC_ALL="C")
        assert result.returncode == SOME_FAILED, result.stderr
        assert "two\nlines" not in result.stdout
    assert (user.target / "two\nlines.pdf").read_bytes() == b"1"
    assert "caf" in user.run("status", LC_ALL="C").stdout


def test_the_older_variables(user: User) -> None:
    with wsgidav_server() as server:
        secret = user.source.with_name("secret")
        secret.write_text(server.password + "\n")
        result = user.run(
            "mirror",
            "--once",
            PAPERFLEET_SOURCE=str(user.source),
            WEBDRIVE_URL=server.url,
            WEBDRIVE_USER=server.user,
            WEBDRIVE_PASSWORD_FILE=str(secret),
        )
        assert result.returncode == 0, result.stderr
        assert server.tree() == FILES
