"""A throw-away installation for a drill: the same paperless-ngx, and nothing of the real one.

Of the environment no variable of paperless-ngx or of ours is taken over, but for those that say
which program and languages it is. Its ``paperless.conf`` is an empty file: settings that stand
there would count otherwise (``paperless/settings``).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from paperfleet.backup.drilling import LOOKED_AT, PREPARED, LookedAt
from paperfleet.backup.instance import InstanceState
from paperfleet.errors import BackupError
from paperfleet.fleet.instance import ManagedInstance, answer_in
from paperfleet.fleet.launcher import APP, require_paperless
from paperfleet.fleet.site import make_folders, site_of
from paperfleet.private import open_text
from paperfleet.settings.environment import TEST_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

_COMMAND: Final = "paperfleet_drill"
_TAKEN_OVER: Final = (
    "PAPERLESS_SRC",
    "PAPERLESS_PYTHON",
    "PAPERLESS_NLTK_DIR",
    "PAPERLESS_OCR_LANGUAGE",
    "PAPERLESS_SEARCH_LANGUAGE",
    "PAPERLESS_TIME_ZONE",
    TEST_PREFIX,
)
_OTHERS: Final = ("PAPERLESS_", "PAPERFLEET_", "RESTIC_")
_NOBODY: Final = "redis://127.0.0.1:9/0"
"""Port 9 is that of the service discard (RFC 863): whoever asks for Redis finds none."""


@dataclass(frozen=True)
class ThrowAway(ManagedInstance):
    """One in a folder, with SQLite and paperless-ngx's own folders.

    Every method raises ``BackupError``.
    """

    folder: Path

    def prepare(self) -> None:
        """Make its tables, having made sure that it is one."""
        self._run("prepare", self.folder, command=_COMMAND)

    def state(self, folder: Path) -> InstanceState:  # noqa: ARG002  # it is known already
        """Return its version; it holds nothing yet."""
        return InstanceState(str(answer_in(self.folder / PREPARED).get("version", "")), 0)

    def look(self, restored: Path, *, seed: int, known: Collection[int]) -> LookedAt:
        """Compare it with the manifest of a place."""
        words = ["--restored", str(restored), "--seed", str(seed)]
        words += [word for number in known for word in ("--known-broken", str(number))]
        self._run("look", self.folder, *words, command=_COMMAND)
        told = answer_in(self.folder / LOOKED_AT)
        try:
            return LookedAt(**told)  # type: ignore[arg-type]  # its own words
        except TypeError:
            raise BackupError(
                f"{LOOKED_AT} of a drill is not one that this version reads"
            ) from None


def throw_away_in(folder: Path, environ: Mapping[str, str]) -> ThrowAway:
    """Return a throw-away installation of the paperless-ngx of an environment.

    ``folder`` is empty. Raises ``ConfigurationError`` where there is no paperless-ngx.
    """
    empty = folder / "paperless.conf"
    open_text(empty, "w").close()
    site = site_of(_environment(folder, environ) | {"PAPERLESS_CONFIGURATION_PATH": str(empty)})
    require_paperless(site)
    make_folders(site)
    return ThrowAway(site, folder)


def _environment(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: text
        for name, text in environ.items()
        if name.startswith(_TAKEN_OVER) or not name.startswith(_OTHERS)
    }
    folders = {
        f"PAPERLESS_{name}": str(folder / name.lower())
        for name in ("DATA_DIR", "MEDIA_ROOT", "CONSUMPTION_DIR", "SCRATCH_DIR", "LOGGING_DIR")
    }
    return {
        **kept,
        **folders,
        "PAPERLESS_APPS": APP,
        "PAPERLESS_DBENGINE": "sqlite",
        "PAPERLESS_SECRET_KEY": secrets.token_urlsafe(32),
        "PAPERLESS_REDIS": _NOBODY,
        "PAPERLESS_CACHE_BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "PAPERLESS_CHANNELS_BACKEND": "channels.layers.InMemoryChannelLayer",
    }
