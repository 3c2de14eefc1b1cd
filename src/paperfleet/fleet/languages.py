"""The languages that OCR is asked for, against what is installed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from paperfleet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "PAPERLESS_OCR_LANGUAGES"
_SECONDS = 30.0


def require_languages(environ: Mapping[str, str]) -> None:
    """Raise ``ConfigurationError`` for a language that Tesseract has not.

    The words are the ends of Debian's package names, such as ``chi-sim``. paperless-ngx's image
    installs them when it starts, which needs root and a network (``init-tesseract-langs/run``).
    """
    wanted = environ.get(VARIABLE, "").split()
    if not wanted:
        return
    installed = _installed(environ)
    # Packages of scripts have other names than their files, so nobody can compare them.
    languages = [word for word in wanted if not word.startswith("script-")]
    missing = [word for word in languages if _plain(word) not in installed]
    if missing:
        packages = " ".join(f"tesseract-ocr-{word}" for word in missing)
        raise ConfigurationError(
            f"{VARIABLE} asks for {' '.join(missing)}, which is not installed",
            hint=f"Nothing is installed at a start: build an image with the packages {packages}",
        )


def _installed(environ: Mapping[str, str]) -> frozenset[str]:
    try:
        answer = subprocess.run(
            ["tesseract", "--list-langs"],  # noqa: S607  # the one that OCRmyPDF will find
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError(
            f"{VARIABLE} is set, and Tesseract does not tell its languages: {error}",
            hint="Install tesseract-ocr",
        ) from None
    lines = answer.stdout.splitlines()[1:]  # below a heading
    return frozenset(_plain(line.strip().rpartition("/")[2]) for line in lines)


def _plain(word: str) -> str:
    """Return the one spelling of ``chi-sim`` and ``chi_sim``."""
    return word.lower().replace("-", "_")
