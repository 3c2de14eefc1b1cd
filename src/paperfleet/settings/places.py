"""Where the journal is."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError, JournalError
from paperfleet.journal.journal import Journal
from paperfleet.storage.names import readable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.settings.config import Reading

SUFFIX = ".sqlite"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for journals, as the XDG base directory specification has it."""
    configured = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(configured):  # the specification: others are to be ignored  # noqa: PTH117
        return Path(configured) / "paperfleet"
    home = environ.get("HOME") or _home()
    return Path(home) / ".local" / "state" / "paperfleet"


def default_journal(source: str, target: str, environ: Mapping[str, str]) -> Path:
    """Return the journal of this pair; two pairs never share one."""
    pair = f"{_absolute(source)}\n{_absolute(target)}"
    digest = hashlib.sha256(pair.encode("utf-8", "surrogateescape")).hexdigest()
    return state_folder(environ) / (digest[:12] + SUFFIX)


def journal_of(reading: Reading, environ: Mapping[str, str]) -> Path:
    """Return the journal that is meant: the named one, the pair's, or the only one there is."""
    if journal := reading.get("journal"):
        return Path(str(journal))
    source, target = reading.get("source"), reading.get("target")
    if source and target:
        return default_journal(str(source), str(target), environ)
    return _only_journal(environ)


def _only_journal(environ: Mapping[str, str]) -> Path:
    folder = state_folder(environ)
    found = sorted(folder.glob("*" + SUFFIX)) if folder.is_dir() else []
    if len(found) == 1:
        return found[0]
    if found:
        listed = "".join(f"\n  {_pair(path)}: --journal {path}" for path in found)
        raise ConfigurationError(
            "there are several mirrors here", hint=f"Say which, or give SOURCE and TARGET{listed}"
        )
    raise ConfigurationError(
        f"no mirror has run here: there is no journal in {folder}",
        hint="Give --journal, or SOURCE and TARGET, or run paperfleet mirror first",
    )


def _pair(path: Path) -> str:
    try:
        with Journal.read(path) as view:
            return readable(" -> ".join(view.pair()))
    except JournalError as error:
        return error.message


def _absolute(place: str) -> str:
    if place.startswith("file://"):
        place = place.removeprefix("file://")
    return place.rstrip("/") if "://" in place else os.path.abspath(place)  # noqa: PTH100  # no I/O


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise ConfigurationError(
            "there is no home folder to keep the journal in",
            hint="Set PAPERFLEET_JOURNAL to a file on a local disk",
        ) from None
