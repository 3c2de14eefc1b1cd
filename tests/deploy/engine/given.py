"""The published image of paperless-ngx, where ``PAPERLESS_IMAGE`` names one that is there.

It is an image of this machine's Docker, or an archive that ``docker image save`` wrote.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.deploy.engine.debian import UnavailableError, ask

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "PAPERLESS_IMAGE"
_SECONDS = 900.0


class GivenImage(NamedTuple):
    """An archive with an image; ``python`` is what runs in it, as "3.12"."""

    name: str
    archive: Path
    python: str


def given_image(folder: Path, environ: Mapping[str, str] = os.environ) -> GivenImage | None:
    """Return the image that is given, if one is; raise ``UnavailableError`` if it is not there.

    One of this machine's Docker is written to ``folder``.
    """
    name = environ.get(IMAGE, "")
    if not name:
        return None
    archive = Path(name)
    if not archive.is_file():
        archive = folder / "given.tar"
        words = ("docker", "image", "save", "--output", str(archive), name)
        ask(*words, seconds=_SECONDS, environ=environ)
    return GivenImage(name, archive, _python_in(archive))


def _python_in(archive: Path) -> str:
    """Return the version that the image's variables name (those of Docker's ``python``)."""
    try:
        with tarfile.open(archive) as files:
            (image, *_) = _json_in(files, "manifest.json")
            variables = _json_in(files, image["Config"])["config"]["Env"]
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(f"{archive} is no archive of an image: {error!r}") from None
    found = re.search(r"^PYTHON_VERSION=(\d+\.\d+)", "\n".join(variables), re.MULTILINE)
    if found is None:
        raise UnavailableError(f"the image in {archive} does not say which Python it has")
    return found[1]


def _json_in(files: tarfile.TarFile, name: str) -> Any:  # noqa: ANN401  # JSON
    stream = files.extractfile(name)
    if stream is None:
        raise KeyError(name)
    with stream:
        return json.load(stream)
