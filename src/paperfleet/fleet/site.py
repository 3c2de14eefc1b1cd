"""Where a role runs: its environment as paperless-ngx will see it, and the folders in it."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from paperfleet.errors import ConfigurationError
from paperfleet.fleet.processors import limit
from paperfleet.running.rolelease import settings_in
from paperfleet.settings.environment import mistake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.settings.fleet import FleetSettings

IMAGE_SRC: Final = Path("/usr/src/paperless/src")
"""Where paperless-ngx's image has its programs (``Dockerfile``)."""
FILE: Final = "_FILE"
NOT_SECRETS: Final = frozenset({"PAPERLESS_OCR_SKIP_ARCHIVE_FILE", "PAPERLESS_MODEL_FILE"})
"""Names that end as those of secrets in files, and are not (``init-env-file/run``)."""


class Folder(NamedTuple):
    """A folder of paperless-ngx: variable, place beside its programs, folders below it."""

    variable: str
    default: str
    below: tuple[str, ...] = ()


DATA: Final = Folder("PAPERLESS_DATA_DIR", "../data", ("index",))
MEDIA: Final = Folder(
    "PAPERLESS_MEDIA_ROOT",
    "../media",
    ("documents", "documents/originals", "documents/thumbnails"),
)
CONSUME: Final = Folder("PAPERLESS_CONSUMPTION_DIR", "../consume")
SCRATCH: Final = Folder("PAPERLESS_SCRATCH_DIR", "paperless")
FOLDERS: Final = (DATA, MEDIA, CONSUME, SCRATCH)
"""What the image makes (``init-folders/run``), without ``export``, which no role uses.

Every role needs all: paperless-ngx's checks write a file into each (``paperless/checks.py``).
"""
LOGGING: Final = "PAPERLESS_LOGGING_DIR"
THREADS: Final = "PAPERLESS_THREADS_PER_WORKER"


@dataclass(frozen=True)
class Site:
    """One installation as one process sees it.

    ``environ`` is what the program will have, ``chosen`` the part of it that nobody had set: values
    by variable, none of them a secret.
    """

    environ: Mapping[str, str]
    src: Path
    python: str
    settings: FleetSettings
    chosen: Mapping[str, str] = field(default_factory=dict)

    def folder(self, folder: Folder) -> Path:
        """Return where a folder of paperless-ngx is; relative ones are below its programs."""
        given = self.environ.get(folder.variable)
        if not given and folder is SCRATCH:
            return Path(tempfile.gettempdir(), folder.default)
        return Path(os.path.normpath(self.src / (given or folder.default)))

    def state_file(self, role: str) -> Path:
        """Return the file in which the process of a role tells its probes how it is.

        Below the name of the host, which a container has for itself: without a fleet several share
        the scratch folder.
        """
        return self.folder(SCRATCH) / "paperfleet" / "roles" / socket.gethostname() / f"{role}.json"


def site_of(environ: Mapping[str, str], *, fills: bool = True) -> Site:
    """Return the site that an environment describes; makes nothing.

    Secrets in files are read. With ``fills``, what nobody has set is chosen where paperless-ngx's
    own default does not fit a container. Raises ``ConfigurationError`` that names the variable.
    """
    if error := mistake(environ):
        raise error
    complete = with_secrets(environ)
    site = Site(complete, _src(complete), _python(complete), settings_in(complete))
    chosen = _chosen(site) if fills else {}
    return Site(complete | chosen, site.src, site.python, site.settings, chosen)


def with_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with each ``PAPERLESS_…_FILE`` replaced by what the file holds.

    The newline at its end is no part of it. The file wins over the variable, as in the image.
    Raises ``ConfigurationError`` for a file that cannot be read.
    """
    found = dict(environ)
    for name, path in environ.items():
        if name.startswith("PAPERLESS_") and name.endswith(FILE) and name not in NOT_SECRETS:
            del found[name]
            if path:
                found[name.removesuffix(FILE)] = _secret(name, path)
    return found


def _secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"{name}: the file {path} cannot be read: {reason}",
            hint="Mount it, readable for the user of this process, or take the variable out",
        ) from None


def _src(environ: Mapping[str, str]) -> Path:
    given = environ.get("PAPERLESS_SRC")
    src = Path(given).absolute() if given else IMAGE_SRC
    return src / "src" if (src / "src" / "manage.py").is_file() else src


def _python(environ: Mapping[str, str]) -> str:
    # Not resolved: the link is what makes it the Python of its virtual environment.
    given = environ.get("PAPERLESS_PYTHON")
    found = shutil.which(given, path=environ.get("PATH")) if given else sys.executable
    if not found:
        raise ConfigurationError(f"PAPERLESS_PYTHON is {given}, and there is no such program")
    return str(Path(found).absolute())


def _chosen(site: Site) -> dict[str, str]:
    chosen = {}
    given = site.environ
    if not given.get(LOGGING) and not may_write(site.folder(DATA) / "log"):
        chosen[LOGGING] = str(site.folder(SCRATCH) / "log")
    if not given.get("HOME") or not may_write(Path(given["HOME"])):
        chosen["HOME"] = str(site.folder(SCRATCH) / "home")
    cores = limit()
    if not given.get(THREADS) and cores is not None:
        try:
            workers = max(1, int(given.get("PAPERLESS_TASK_WORKERS") or 1))
        except ValueError:
            raise ConfigurationError("PAPERLESS_TASK_WORKERS is not a whole number") from None
        chosen[THREADS] = str(max(1, int(cores) // workers))
    return chosen


def may_write(folder: Path) -> bool:
    """Say whether files can be made in a folder, or the folder itself where it is missing."""
    for path in (folder, *folder.parents):
        if path.exists():
            return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
    return False


def make_folders(site: Site) -> None:
    """Make every folder that a role needs; raise ``ConfigurationError`` for one that cannot be."""
    wanted = [
        (folder.variable, site.folder(folder) / below)
        for folder in FOLDERS
        for below in ("", *folder.below)
    ]
    wanted += [
        (variable, Path(site.environ[variable]))
        for variable in (LOGGING, "HOME")
        if variable in site.chosen
    ]
    for variable, path in wanted:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(variable, path, str(error.strerror)) from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise _unusable(variable, path, f"the user {os.geteuid()} may not write there")


def _unusable(variable: str, path: Path, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"the folder {path} cannot be used: {reason}",
        hint=f"Mount a folder there that the user {os.geteuid()} can write, or name another one in"
        f" {variable}",
    )
