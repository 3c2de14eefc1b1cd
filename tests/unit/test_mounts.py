"""Whether a file that is not seen lies on a disk that is away: a table."""

from __future__ import annotations

import pytest

from paperfleet.filesystems import points_in_mountinfo
from paperfleet.mirror.mounts import Mounts, differing, doubt_of
from paperfleet.model import KnownFile

DIFFERENCES = {
    "nothing mounted": ({}, {}, {}),
    "as before": ({"a": "1"}, {"a": "1"}, {}),
    "gone": ({"a": "1"}, {}, {"a": "'a' is not mounted any more"}),
    "another": ({"a": "1"}, {"a": "2"}, {"a": "something else than before is mounted at 'a'"}),
    "new": ({}, {"a": "1"}, {"a": "something was mounted over 'a'"}),
}


@pytest.mark.parametrize(("before", "now", "faults"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_differing(before: dict[str, str], now: dict[str, str], faults: dict[str, str]) -> None:
    assert differing(before, now) == faults


GONE = Mounts({"disk": "away"}, frozenset(), device=lambda _: "1")
THERE = Mounts({}, frozenset({"disk"}), device=lambda _: "1")
RENUMBERED = Mounts({}, frozenset(), renumbered=("7", "1"), device=lambda _: "1")
DOUBTS = {
    "on the root's disk": ("a/b", "1:5", THERE, ""),
    "below a mount that is gone": ("disk/a", "2:5", GONE, "away"),
    "a file that was mounted itself": ("disk", "2:5", GONE, "away"),
    "beside it": ("disk2/a", "1:5", GONE, ""),
    "below a mount as before, with another number": ("disk/a", "9:5", THERE, ""),
    "another device, and no mount is known": ("a/b", "2:5", THERE, "'a/b'"),
    "the root's disk has another number since a restart": ("a/b", "7:5", RENUMBERED, ""),
    "another disk, after a restart": ("a/b", "8:5", RENUMBERED, "'a/b'"),
    "no device is known": ("a/b", None, THERE, ""),
    "an id that is no inode": ("a/b", "0123abc", THERE, ""),
    "a source on no disk": ("a/b", "2:5", Mounts(), ""),
}


@pytest.mark.parametrize(("name", "file_id", "mounts", "text"), DOUBTS.values(), ids=DOUBTS)
def test_doubt(name: str, file_id: str | None, mounts: Mounts, text: str) -> None:
    found = doubt_of(KnownFile(name, name, 1, "", 1, file_id, None, None), mounts)
    assert text in found
    assert bool(found) == bool(text)


def test_the_table_of_the_kernel() -> None:
    text = (
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 22 0:39 / /srv/docs rw shared:1 - tmpfs root rw\n"
        "31 30 0:40 / /srv/docs/old\\040disk rw - tmpfs one rw\n"
        "32 30 0:40 / /srv/docs/old\\040disk rw - tmpfs two rw\n"
        "33 22 0:41 / /srv/docs2 rw - tmpfs other rw\n"
    )
    assert points_in_mountinfo(text, "/srv/docs") == {"old disk": "two"}
