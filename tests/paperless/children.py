"""Processes in which Django, documents and the app are: a small project, or a paperless-ngx."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.paperless import forked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).parent / "inside"
PROJECT = Path(__file__).parent / "project"
BACKEND = "tests.paperless.inside.stores.bucket"
_FOLDERS = ("DATA_DIR", "MEDIA_ROOT", "SCRATCH_DIR", "CONSUMPTION_DIR")
_OURS = ("PAPERLESS_", "PAPERFLEET_", "DJANGO_", "PYTEST_")


@dataclass(frozen=True)
class Site:
    """Where the packages ``documents`` and ``paperless`` are, and the Python that runs them."""

    name: str
    source: Path
    python: str
    patience: float
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """Return the variables of a child whose data lies in ``folder``."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        for name in _FOLDERS:
            (folder / name.lower()).mkdir(parents=True, exist_ok=True)
        return {
            **kept,
            **{f"PAPERLESS_{name}": str(folder / name.lower()) for name in _FOLDERS},
            "PYTHONPATH": os.pathsep.join(map(str, (REPOSITORY / "src", self.source, REPOSITORY))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DJANGO_SETTINGS_MODULE": "paperless.settings",
            "PAPERLESS_SECRET_KEY": "x",
            "PAPERLESS_APPS": "paperfleet.paperless",
            # There is no Redis but for the tests of the media lock.
            "PAPERFLEET_MEDIA_LOCK": "file",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            # The real one needs no Redis then; its own tests set the same.
            "PAPERLESS_CACHE_BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "PAPERLESS_CHANNELS_BACKEND": "channels.layers.InMemoryChannelLayer",
            **self.variables,
            **more,
        }

    def run(
        self, arguments: list[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, and wait for it."""
        if self.python == sys.executable:
            return forked.run(arguments, self.source, environment, self.patience)
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=self.patience,
        )

    @contextmanager
    def start(
        self, arguments: list[str], environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[str]]:
        """Run Python beside the test; it is ended with the block."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [self.python, *arguments],
            cwd=self.source,
            env=environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


SMALL = Site("project", PROJECT, sys.executable, patience=240)


def real_site() -> Site | None:
    """Return the paperless-ngx that ``PAPERLESS_SRC`` and ``PAPERLESS_PYTHON`` name, if any."""
    source = os.environ.get("PAPERLESS_SRC", "")
    if not source:
        return None
    root = Path(source).resolve()
    root = root if (root / "documents").is_dir() else root / "src"
    return Site(
        "paperless-ngx", root, os.environ.get("PAPERLESS_PYTHON", sys.executable), patience=600
    )


def migrated(site: Site, folder: Path) -> Path:
    """Make the data folder of a database with all tables and no documents; return it.

    It has the folder of the index, which the image of paperless-ngx makes too, and without which
    ``document_importer`` of 3.x fails (``docker/rootfs/etc/s6-overlay/s6-rc.d/init-folders/run``).
    """
    (folder / "data_dir" / "index").mkdir(parents=True)
    environment = site.environment(folder, PAPERLESS_DOCUMENT_STORAGE_BACKEND=BACKEND)
    done = site.run(["manage.py", "migrate", "--verbosity", "0"], environment)
    if done.returncode:
        raise AssertionError(f"manage.py migrate failed:\n{done.stdout}{done.stderr}")
    return folder / "data_dir"


def pytest_in(
    site: Site, module: str, data: Path, folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a module of ``inside`` with the database in ``data``, copied."""
    shutil.copytree(data, folder / "data_dir", dirs_exist_ok=True)
    environment = site.environment(folder, PAPERLESS_DOCUMENT_STORAGE_BACKEND=BACKEND, **more)
    options = ["-q", "-rfE", "--tb=short", "--import-mode=importlib", "-p", "no:cacheprovider"]
    places = ["-c", os.devnull, "--rootdir", str(INSIDE), "--confcutdir", str(INSIDE)]
    target = str(INSIDE / f"{module}.py")
    arguments = ["-m", "pytest", *options, *places, "--basetemp", str(folder / "tmp"), target]
    return site.run(arguments, environment)
