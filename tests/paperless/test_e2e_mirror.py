"""The documents of a real installation arrive by its REST API, each change within its time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from tests.paperless import papers
from tests.paperless.conftest import make
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.paperless.installation import Installation, Servers
    from tests.paperless.rest import Rest

pytestmark = pytest.mark.paperless

EDITS = 20.0
"""Seconds for what changes the time of a document: two polls and the worker of paperless-ngx."""
COMES_AND_GOES = 60.0
"""Seconds for what does not."""


@pytest.fixture(scope="module")
def paperless(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("mirrored")
    settings = {
        "PAPERLESS_FILENAME_FORMAT": "{{ correspondent }}/{{ title }}",
        "PAPERLESS_ARCHIVE_FILE_GENERATION": "auto",
    }
    with make(servers, folder, None, **settings) as installation:
        installation.start()
        yield installation


class Mirrored:
    """``paperfleet mirror --paperless`` to a folder, as a program of its own."""

    def __init__(self, paperless: Installation, rest: Rest, folder: Path) -> None:
        self.target, self._folder = folder / "target", folder
        self._log = folder / "mirror.log"
        token = folder / "token"
        token.write_text(rest.token + "\n")
        token.chmod(0o600)
        self._command = [sys.executable, "-m", "paperfleet", "mirror", "--paperless", paperless.url]
        self._environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PAPERFLEET_")},
            "PAPERFLEET_PAPERLESS_TOKEN_FILE": str(token),
            "PAPERFLEET_JOURNAL": str(folder / "state" / "journal.sqlite"),
        }

    @contextlib.contextmanager
    def live(self, *options: str) -> Iterator[None]:
        """Run it until the end of the block; it must end in order."""
        with self._log.open("a") as log:
            process = subprocess.Popen(
                [*self._command, *options, str(self.target)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                yield
                assert process.poll() is None, self._log.read_text()
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0, self._log.read_text()
            finally:
                process.kill()
                process.wait()

    def once(self, *options: str, code: int = 0) -> str:
        """Run it until source and target are equal; return what it says."""
        done = subprocess.run(
            [*self._command, "--once", *options, str(self.target)],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def told(self, action: str) -> list[str]:
        """Return what it said of each operation of a kind."""
        lines = (line.split(maxsplit=2) for line in self.log().splitlines())
        return [line[2] for line in lines if line[1:2] == [action]]

    def log(self) -> str:
        """Return what it said while it was live."""
        return self._log.read_text()

    def until(self, wanted: Callable[[dict[str, bytes]], bool], seconds: float) -> float:
        """Wait until the target is as wanted; return the seconds that it took."""
        began = time.monotonic()
        while not wanted(there := read_tree(self.target)):
            assert time.monotonic() < began + seconds, f"{sorted(there)}\n{self.log()}"
            time.sleep(0.1)
        return time.monotonic() - began


@pytest.fixture
def mirrored(paperless: Installation, rest: Rest, tmp_path: Path) -> Mirrored:
    return Mirrored(paperless, rest, tmp_path)


def effective(rest: Rest, number: int) -> bytes:
    """Return the archive of a document's newest version, else its original."""
    return rest.download(number, original=False).content


def wanted(rest: Rest) -> dict[str, bytes]:
    """Return what has to be at the target, by paperless-ngx's own names."""
    found = {}
    for row in rest.documents():
        about = rest.metadata(row["id"])
        name = about["media_filename"]
        if about["has_archive_version"]:
            name = name.rpartition(".")[0] + ".pdf"
        found[name] = effective(rest, row["id"])
    return found


def test_every_document_is_mirrored_once_and_then_live(rest: Rest, mirrored: Mirrored) -> None:
    plain, scan = papers.pdf(), papers.scan("Invoice of a barrel")
    number = rest.upload("plain.pdf", plain, title="has text")
    scanned = rest.upload("scan.png", scan, title="was read")
    mirrored.once()
    there = read_tree(mirrored.target)
    assert there == wanted(rest)
    assert there["none/has text.pdf"] == plain, "it has no archive in version 3"
    assert there["none/was read.pdf"] == effective(rest, scanned) != scan
    with mirrored.live():
        mirrored.until(lambda tree: tree == there, EDITS)
        rest.upload("later.txt", papers.plain(), title="came later")
        mirrored.until(lambda tree: tree == wanted(rest), EDITS)
        rest.patch(f"documents/{number}/", json={"title": "has another title"})
        mirrored.until(lambda tree: "none/has another title.pdf" in tree, EDITS)
        assert read_tree(mirrored.target) == wanted(rest)
    assert mirrored.told("moved") == ["none/has text.pdf -> none/has another title.pdf"]
    assert not mirrored.told("deleted")
