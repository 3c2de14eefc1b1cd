"""The first process of a machine (``tests.servers.machines``), in namespaces that it has to itself.

It lets every file system be read only but the folder of this machine, hides those of the others,
and ends with its input; the kernel then ends all that runs here (pid_namespaces(7)).

Arguments: host name, the machine's folder, where it is mounted, the folder with those of all.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

_PSEUDO = frozenset(
    ("proc", "sysfs", "devtmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "nsfs", "bpf")
)
_OWN = ("/dev/shm", "/run", "/var/tmp")  # noqa: S108  # of their own, so that they are not common


def main() -> None:
    name, own, home, everybody = sys.argv[1:]
    outside = Path("/proc/self").readlink()  # of the namespace in which it was mounted
    _mount("-t", "proc", "proc", "/proc")
    _mount("--bind", own, home)
    for folder in (everybody, *_OWN):
        _mount("-t", "tmpfs", "tmpfs", folder)
    for place in _real_file_systems():
        if place != home:
            _make_read_only(place)
    socket.sethostname(name)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607  # as the network's
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries whose parent has ended
    os.write(1, f"{outside}\n".encode())
    sys.stdin.read()


def _real_file_systems() -> list[str]:
    """Return where they are mounted, without those that another one covers."""
    covers = tuple(f"{folder}/" for folder in _OWN)
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        place = before.split()[4].encode().decode("unicode_escape")
        kind = after.split()[0]
        if kind not in _PSEUDO and place not in _OWN and not place.startswith((*covers, "/sys/")):
            found.append(place)
    return found


def _make_read_only(place: str) -> None:
    """Let nobody here write to a file system; one that was just taken away outside is none."""
    try:
        _mount("-o", "remount,bind,ro", place)
    except subprocess.CalledProcessError:
        if os.path.ismount(place):
            raise


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)  # noqa: S607  # as the rest of these tests


if __name__ == "__main__":
    main()
