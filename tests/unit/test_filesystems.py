"""Which filesystem a path lies on, from the text that the kernel gives."""

import os
from pathlib import Path

import pytest

from paperfleet import filesystems
from paperfleet.filesystems import filesystem_type, is_network, type_in_mountinfo

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
