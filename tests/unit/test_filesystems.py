"""Which filesystem a path lies on, from the text that the kernel gives."""

import errno
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from paperfleet import filesystems
from paperfleet.filesystems import filesystem_type, is_network, type_in_mountinfo
from paperfleet.mirror.watch.mounts import MountWatch
from paperfleet.private import replace_text

MOUNTINFO = r"""
22 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
31 28 0:40 / /mnt/cloud rw master:3 propagate_from:2 - fuse https://cloud.example/dav rw,uid=0
32 28 0:41 / /mnt/cloud/local rw - xfs /dev/sdb1 rw
33 28 0:42 / /mnt/with\040space\134 rw shared:9 - nfs4 nas:/export rw
34 28 0:43 / /mnt/auto rw - autofs systemd-1 rw
35 28 0:44 / /mnt/auto rw - cifs //nas/share rw
a broken line - ext4
"""


@pytest.mark.parametrize(("number", "is_wrong"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_is_replaced_where_folders_have_no_fsync(
    number: int,
    is_wrong: bool,  # a parameter of the test
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="error") if is_wrong else nullcontext():
        replace_text(tmp_path / "state.json", "new")
    assert (tmp_path / "state.json").read_text() == "new"


def test_a_watch_of_mounts_that_cannot_read_the_table_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # of open files
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path)  # a folder: EISDIR
    with pytest.raises(IsADirectoryError):
        MountWatch(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "ext4"),
        ("/srv/archive/a.pdf", "ext4"),
        ("/proc/self", "proc"),
        ("/mnt/cloud", "fuse"),
        ("/mnt/cloud/a/b", "fuse"),
        ("/mnt/cloudy/a", "ext4"),
        ("/mnt/cloud/local/x", "xfs"),
        ("/mnt/with space\\/x", "nfs4"),
        ("/mnt/auto/x", "cifs"),
    ],
)
def test_the_innermost_mount_counts(path: str, expected: str) -> None:
    assert type_in_mountinfo(MOUNTINFO, path) == expected


def test_no_mount_is_no_type() -> None:
    assert type_in_mountinfo("", "/x") == ""


@pytest.mark.parametrize(
    ("fstype", "expected"),
    [
        ("nfs", True),
        ("nfs4", True),
        ("cifs", True),
        ("smb3", True),
        ("9p", True),
        ("fuse", True),
        ("fuse.sshfs", True),
        ("fuse.rclone", True),
        ("davfs", True),
        ("ext4", False),
        ("overlay", False),
        ("fuse.mergerfs", False),
        ("fuseblk", False),
        ("tmpfs", False),
        ("", False),
    ],
)
def test_network_types(fstype: str, expected: bool) -> None:
    assert is_network(fstype) is expected


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="not Linux")
def test_this_machine_answers(tmp_path: Path) -> None:
    assert filesystem_type(Path("/proc/self")) == "proc"
    assert filesystem_type(tmp_path / "not" / "there") == filesystem_type(tmp_path) != ""
    link = tmp_path / "link"
    link.symlink_to("/proc")
    assert filesystem_type(link / "self") == "proc"


def test_a_kernel_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "absent")
    assert filesystem_type(Path(os.sep)) == ""
