"""``python -m tests.release``: build what is published, and use it as somebody who installs it.

The sdist is built from the files that git knows, the wheel from the sdist alone, as whoever
packages Paperfleet does it. Both go to ``dist/``, which holds nothing else then. The wheel is
installed with the locked dependencies in an empty environment and mirrors a folder to another one.
With the name of a tag (``python -m tests.release v1.2.3``) it has to be that of the version, and
CHANGELOG.md has to have a section for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
DOCUMENTS = {"2026/invoice.pdf": b"%PDF-1.7 invoice", "Zeugnis ä.pdf": b"%PDF-1.7 " * 5000}
_LONGEST = 300.0


class ReleaseError(Exception):
    """What was built must not be published; the text says why."""


def main(tag: str = "") -> None:
    """Build, check and try; raise ``ReleaseError`` at the first thing that is wrong."""
    version = _version()
    if tag not in {"", f"v{version}"}:
        raise ReleaseError(f"the tag is {tag}, and pyproject.toml says {version}")
    if tag and f"\n## {version}" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        raise ReleaseError(f"CHANGELOG.md has no section {version}")
    with TemporaryDirectory(prefix="release-") as temp:
        sdist, wheel = _build(Path(temp))
        _check_sdist(sdist)
        _check_wheel(wheel)
        _try_out(wheel, Path(temp), version)
    print(f"{sdist.name} and {wheel.name} are in dist/; the wheel was installed and mirrored")


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _build(temp: Path) -> tuple[Path, Path]:
    """Return the sdist, and the wheel that was built from it and nothing else."""
    shutil.rmtree(DIST, ignore_errors=True)
    _hatchling(ROOT, "sdist")
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(temp, filter="data")
    _hatchling(temp / sdist.name.removesuffix(".tar.gz"), "wheel")
    (wheel,) = DIST.glob("*.whl")
    return sdist, wheel


def _hatchling(folder: Path, kind: str) -> None:
    _run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(DIST)], folder)


def _check_sdist(sdist: Path) -> None:
    """Refuse files that git does not know, which may hold anything."""
    known = set(_run(["git", "ls-files", "-z"], ROOT).split("\0")) | {"PKG-INFO"}
    with tarfile.open(sdist) as archive:
        packed = {m.name.partition("/")[2] for m in archive.getmembers() if not m.isdir()}
    if packed - known:
        raise ReleaseError(f"the sdist has files that git does not know: {sorted(packed - known)}")
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "tests/conftest.py"):
        if name not in packed:
            raise ReleaseError(f"the sdist lacks {name}")


def _check_wheel(wheel: Path) -> None:
    """Refuse a wheel that has other files than ``src/`` has in git, SQL and all."""
    wanted = set(_run(["git", "ls-files", "-z", "src"], ROOT).split("\0")) - {""}
    with zipfile.ZipFile(wheel) as archive:
        packed = {f"src/{name}" for name in archive.namelist() if ".dist-info/" not in name}
    if packed != wanted:
        raise ReleaseError(f"the wheel and src/ differ: {sorted(packed ^ wanted)}")


def _try_out(wheel: Path, temp: Path, version: str) -> None:
    """Install it where nothing else is, and mirror."""
    environment = temp / "environment"
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    locked = ROOT / "requirements" / "base.txt"
    _run([*pip, "install", "--quiet", "--require-hashes", "--requirement", str(locked)], temp)
    _run([*pip, "install", "--quiet", "--no-deps", str(wheel)], temp)
    _run([*pip, "check"], temp)

    program = str(environment / "bin" / "paperfleet")
    if (said := _run([program, "--version"], temp).strip()) != f"paperfleet {version}":
        raise ReleaseError(f"--version says {said!r}")
    if "mirror" not in _run([program, "--help"], temp):
        raise ReleaseError("--help does not name the command mirror")
    source, target = temp / "source", temp / "target"
    for name, content in DOCUMENTS.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    target.mkdir()
    journal = temp / "journal.sqlite"
    _run([program, "mirror", "--once", str(source), str(target), "--journal", str(journal)], temp)
    found = {p.relative_to(target).as_posix(): p for p in target.rglob("*") if p.is_file()}
    if {name: path.read_bytes() for name, path in found.items()} != DOCUMENTS:
        raise ReleaseError(f"the mirror brought {sorted(found)}")


def _run(command: Sequence[str], folder: Path) -> str:
    """Return what a command says; nothing of this checkout is on its path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "TMPDIR"} or name.startswith("PIP_")
    }
    ended = subprocess.run(
        command,
        cwd=folder,
        env=kept | {"LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=_LONGEST,
    )
    if ended.returncode:
        raise ReleaseError(f"{' '.join(command[:5])} …\n{ended.stdout}{ended.stderr}")
    return ended.stdout


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ReleaseError as error:
        sys.exit(f"not to be released: {error}")
