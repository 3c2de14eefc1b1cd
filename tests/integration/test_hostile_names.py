"""Names that attack a terminal or a log go through every command; no output carries them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.integration.mirror_kit import BOUND
from tests.integration.mirror_places import write_file
from tests.integration.test_mirror_cli import User
from tests.trees import read_tree
from tests.unit.test_printable import HOSTILE

from paperfleet.cli.entry import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = [f"{text}.pdf" for text in HOSTILE.values()]
# Their outputs have no name of a document; what `manage` prints after its exec is paperless-ngx's.
# `backup` needs an installation, and is tried in tests/paperless/test_backup.py.
NAMELESS = {"backup", "demo", "manage", "run", "settings"}


class Output(NamedTuple):
    command: str
    text: bytes


class Attacked(User):
    """A user whose source has hostile names; everything that is printed is kept."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        for path in self.source.rglob("*.pdf"):
            path.unlink()
        for name in NAMES:
            write_file(self.source / "\u202edir\x1b[1m" / name, b"bytes of " + os.fsencode(name))
        self.printed: list[Output] = []

    def told(self, *arguments: object, **more: str) -> str:
        """Run a command; keep what it printed, and return it."""
        run = self.run(*arguments, **more)
        text = run.stdout + run.stderr
        self.printed.append(Output(str(arguments[0]), text.encode("utf-8", "surrogateescape")))
        return text


@pytest.fixture
def user(tmp_path: Path) -> Attacked:
    return Attacked(tmp_path)


def _lines(output: Output) -> Iterator[str]:
    yield from output.text.decode("utf-8").split("\n")  # strict: it is UTF-8


def check(outputs: list[Output]) -> None:
    """Fail unless every line can be seen as it is, and none is one that a name has made."""
    for output in outputs:
        for line in _lines(output):
            assert line.isprintable(), f"{output.command}: {line!r}"
            assert not line.startswith("updated b"), f"{output.command}: a line that was never said"


def test_every_command(user: Attacked) -> None:
    source, target, receipt = user.source, user.target, user.journal.with_name("receipt")
    say = user.told
    assert "dir" in say("mirror", "--dry-run", source, target)
    say("mirror", "--once", source, target)
    assert len(read_tree(target)) == len(NAMES) - 1, "all but the one that is not UTF-8"
    for name in NAMES[:-4]:
        (source / "\u202edir\x1b[1m" / name).unlink()
    say("mirror", "--dry-run", source, target)
    say("mirror", "--once", source, target, PAPERFLEET_LOG_LEVEL="debug")
    assert "held back" in say("status")
    json.loads(say("status", "--json"))
    say("health")
    say("doctor", "--names", "--write-probe", source, target)
    json.loads(say("doctor", "--names", "--json", source, target))
    say("approve")
    say("approve", "--yes")
    say("mirror", "--once", "--log-format", "json", source, target)
    say("migrate", "--dry-run", source, f"{target}-2")
    report = user.journal.with_name("report")
    say("migrate", source, f"{target}-2", "--receipt", receipt, "--report", report)
    user.printed += [Output("receipt", receipt.read_bytes()), Output("report", report.read_bytes())]
    for path in target.with_name("target-2").rglob("*.pdf"):
        path.write_bytes(b"changed")
    say("verify", receipt, f"{target}-2")
    say("verify", "--json", receipt, f"{target}-2")
    user.journal.unlink()
    say("adopt", source, target)
    say("prune", source, target)
    say("repair", "--older-than", "0", target)
    check(user.printed)
    assert {output.command for output in user.printed} >= set(COMMANDS) - NAMELESS


def test_hostile_arguments_and_settings(user: Attacked) -> None:
    text = "".join(HOSTILE.values())
    user.told("mirror", user.source / text, user.target)
    user.told("mirror", user.source, f"webdav:{text}://host/")
    user.told("mirror", user.source, f"https://user:{text}@host/", text)
    user.told("settings", PAPERFLEET_USERNAME=text)
    user.told("doctor", user.source / text, f"webdav:{text}://host/")
    user.told("doctor", "--json", user.source, f"https://{text}/", PAPERFLEET_USERNAME=text)
    user.told("manage", text)
    user.told("manage", text, PAPERLESS_SRC=f"/{text}")
    user.told("run", text)
    user.told("run", "web", PAPERLESS_SRC=f"/{text}")
    user.told("verify", user.source / text, user.target)
    user.told(text)
    check(user.printed)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_running_mirror(form: str, user: Attacked) -> None:
    user.environ["PAPERFLEET_LOG_FORMAT"] = form
    with user.mirroring() as process:
        deadline = time.monotonic() + BOUND
        while len(read_tree(user.target)) < len(NAMES) - 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=BOUND)
    check([Output("mirror", said.encode())])
    objects = [line for line in said.splitlines() if form == "json" and line.startswith("{")]
    assert all(json.loads(line) for line in objects)
    assert not re.search(r"\x1b", said)
