"""Scenarios with real mounts; run in a mount namespace of its own by ``test_mirror_mounts.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import FolderPlace

from paperfleet.mirror.events import Refused
from paperfleet.mirror.planning.guard import Limits

TREE = {f"disk/{n}.pdf": b"on the disk %d" % n for n in range(3)}
REST = {f"rest/{n}.pdf": b"beside it %d" % n for n in range(30)}


def run(*command: str) -> None:
    subprocess.run(command, check=True)


class Scene:
    """A mirror of a folder that has another disk mounted at ``disk``."""

    def __init__(self, base: Path, kind: str) -> None:
        self.rig, self.kind = Rig(base, FolderPlace(base / "target"), limits=Limits()), kind
        self.away = base / "away"
        self.point = self.rig.source / "disk"
        self.point.mkdir()
        self.away.mkdir()
        if kind == "tmpfs":
            run("mount", "-t", "tmpfs", "apart", str(self.away))
        self.mount()
        self.rig.write(TREE | REST)

    def mount(self, what: Path | None = None) -> None:
        run("mount", "--bind", str(what or self.away), str(self.point))

    def unmount(self, *how: str) -> None:
        run("umount", *how, str(self.point))

    def nothing_was_lost(self) -> None:
        found = self.rig.place.tree()
        assert TREE.items() <= found.items(), "the files of the disk are still at the target"
        assert self.rig.counts()["deleted"] == 0


def at_a_restart(scene: Scene) -> None:
    rig = scene.rig
    rig.sync()
    scene.unmount()
    rig.write({"new.pdf": b"new"})
    outcome = rig.once()
    assert outcome.refused == len(TREE)
    assert set(rig.refused().values()) == {"'disk' is not mounted any more"}
    assert rig.place.tree()["new.pdf"] == b"new"
    scene.nothing_was_lost()
    assert rig.once().refused == len(TREE), "it still waits at the next start"
    scene.mount()
    rig.sync()
    assert rig.refused() == {}
    assert rig.tap.sent == []


def while_running(scene: Scene) -> None:
    rig = scene.rig
    with rig.live() as live:
        live.until_same()
        scene.unmount("-l")
        live.until(lambda: len(rig.refused()) == len(TREE), "the disk is missed")
        assert rig.seen(Refused)
        (rig.path("rest/1.pdf")).unlink()
        live.until(lambda: "rest/1.pdf" not in rig.place.tree(), "other deletes go on")
        assert TREE.items() <= rig.place.tree().items()
        sent = len(rig.tap.sent)
        scene.mount()
        live.until(lambda: not rig.refused(), "it is back")
        live.until_same()
        assert len(rig.tap.sent) == sent, "nothing is sent again"
        rig.write({"disk/new.pdf": b"written after it came back"})
        live.until_same()


def mounted_while_running(scene: Scene) -> None:
    """Mount something over files: they are hidden, not gone."""
    rig, over = scene.rig, scene.away.with_name("over")
    over.mkdir()
    with rig.live() as live:
        live.until_same()
        run("mount", "--bind", str(over), str(rig.path("rest")))
        live.until(lambda: len(rig.refused()) == len(REST), "the files are missed")
        run("umount", str(rig.path("rest")))
        live.until(lambda: not rig.refused(), "they are back")
        live.until_same()
    assert rig.counts()["deleted"] == 0


def stale_files_below(scene: Scene) -> None:
    """Show older files below the disk: they do not overwrite what is newer."""
    rig = scene.rig
    rig.sync()
    scene.unmount()
    rig.write({"disk/0.pdf": b"old", "disk/other.pdf": b"other"})
    rig.once()
    assert rig.place.tree()["disk/0.pdf"] == TREE["disk/0.pdf"]
    assert rig.place.tree()["disk/other.pdf"] == b"other"
    assert len(rig.refused()) == len(TREE)


def another_disk(scene: Scene) -> None:
    rig, other = scene.rig, scene.away.with_name("other")
    other.mkdir()
    rig.sync()
    scene.unmount()
    scene.mount(other)
    rig.once()
    assert set(rig.refused().values()) == {"something else than before is mounted at 'disk'"}
    scene.nothing_was_lost()


def files_moved_to_another_disk(scene: Scene) -> None:
    """Replace a disk, with all files on the new one: nobody has to say yes."""
    rig, other = scene.rig, scene.away.with_name("other")
    rig.sync()
    run("cp", "-a", str(scene.away), str(other))
    scene.unmount()
    scene.mount(other)
    assert rig.sync().refused == 0
    assert rig.tap.sent == []
    rig.path("disk/0.pdf").unlink()
    assert rig.sync().refused == 0


def approved(scene: Scene) -> None:
    rig = scene.rig
    rig.sync()
    scene.unmount()
    rig.once()
    assert rig.approve() == len(TREE)
    assert rig.sync().refused == 0
    assert rig.counts() == {"deleted": len(TREE)}


def single_deletes_on_the_disk(scene: Scene) -> None:
    rig = scene.rig
    rig.sync()
    rig.path("disk/0.pdf").unlink()
    rig.sync()
    assert rig.counts() == {"deleted": 1}


def without_a_journal_of_mounts(scene: Scene) -> None:
    """Take a journal that knows no mounts: the device of each file tells."""
    from paperfleet.journal.journal import Journal  # of this scene alone

    rig = scene.rig
    rig.sync()
    with Journal.read(rig.journal) as view:
        labels = view.pair()
    with Journal.open(rig.journal, source=labels[0], target=labels[1]) as journal:
        journal.set_fact("source_mounts", None)
        journal.set_fact("source_device", None)
    scene.unmount()
    rig.once()
    if scene.kind == "tmpfs":
        scene.nothing_was_lost()
        assert len(rig.refused()) == len(TREE)


SCENES = (
    at_a_restart,
    while_running,
    mounted_while_running,
    stale_files_below,
    another_disk,
    files_moved_to_another_disk,
    approved,
    single_deletes_on_the_disk,
    without_a_journal_of_mounts,
)

if __name__ == "__main__":
    name, kind, folder = sys.argv[1:]
    {scene.__name__: scene for scene in SCENES}[name](Scene(Path(folder), kind))
