"""Whatever goes wrong with a backup: it is said, and the last good backup stays good."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import SmallInstallation, instead_of_restic, restic
from tests.paperless.test_backup_tree import rot
from tests.wide import WIDE, first_of

from paperfleet.backup.manifest import tree_name
from paperfleet.backup.place import BackupPlace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(300),
]
_RESTIC = "PAPERFLEET_BACKUP_RESTIC"
_KILL = "kill -9 $PPID; while kill -0 $PPID 2>/dev/null; do sleep 0.02; done; exit 1"


def place_of(installation: SmallInstallation) -> BackupPlace:
    return BackupPlace(installation.folder / "backup")


def largest(folder: Path) -> Path:
    return max(folder.rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)


def forget_the_lease(installation: SmallInstallation) -> None:
    """Do what a minute does after a run was killed."""
    shutil.rmtree(place_of(installation).folder / "leases")


def require_good(installation: SmallInstallation) -> None:
    """Require that the last complete backup has every file as it was, read from the repository."""
    said = installation.backup("verify", "--files", "--read", "100%")
    assert "8 files of it read, 0 with other bytes" in said


def test_damage_in_the_tree_is_found_and_mended(saved: SmallInstallation) -> None:
    victim = largest(place_of(saved).tree)
    content = victim.read_bytes()
    victim.write_bytes(b"other")
    said = saved.backup("verify", code=3)
    assert f"damaged in the tree: {victim.parent.name}/{victim.name}" in said
    assert "the next run brings them again" in said
    assert "with other bytes" in said, "the backup was looked at for this file"
    assert not victim.exists()
    assert saved.run()["complete"]
    assert victim.read_bytes() == content
    require_good(saved)


def test_what_was_damaged_since_the_last_run_gets_into_no_backup(saved: SmallInstallation) -> None:
    content = (saved.media / "originals" / "töp" / "1.pdf").read_bytes()
    victim = place_of(saved).tree / tree_name(hashlib.sha256(content).hexdigest())
    victim.write_bytes(bytes(len(content)))
    said = saved.backup("run")
    assert "1 files of the tree are not what their names say" in said
    require_good(saved)


@WIDE
def test_what_rotted_before_restic_took_it_is_found(saved: SmallInstallation) -> None:
    place = place_of(saved)
    saved.run()  # so that the memory is of this copy
    name = largest(place.tree).relative_to(place.tree).as_posix()
    rot(place, name)
    saved.run()  # restic sees that it has changed, and the memory of the tree was made to agree
    assert "1 with other bytes" in saved.backup("verify", "--files", code=3)
    shutil.rmtree(place.damaged)
    saved.run()
    require_good(saved)


def test_an_installation_without_documents_yet_is_backed_up_every_day(
    other: SmallInstallation,
) -> None:
    assert other.run("--init")["complete"]
    assert other.run()["complete"]


@WIDE
def test_an_installation_that_is_not_restored_yet_is_not_the_last_backup(
    saved: SmallInstallation, other: SmallInstallation
) -> None:
    said = other.backup("run", code=1)
    assert "Restore one of them first" in said
    require_good(saved)
    other.backup("restore")
    assert other.files() == saved.files()
    assert other.run()["complete"]


def test_a_clock_that_jumped_displaces_nothing(
    saved: SmallInstallation, other: SmallInstallation
) -> None:
    saved.variables |= {f"PAPERFLEET_BACKUP_KEEP_{kind}": "0" for kind in ("WEEKLY", "MONTHLY")}
    saved.variables["PAPERFLEET_BACKUP_KEEP_DAILY"] = "1"
    (saved.folder / "empty").mkdir()
    words = ("--host", "paperless", "--tag", "paperfleet", "--tag", "complete")
    ahead = ("backup", *words, "--time", "2099-01-01 00:00:00", str(saved.folder / "empty"))
    restic(saved.repository, *ahead)
    said = saved.backup("run", code=3)
    assert "the clock of this machine is wrong, or was" in said
    assert "restic forget" in said
    listed = json.loads(saved.backup("list", "--json"))
    assert [row["is_ahead"] for row in listed] == [False, False, True]
    other.backup("restore")
    assert other.files() == saved.files()


@pytest.fixture
def little(tmp_path: Path) -> Iterator[Path]:
    """Make a file system that is nearly full once a repository is in it."""
    point = tmp_path / "little"
    point.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=300k", "little", str(point)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("nobody may mount here")
    yield point
    subprocess.run(["umount", str(point)], check=True)  # noqa: S607  # of the system


@WIDE
def test_a_full_store_is_said_to_be_full(small: SmallInstallation, little: Path) -> None:
    small.variables["PAPERFLEET_BACKUP_REPOSITORY"] = str(little / "repository")
    small.python(
        "import django; django.setup()\n"
        "import os, tempfile\n"
        "from pathlib import Path\n"
        "from documents.consumer import consume\n"
        "original = Path(tempfile.mkdtemp()) / 'original'\n"
        "original.write_bytes(os.urandom(1_000_000))\n"
        "consume(original, 'large', archive=None, thumbnail=original)"
    )
    said = small.backup("run", "--init", code=1)
    assert "no room" in said
    assert "Traceback" not in said


@WIDE
@pytest.mark.parametrize("lost", first_of(["the file with the password", "keys"]))
def test_a_lost_key_is_said_to_be_lost(saved: SmallInstallation, lost: str) -> None:
    if lost == "keys":
        shutil.rmtree(saved.repository / "keys")
        (saved.repository / "keys").mkdir()
    else:
        saved.variables["PAPERFLEET_BACKUP_PASSWORD"] = ""
        saved.variables["PAPERFLEET_BACKUP_PASSWORD_FILE"] = str(saved.folder / "nowhere")
    for words in (("run",), ("restore", "--to", str(saved.folder / "out"))):
        said = saved.backup(*words, code=1)
        assert "nowhere" in said or "does not open the repository" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("verb", first_of(["backup", "forget"]))
def test_after_we_were_killed_the_next_run_works(
    saved: SmallInstallation, tmp_path: Path, verb: str
) -> None:
    if verb == "forget":
        saved.variables["PAPERFLEET_BACKUP_KEEP_DAILY"] = "1"
    script = f'if [ "$1" = {verb} ]; then {_KILL}; fi\nREAL "$@"'
    saved.variables[_RESTIC] = instead_of_restic(tmp_path, script)
    saved.backup("run", code=-9)
    del saved.variables[_RESTIC]
    assert "another backup works" in saved.backup("run", code=1)
    forget_the_lease(saved)
    require_good(saved)
    assert saved.run()["complete"]
    require_good(saved)
    assert not (place_of(saved).folder / "data").exists()


@WIDE
def test_restic_ends_with_us(saved: SmallInstallation, tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv of util-linux is missing")
    script = (
        f'if [ "$1" != backup ]; then REAL "$@"; exit; fi\n'
        f"trap 'echo ended > {tmp_path}/ended; exit 130' INT\n"
        "kill -9 $PPID\nfor _ in {1..500}; do sleep 0.02; done"
    )
    saved.variables[_RESTIC] = instead_of_restic(tmp_path, script)
    saved.backup("run", code=-9)
    backup_kit.wait_for(tmp_path / "ended")


@WIDE
def test_a_killed_restic_is_told_and_what_it_left_goes(
    saved: SmallInstallation, tmp_path: Path
) -> None:
    locked = f"until ls {saved.repository}/locks | grep -qE '^[0-9a-f]{{64}}$'; do sleep 0.01; done"
    script = (
        f'if [ "$1" != backup ]; then REAL "$@"; exit; fi\n'
        f"{backup_kit.RESTIC} backup --stdin < <(sleep 60) > /dev/null &\n"
        f"{locked}; kill -9 $!; kill -9 $$"
    )
    saved.variables[_RESTIC] = instead_of_restic(tmp_path, script)
    said = saved.backup("run", code=1)
    assert "The backups before are as they were" in said
    old = '{"time": "2020-01-01T00:00:00Z"}'
    saved.variables[_RESTIC] = instead_of_restic(
        tmp_path, f'if [ "$1 $2" = "cat lock" ]; then echo \'{old}\'; else REAL "$@"; fi'
    )
    said = saved.backup("run")
    assert "removing locks of the repository that nobody has renewed for an hour" in said
    del saved.variables[_RESTIC]
    require_good(saved)


def test_after_a_killed_restore_the_next_one_fetches_the_rest(
    saved: SmallInstallation, other: SmallInstallation, tmp_path: Path
) -> None:
    log = tmp_path / "restored"
    kill = f'if [ "$1" = restore ]; then echo "$@" >> {log}; REAL "$@"; {_KILL}; fi\nREAL "$@"'
    other.variables[_RESTIC] = instead_of_restic(tmp_path, kill)
    other.backup("restore", code=-9)
    assert len(log.read_text().splitlines()) == 1
    forget_the_lease(other)
    watch = f'if [ "$1" = restore ]; then echo "$@" >> {log}; fi\nREAL "$@"'
    other.variables[_RESTIC] = instead_of_restic(tmp_path, watch)
    (left,) = place_of(other).folder.glob("restore-*")
    (first,) = (json.loads(line) for line in [saved.backup("list", "--json")])
    assert left.name == f"restore-{first[0]['snapshot'][:8]}"
    (place_of(other).folder / "restore-00000000").mkdir()
    other.backup("restore")
    assert other.files() == saved.files()
    assert not list(place_of(other).folder.glob("restore-*"))
