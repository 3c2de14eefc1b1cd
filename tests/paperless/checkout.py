"""The paperless-ngx that a test run is given, and the Python that can run it.

``PAPERLESS_SRC`` is a checkout of paperless-ngx, ``PAPERLESS_PYTHON`` a Python that has what its
``pyproject.toml`` asks for, with Paperfleet's own dependencies. ``PYPAPERLESS_PYTHON`` has
pypaperless 6; it may be another one.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE, PYTHON = "PAPERLESS_SRC", "PAPERLESS_PYTHON"
CLIENT_PYTHON = "PYPAPERLESS_PYTHON"
RESUME = "PAPERFLEET_TEST_RESUME"
"""Names a file of the end-to-end cases that have passed, each with its version: they are left."""
HAS_PASSED = "it has passed, says "
"""How the reason begins for which such a case is left."""
_VERSION = re.compile(r"__version__: Final\[tuple\[int, int, int\]\] = \((\d+), (\d+), (\d+)\)")


@dataclass(frozen=True)
class Checkout:
    """A checkout, with the Python that runs it."""

    src: Path
    python: Path

    @property
    def version(self) -> tuple[int, int, int]:
        """Read what ``paperless/version.py`` says."""
        found = _VERSION.search((self.src / "paperless" / "version.py").read_text())
        if not found:
            raise ValueError(f"{self.src}/paperless/version.py has no version")
        major, minor, patch = (int(part) for part in found.groups())
        return major, minor, patch

    @property
    def label(self) -> str:
        """The version for people."""
        return ".".join(map(str, self.version))

    @property
    def environ(self) -> dict[str, str]:
        """This process's variables without any that paperless-ngx or Paperfleet would read."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PAPERLESS_", "PAPERFLEET_", "GRANIAN_", "DJANGO_", "PYTEST_"))
        }
        path = os.pathsep.join((str(ROOT / "src"), str(self.src)))
        program_folder = str(self.python.parent)
        return kept | {
            "PYTHONPATH": path,
            "PATH": os.pathsep.join((program_folder, kept.get("PATH", os.defpath))),
            "DJANGO_SETTINGS_MODULE": "paperless.settings",
            "PYTHONUNBUFFERED": "1",
        }


def missing() -> str | None:
    """Say why there is no paperless-ngx to test with."""
    given = os.environ.get(SOURCE, "")
    if not given:
        return f"{SOURCE} does not name a checkout of paperless-ngx"
    if not (_src(given) / "manage.py").is_file():
        return f"{SOURCE} is {given}, and there is no src/manage.py"
    python = _python()
    return None if python.is_file() else f"{PYTHON} is {python}, and there is no such program"


def client_python() -> Path | None:
    """Return a Python that has pypaperless 6, None where there is none."""
    probe = "from importlib.metadata import version; assert version('pypaperless') >= '6'"
    for python in (os.environ.get(CLIENT_PYTHON, ""), str(_python()), sys.executable):
        if not python:
            continue
        with contextlib.suppress(OSError):
            if (
                subprocess.run([python, "-c", probe], capture_output=True, timeout=60).returncode
                == 0
            ):
                return Path(python)
    return None


def checkout() -> Checkout:
    """Return the paperless-ngx of this run; ask ``missing`` first."""
    return Checkout(_src(os.environ[SOURCE]), _python())


def _src(given: str) -> Path:
    folder = Path(given).absolute()
    return folder / "src" if (folder / "src" / "manage.py").is_file() else folder


def _python() -> Path:
    # Not resolved: the link is what makes it the Python of its virtual environment.
    return Path(os.environ.get(PYTHON) or sys.executable).absolute()
