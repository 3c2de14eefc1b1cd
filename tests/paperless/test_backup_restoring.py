"""Parts of a restore: what is there is not fetched again, and single documents come alone."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import PASSWORD, SmallInstallation
from tests.paperless.home_kit import sha256

from paperfleet.backup.restic import Restic
from paperfleet.backup.restoring import Restoring
from paperfleet.backup.snapshots import chosen
from paperfleet.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(300),
]


class WatchedRestic(Restic):
    """Counts what it is asked to restore, and ends after so many calls."""

    calls: list[int]
    most: int = 1000

    def restore(self, snapshot: str, target: Path, paths: Sequence[str] = ()) -> None:
        self.calls.append(len(paths))
        if len(self.calls) > self.most:
            raise KeyboardInterrupt
        super().restore(snapshot, target, paths)


@pytest.fixture
def watched(saved: SmallInstallation) -> WatchedRestic:
    environ = {"RESTIC_REPOSITORY": str(saved.repository), "RESTIC_PASSWORD": PASSWORD}
    environ["RESTIC_CACHE_DIR"] = str(saved.folder / "cache")
    made = WatchedRestic(str(backup_kit.RESTIC), environ, "the repository")
    object.__setattr__(made, "calls", [])
    return made


def test_a_restore_that_was_cut_off_fetches_the_rest(
    watched: WatchedRestic, tmp_path: Path
) -> None:
    restoring = Restoring(watched, chosen(watched, "paperless", "latest"))
    object.__setattr__(watched, "most", 4)
    with pytest.raises(KeyboardInterrupt):
        restoring.lay_out(tmp_path / "out", step=1)
    files = tmp_path / "out" / "files"
    there = {path.name: path.stat().st_mtime_ns for path in files.rglob("*") if path.is_file()}
    assert len(there) == 3, "the data, then three folders of the tree"
    victim = files / min(there)[:2] / min(there)
    victim.write_bytes(b"other")
    del there[victim.name], watched.calls[:]
    object.__setattr__(watched, "most", 1000)
    manifest = restoring.lay_out(tmp_path / "out")
    assert watched.calls == [1, 6], "all that is not there, and what is wrong, at once"
    assert len({file.sha256 for file in manifest.files}) == 8
    del watched.calls[:]
    restoring.lay_out(tmp_path / "out")
    assert watched.calls == [1], "the data alone"


def test_a_restore_that_was_cut_off_writes_over_no_file_of_the_installation(
    saved: SmallInstallation, watched: WatchedRestic, tmp_path: Path
) -> None:
    # Two contents that lie in one folder of the tree, which restic brings as a whole.
    contents = [str(number) for number in range(1000) if sha256(b"%d" % number)[:2] == "00"][:2]
    saved.python(
        "import django; django.setup()\n"
        "import tempfile\n"
        "from pathlib import Path\n"
        "from documents.consumer import consume\n"
        f"for text in {contents}:\n"
        "    path = Path(tempfile.mkdtemp(), text)\n"
        "    path.write_text(text)\n"
        "    consume(path, text)"
    )
    saved.run(code=3)  # they have no thumbnail
    newest = watched.snapshots()[-1].number
    restoring = Restoring(watched, chosen(watched, "paperless", newest))
    restoring.lay_out(tmp_path / "out")
    damaged, right = sorted((tmp_path / "out" / "files" / "00").iterdir())
    media = tmp_path / "media"
    media.hardlink_to(right)
    before = media.stat()
    damaged.write_bytes(b"other")
    restoring.lay_out(tmp_path / "out")
    assert sorted(path.read_text() for path in right.parent.iterdir()) == sorted(contents)
    after = media.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not media.samefile(right)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["one filesystem", "two filesystems"])
def test_files_that_were_restored_are_each_a_file_of_its_own(
    saved: SmallInstallation, other: SmallInstallation, *, elsewhere: bool
) -> None:
    saved.python(
        "import django; django.setup()\n"
        "from documents.models import Document\n"
        "first, second = Document.objects.order_by('pk')\n"
        "second.thumbnail_path.write_bytes(first.thumbnail_path.read_bytes())"
    )
    saved.run()
    shared = Path("/dev/shm")  # noqa: S108  # a filesystem of its own
    with ExitStack() as stack:
        if elsewhere:
            if not shared.is_dir() or shared.stat().st_dev == other.folder.stat().st_dev:
                pytest.skip("there is no second filesystem")
            folder = stack.enter_context(TemporaryDirectory(dir=shared))
            other.variables["PAPERFLEET_BACKUP_FOLDER"] = folder
        other.backup("restore")
    assert other.files() == saved.files()
    mask = os.umask(0)
    os.umask(mask)
    stats = [path.stat() for path in other.media.rglob("*") if path.is_file()]
    assert {stat.st_nlink for stat in stats} == {1}
    assert len({stat.st_ino for stat in stats}) == len(other.files())
    assert {oct(stat.st_mode & 0o777) for stat in stats} == {oct(0o666 & ~mask)}


def test_too_little_room_is_told_before(
    watched: WatchedRestic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    with pytest.raises(BackupError, match="has room for"):
        Restoring(watched, chosen(watched, "paperless", "latest")).lay_out(tmp_path / "out")
    assert watched.calls == [1]


def test_single_documents_come_alone(saved: SmallInstallation, tmp_path: Path) -> None:
    found = tmp_path / "found"
    said = saved.backup("restore", "--document", "1", "--document", "3", "--to", str(found))
    assert "2 documents of backup" in said
    files = saved.files()
    wanted = {name for name in files if name.endswith(("/1.pdf", "/3.pdf"))}
    assert len(wanted) == 4
    assert {
        path.relative_to(found).as_posix(): path.read_bytes()
        for path in found.rglob("*")
        if path.is_file()
    } == {name: files[name] for name in wanted}
    saved.backup("restore", "--document", "1", "--to", str(found))
    (found / "originals" / "töp" / "1.pdf").write_bytes(b"mine")
    said = saved.backup("restore", "--document", "1", "--to", str(found), code=1)
    assert "nothing there is ever replaced" in said


def test_documents_are_found_by_words(saved: SmallInstallation, tmp_path: Path) -> None:
    said = saved.backup("restore", "--search", "TÖP 2", "--to", str(tmp_path / "found"))
    assert "1 documents of backup" in said
    assert "document 2: töp/2" in said
    said = saved.backup("restore", "--search", "nowhere", "--to", str(tmp_path / "no"), code=1)
    assert "no such document" in said
    assert "--to FOLDER" in saved.backup("restore", "--search", "x", code=1)
