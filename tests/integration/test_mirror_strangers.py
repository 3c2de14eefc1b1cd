"""A journal that was lost or restored: what it no longer knows is told, and goes by name only."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.integration.mirror_places import FolderPlace, ServerPlace
from tests.servers.nextcloud_double import NextcloudDouble

from paperfleet.cli import main
from paperfleet.mirror.events import Synced
from paperfleet.mirror.planning.guard import Limits
from paperfleet.running.exitcodes import FAILED, FINE, REFUSED, WRONG

if TYPE_CHECKING:
    from tests.integration.mirror_kit import Rig

DOCUMENTS = {f"2024/{n}.pdf": f"content {n}".encode() for n in range(6)}
OLD = {"2019/old.pdf": b"an old one", "2019/deep/older.pdf": b"an older one"}
THEIRS = {"theirs/notes.txt": b"theirs"}
Output = pytest.CaptureFixture[str]


class Person:
    """Somebody at a terminal beside the mirror of a rig."""

    def __init__(self, rig: Rig, output: Output) -> None:
        self.rig, self._output = rig, output
        self.pair = [str(rig.source), self._target(), "--journal", str(rig.journal)]

    def _target(self) -> str:
        if isinstance(self.rig.place, FolderPlace):
            return str(self.rig.place.root)
        assert isinstance(self.rig.place, ServerPlace)
        assert isinstance(self.rig.place.server, NextcloudDouble)
        server = self.rig.place.server
        return f"nextcloud://{server.user}@{urlsplit(server.url).netloc}/"

    def run(self, command: str, *arguments: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it said."""
        code = main([command, *arguments, *self.pair])
        said = self._output.readouterr()
        return code, said.out + said.err

    def status(self) -> dict[str, Any]:
        """Return what `paperfleet status` says."""
        code, text = self.run("status", "--json")
        assert code == FINE, text
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture(params=["disk", "cloud"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return a mirror whose target holds old documents that the lost journal knew."""
    found: Rig = request.getfixturevalue(request.param)
    if isinstance(found.place, ServerPlace) and isinstance(found.place.server, NextcloudDouble):
        monkeypatch.setenv("PAPERFLEET_PASSWORD", found.place.server.password)
    found.write(DOCUMENTS | OLD)
    found.sync()
    found.put_foreign(THEIRS)
    for path in found.journal.parent.iterdir():
        path.unlink()
    shutil.rmtree(found.source / "2019")
    found.once()
    return found


@pytest.fixture
def person(rig: Rig, capsys: Output) -> Person:
    capsys.readouterr()
    return Person(rig, capsys)


def test_what_a_lost_journal_knew_is_told_and_stays(rig: Rig, person: Person) -> None:
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS
    assert person.status()["strangers"] == 3
    code, text = person.run("prune")
    assert code == FINE
    assert "3 files neither at the source nor put there by this mirror" in text
    assert "2019/old.pdf (10 B): its bytes are nowhere else" in text
    rig.once()
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS
    assert person.status()["strangers"] == 3


def test_only_what_is_named_is_pruned(rig: Rig, person: Person) -> None:
    for arguments in ([], ["--copies"], ["--dry-run", "--name", "2019/"]):
        assert person.run("prune", "--yes", *arguments)[0] == FINE
        assert rig.place.tree() == DOCUMENTS | OLD | THEIRS
    code, text = person.run("prune", "--yes", "--name", "2019/")
    assert code == FINE, text
    assert "2 files deleted" in text
    assert rig.place.tree() == DOCUMENTS | THEIRS
    assert "2019" not in (rig.place.folders() or set())
    rig.once()
    assert person.status()["strangers"] == 1
    for known in ("2024/1.pdf", "2024/", "2019/old.pdf"):
        code, text = person.run("prune", "--yes", "--name", known)
        assert code == WRONG, text
    assert rig.place.tree() == DOCUMENTS | THEIRS


def test_copies_are_told_from_what_is_nowhere_else(rig: Rig, person: Person) -> None:
    rig.place.write("copy.pdf", DOCUMENTS["2024/1.pdf"])
    code, text = person.run("prune", "--yes", "--copies")
    assert code == FINE
    assert "copy.pdf (9 B): a copy of 2024/1.pdf" in text
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS


def test_the_guard_asks_for_the_number(rig: Rig, person: Person) -> None:
    many = ["--yes", "--delete-floor", "1", "--delete-share", "0.1", "--name", "2019/"]
    code, text = person.run("prune", *many)
    assert code == REFUSED
    assert "--approve 2" in text
    assert person.run("prune", *many, "--approve", "3")[0] == REFUSED
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS
    assert person.run("prune", *many, "--approve", "2")[0] == FINE
    assert rig.place.tree() == DOCUMENTS | THEIRS


def test_most_of_a_few_files_ask_for_the_number_as_at_the_mirror(rig: Rig, person: Person) -> None:
    few = {f"2018/{number}.pdf": b"%d" % number for number in range(20)}
    for name, content in few.items():
        rig.place.write(name, content)
    code, text = person.run("prune", "--yes", "--name", "2018/")
    assert code == REFUSED
    assert "more than 50%" in text
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS | few
    assert person.run("prune", "--yes", "--name", "2018/", "--approve", "20")[0] == FINE
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS


def test_nothing_is_judged_by_an_empty_source(rig: Rig, person: Person) -> None:
    shutil.rmtree(rig.source)
    rig.source.mkdir()
    for command in ("prune", "adopt"):
        code, text = person.run(command, "--yes", "--name", "2019/")
        assert code == WRONG
        assert "the source is empty" in text


def test_what_changed_since_it_was_listed_stays(
    rig: Rig, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(*_: object) -> None:
        rig.place.write("2019/old.pdf", b"somebody works on it")

    monkeypatch.setattr("paperfleet.cli.prune.ask", edit)
    code, text = person.run("prune", "--name", "2019/")
    assert code == FAILED
    assert "left: 2019/old.pdf (changed meanwhile)" in text
    assert rig.place.tree() == DOCUMENTS | THEIRS | {"2019/old.pdf": b"somebody works on it"}


def test_what_is_adopted_is_the_mirrors_own(rig: Rig, person: Person) -> None:
    with rig.live() as live:
        live.until_event(Synced)
        code, text = person.run("adopt", "--yes", "--name", "2019/")
        assert code == FINE, text
        live.until(lambda: rig.place.tree() == DOCUMENTS | THEIRS, "the deletes")
        live.until_same()
    assert sorted(rig.done()) == ["deleted 2019/deep/older.pdf", "deleted 2019/old.pdf"]
    assert person.status()["strangers"] == 1


def test_what_is_adopted_passes_the_guard(rig: Rig, person: Person) -> None:
    rig.options["limits"] = Limits(0.1, 1)
    assert person.run("adopt", "--yes", "--name", "2019/")[0] == FINE
    assert rig.once().refused == 2
    assert rig.place.tree() == DOCUMENTS | OLD | THEIRS
    rig.approve()
    rig.once()
    assert rig.place.tree() == DOCUMENTS | THEIRS


def test_an_older_journal_does_not_know_what_came_after_it(rig: Rig, person: Person) -> None:
    for name in OLD:
        rig.place.delete(name)
    backup = rig.journal.parent.with_name("backup")
    shutil.copytree(rig.journal.parent, backup)
    rig.write({"2025/new.pdf": b"a new one", "2025/kept.pdf": b"kept"})
    rig.once()
    (rig.source / "2025/new.pdf").unlink()
    shutil.rmtree(rig.journal.parent)
    shutil.copytree(backup, rig.journal.parent)
    rig.once()
    assert person.status()["strangers"] == 2
    assert "2025/new.pdf (9 B): its bytes are nowhere else" in person.run("prune")[1]
    assert person.run("prune", "--yes", "--name", "2025/new.pdf")[0] == FINE
    assert rig.place.tree() == DOCUMENTS | THEIRS | {"2025/kept.pdf": b"kept"}
