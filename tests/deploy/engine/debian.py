"""What Debian has for these tests: the engine's programs, and a root folder for images.

Nothing is installed on the machine. Both are kept in a cache, under the names of their packages, as
a test run needs a minute to make them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CACHE = Path(
    os.environ.get("PAPERFLEET_TEST_CACHE") or Path("~/.cache/paperfleet-tests").expanduser()
)
_ENGINE = ("docker.io", "docker-cli", "iptables")
"""The packages of an engine; Debian 12 has no docker-cli, as its docker.io has the client."""
_DOWNLOAD_SECONDS, _ROOT_SECONDS = 300.0, 600.0
_NO_CLUSTER = "mkdir -p etc/postgresql-common && echo create_main_cluster=false >"
_HOOK = f'--essential-hook=cd "$1" && {_NO_CLUSTER} etc/postgresql-common/createcluster.conf'


class UnavailableError(RuntimeError):
    """The machine has not what these tests need; the text says what."""


def programs() -> dict[str, str]:
    """Return the variables with which an engine and its client are found.

    Raises ``UnavailableError`` when Debian's packages cannot be had.
    """
    if shutil.which("dockerd") and shutil.which("iptables") and shutil.which("docker"):
        return {}
    root = _kept("engine", _needed(), _unpack)
    library = next((root / "usr" / "lib").glob("*-linux-gnu*"), root / "usr" / "lib")
    path = (root / "links", root / "usr" / "sbin", root / "usr" / "bin", os.environ["PATH"])
    return {
        "PATH": os.pathsep.join(map(str, path)),
        "LD_LIBRARY_PATH": str(library),
        "XTABLES_LIBDIR": str(library / "xtables"),
    }


def root_archive(packages: Sequence[str]) -> Path:
    """Return the archive of a Debian of this machine's release with these packages.

    Raises ``UnavailableError`` when it cannot be made.
    """
    if not shutil.which("mmdebstrap"):
        raise UnavailableError("mmdebstrap is missing: apt install mmdebstrap")
    return _kept("root", (codename(), *packages), _bootstrap) / "root.tar"


@functools.cache
def codename() -> str:
    """Return the name of this machine's release of Debian; raise ``UnavailableError``."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    about = dict(line.split("=", 1) for line in lines if "=" in line)
    if about.get("ID") != "debian":
        raise UnavailableError("images are made from Debian's packages, and this is no Debian")
    return about["VERSION_CODENAME"]


def _kept(kind: str, packages: Sequence[str], make: Callable[[Path, Sequence[str]], None]) -> Path:
    """Return what was made of these packages, now or by an earlier run."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:16]
    place = CACHE / f"{kind}-{key}"
    if place.is_dir():
        return place
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        fresh = Path(temporary) / kind
        fresh.mkdir()
        make(fresh, packages)
        fresh.rename(place)
    return place


def _needed() -> list[str]:
    """Return what apt would install for an engine, as ``name=version``."""
    codename()
    known = [name for name in _ENGINE if ask("apt-cache", "madison", name).strip()]
    if "docker.io" not in known:
        raise UnavailableError("apt knows no docker.io: run apt-get update")
    simulated = ask("apt-get", "--simulate", "--no-install-recommends", "install", *known)
    found = [line.split() for line in simulated.splitlines() if line.startswith("Inst ")]
    return [f"{words[1]}={words[2].strip('([')}" for words in found]


def _unpack(folder: Path, packages: Sequence[str]) -> None:
    ask("apt-get", "download", *packages, cwd=folder, seconds=_DOWNLOAD_SECONDS)
    for package in sorted(folder.glob("*.deb")):
        ask("dpkg-deb", "--extract", str(package), str(folder))
        package.unlink()
    (folder / "links").mkdir()
    for name in ("iptables", "ip6tables"):  # what Debian's alternatives would make
        (folder / "links" / name).symlink_to("../usr/sbin/xtables-nft-multi")


def package_files(*names: str) -> Path:
    """Return a folder with the files of packages; raise ``UnavailableError``."""
    return _kept("packages", (codename(), *names), _fetch)


def _fetch(folder: Path, packages: Sequence[str]) -> None:
    ask("apt-get", "download", *packages[1:], cwd=folder, seconds=_DOWNLOAD_SECONDS)


def _bootstrap(folder: Path, packages: Sequence[str]) -> None:
    release, *names = packages
    options = ["--variant=minbase", f"--include={','.join(names)}", _HOOK]
    archive = str(folder / "root.tar")
    ask("mmdebstrap", "--quiet", *options, release, archive, seconds=_ROOT_SECONDS)


def ask(
    *command: str,
    cwd: Path | None = None,
    seconds: float = 60.0,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Return what a command prints; raise ``UnavailableError`` when it cannot be run, or fails."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environ,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        told = error.stderr.strip()[-500:]
        raise UnavailableError(f"`{' '.join(command[:3])}` failed: {told}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"`{' '.join(command[:3])}`: {error}") from None
    return done.stdout
