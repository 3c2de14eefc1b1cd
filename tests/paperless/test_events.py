"""The mirror of documents that lie in a bucket: they arrive at a WebDAV server within seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.paperless.children import SMALL, Site, real_site
from tests.servers.moto_server import moto_server
from tests.servers.wsgidav_server import wsgidav_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.base import WebDavServer
    from tests.servers.s3 import S3Server

PATIENCE = 30.0


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Server]:
    with moto_server() as running:
        yield running


@pytest.fixture(params=["project", "paperless-ngx"])
def site(request: pytest.FixtureRequest) -> Site:
    found = SMALL if request.param == "project" else real_site()
    if found is None:
        pytest.skip("PAPERLESS_SRC names no checkout of paperless-ngx")
    return found


class Installation:
    """A paperless-ngx with its documents in a bucket, and what mirrors them."""

    def __init__(self, site: Site, folder: Path, bucket: S3Server, location: str) -> None:
        self._site, self._folder = site, folder
        options = {
            "bucket_name": bucket.bucket,
            "endpoint_url": bucket.endpoint_url,
            "region_name": bucket.region,
            "access_key": bucket.access_key,
            "secret_key": bucket.secret_key,
            "location": location,
        }
        self.environment = site.environment(
            folder,
            PAPERLESS_DOCUMENT_STORAGE_BACKEND="paperfleet.S3CompatibleBackend",
            PAPERLESS_DOCUMENT_STORAGE_OPTIONS=json.dumps(options),
            PAPERLESS_FILENAME_FORMAT="{{ title }}",
            PAPERFLEET_EVENTS="true",
        )
        self._run("migrate", "--verbosity", "0")

    def _run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = self._site.run(["manage.py", *arguments], {**self.environment, **more})
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def events(self, *arguments: str, **more: str) -> str:
        return self._run("paperfleet_events", *arguments, **more).stdout

    @contextmanager
    def running(self, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """Run Python with these arguments until the end of the block; it must end in order."""
        log = self._folder / f"{arguments[-1].rpartition('/')[2]}.log"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [self._site.python, *arguments],
                cwd=self._site.source,
                env={**self.environment, **more},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if "tests.paperless.acting" in arguments else errors,
                stderr=errors,
                text=True,
            )
            try:
                yield process
                process.send_signal(signal.SIGTERM)
                process.wait(20)
            except BaseException:
                print(log.read_text())  # pytest shows it with the failure
                raise
            finally:
                process.kill()
                process.communicate()

    @contextmanager
    def worker(self) -> Iterator[Callable[[str], None]]:
        with self.running("-m", "tests.paperless.acting") as process:
            assert process.stdin is not None
            assert process.stdout is not None
            writing, reading = process.stdin, process.stdout

            def act(line: str) -> None:
                writing.write(line + "\n")
                writing.flush()
                assert reading.readline() == "done\n"

            yield act


def arrives(server: WebDavServer, wanted: Mapping[str, bytes], patience: float = PATIENCE) -> float:
    """Wait until the server has just these files; return the seconds that took."""
    began = time.monotonic()
    there: dict[str, bytes] = {}
    while time.monotonic() < began + patience:
        there = server.tree()
        if there == wanted:
            return time.monotonic() - began
        time.sleep(0.05)
    raise AssertionError(f"there is {sorted(there)} and not {sorted(wanted)}")


def both(**titles: str) -> dict[str, bytes]:
    return {
        f"{area}/{title}.pdf": content.encode()
        for area in ("originals", "archive")
        for title, content in titles.items()
    }


@pytest.mark.timeout(400)
def test_documents_in_a_bucket_arrive_at_a_webdav_server(
    site: Site, tmp_path: Path, bucket: S3Server
) -> None:
    there = Installation(site, tmp_path, bucket, f"events {site.name}")
    with wsgidav_server() as cloud, there.worker() as act:
        act("save before vorher")
        variables = {
            "PAPERFLEET_USERNAME": cloud.user,
            "PAPERFLEET_PASSWORD": cloud.password,
            "PAPERFLEET_ALLOW_PLAIN_HTTP": "true",
        }
        mirror = ["manage.py", "paperfleet_events", "--mirror", cloud.url]
        with there.running(*mirror, **variables):
            first = arrives(cloud, both(before="vorher"), site.patience)
            act("save one eins")
            seconds = [arrives(cloud, both(before="vorher", one="eins"))]
            before = len(cloud.requests.all())
            act("rename one two")
            seconds.append(arrives(cloud, both(before="vorher", two="eins")))
            moves = [one for one in cloud.requests.all()[before:] if one.method == "MOVE"]
            assert len(moves) == 2, "a rename is sent as one"
            act("delete before")
            seconds.append(arrives(cloud, both(two="eins")))
            act("fail never")
            act("save last zuletzt")
            seconds.append(arrives(cloud, both(two="eins", last="zuletzt")))
            assert max(seconds) < 15, seconds
        print(f"first look {first:.1f} s; then {', '.join(f'{s:.1f}' for s in seconds)} s")

        # What happens while no mirror runs, the next one finds.
        act("rename two three")
        act("delete last")
        assert there.events("--mirror", cloud.url, "--dry-run", **variables).strip()
        assert cloud.tree() == both(two="eins", last="zuletzt")
        variables |= {"PAPERFLEET_DELETE_SHARE": "1"}  # four of six are gone: most of them
        there.events("--mirror", cloud.url, "--once", **variables)
        assert cloud.tree() == both(three="eins")
    told = [json.loads(line) for line in there.events().splitlines()]
    assert [one["change"] for one in told if one["area"] == "originals"] == [
        "saved",  # before
        "saved",  # one
        "moved",
        "deleted",
        "deleted",  # never, which was taken back
        "saved",  # last
        "moved",
        "deleted",
    ]


@pytest.mark.timeout(600)
def test_lines_are_told_as_they_happen_and_pruned(tmp_path: Path, bucket: S3Server) -> None:
    there = Installation(SMALL, tmp_path, bucket, "events followed")
    with there.worker() as act:
        act("save a eins")
        follow = ["manage.py", "paperfleet_events", "--prune", "1", "--follow"]
        log = tmp_path / "--follow.log"
        with there.running(*follow):
            _wait_for(lambda: log.read_text().count('"saved"') == 2)
            act("rename a b")
            _wait_for(lambda: log.read_text().count('"moved"') == 2)
    assert there.events("--prune", "0") == ""
    assert there.events() == ""


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
