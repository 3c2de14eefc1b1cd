"""Wheels for builds without a network, as the locked lists name them."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.deploy.engine.debian import CACHE, UnavailableError

ROOT = Path(__file__).parents[3]
LISTS = ("base.txt", "build.txt", "paperless.txt")
PROJECT_NEEDS = (
    *("celery", "django", "filelock", "flower", "pikepdf", "psycopg", "psycopg-binary"),
    "redis",
)
"""What the small project in the place of paperless-ngx imports, and Flower, which that has too."""
_SECONDS = 600.0


def locked(name: str) -> dict[str, str]:
    """Return the requirements of a locked list, each with its hashes, by name."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[\w#])", text)
    return {
        canonicalize_name(re.split(r"[\[=]", block)[0]): block
        for block in blocks
        if not block.startswith("#")
    }


def project_requirements(python: str) -> str:
    """Return the locked requirements of the small project, with what they need themselves."""
    known, wanted, found = locked("engine.txt") | locked("dev.txt"), list(PROJECT_NEEDS), {}
    # The first release of that Python, which needs the most.
    environment = {"extra": "", "python_version": python, "python_full_version": f"{python}.0"}
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name in found:
            continue
        found[name] = known[name]
        for text in _requires(name):
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate(environment):
                wanted.append(need.name)
    return "\n".join(sorted(found.values())) + "\n"


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for an older Python than this one; it needs no other
        return []


def wheels(python: str) -> Path:
    """Return a folder with all wheels that builds need, for a Python as "3.11".

    They are kept in the cache. Raises ``UnavailableError`` when they cannot be had.
    """
    lists = {name: "\n".join(locked(name).values()) for name in LISTS}
    lists["project.txt"] = project_requirements(python)
    # Without markers, which pip takes to be about the Python that runs it.
    lists = {name: re.sub(r" ; [^\\\n]*", " ", text) for name, text in lists.items()}
    key = hashlib.sha256("".join([python, *lists.values()]).encode()).hexdigest()[:16]
    place = CACHE / f"wheels-{key}"
    if place.is_dir():
        return place
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        fresh = Path(temporary) / "wheels"
        for name, text in lists.items():
            listed = Path(temporary) / name
            listed.write_text(text, encoding="utf-8")
            _download(listed, fresh, python)
        fresh.rename(place)
    return place


def _download(listed: Path, folder: Path, python: str) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", python]
    command = [*pip, *options, "--dest", str(folder), "--requirement", str(listed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        raise UnavailableError(f"pip has not the wheels of {listed.name}: {done.stderr[-800:]}")
