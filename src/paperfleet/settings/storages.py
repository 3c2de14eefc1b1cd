"""Open the storages that a command names, with options from the environment."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError
from paperfleet.private import shared_text
from paperfleet.settings.table import FILE
from paperfleet.storage.apartness import require_local_apart
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.registry import accepted_options, open_storage, refuse_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paperfleet.storage.protocol import DocumentStorage

_log = logging.getLogger(__name__)


def storage_of(
    spec: str, variable: str, environ: Mapping[str, str], *, is_there: bool = False
) -> DocumentStorage:
    """Open the storage ``spec`` with the options in ``variable``, or in the file of ``…_FILE``.

    Options are a JSON object, such as ``{"access_key": "…", "secret_key": "…"}``: secrets stay off
    the command line. ``is_there``: a folder that is missing is an error when it is entered, and not
    made. Raises ``ConfigurationError``.
    """
    refuse_secret(spec, hint=f"Take it out, and set {variable} or {variable}{FILE}")
    options = options_of(variable, environ)
    if is_there and "create" in accepted_options(spec):
        options = {"create": False} | options
    try:
        return open_storage(spec, options)
    except ConfigurationError as error:
        if any(repr(name) in error.message for name in options):
            raise ConfigurationError(f"{variable}: {error.message}", hint=error.hint) from None
        raise


def for_looking(storage: DocumentStorage) -> DocumentStorage:
    """Return what a dry run may look at: a local folder that is missing is empty, and not made."""
    if not isinstance(storage, LocalBackend) or storage.root.exists():
        return storage
    empty = MemoryBackend()
    empty.label = storage.label
    return empty


def options_of(variable: str, environ: Mapping[str, str]) -> dict[str, object]:
    """Return the options in a variable or its file; {} for neither. Never shows their values.

    Both may be set and say the same: the image of paperless-ngx puts the content of each ``…_FILE``
    into the variable too (``docker/rootfs/etc/s6-overlay/s6-rc.d/init-env-file/run``).
    """
    text, where = environ.get(variable, ""), variable
    path = environ.get(variable + FILE, "")
    if text and path and text.strip() != _content(path, variable + FILE).strip():
        raise ConfigurationError(
            f"{variable} and {variable}_FILE are both set, and differ", hint="Keep one"
        )
    if path:
        text, where = _content(path, variable + FILE), f"{variable}_FILE"
    if not text:
        return {}
    try:
        options = json.loads(text)
    except ValueError:
        options = None  # the text may hold a secret, and so would the error
    if not isinstance(options, dict):
        raise ConfigurationError(
            f"{where} is not a JSON object",
            hint='Such as {"access_key": "…", "secret_key": "…"}',
        )
    return options


def _content(path: str, variable: str) -> str:
    if shared := shared_text(Path(path)):
        _log.warning("%s: %s", variable, shared)
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{variable}: {path} cannot be read: {reason}") from None


def check_apart(source: DocumentStorage, target: DocumentStorage) -> None:
    """Raise ``ConfigurationError`` when one of two storages lies in the other, as far as is known.

    Addresses are compared, and local folders by device and inode; nothing is sent. What else can be
    found out by writing is in ``storage.apartness``.
    """
    label, other = getattr(source, "label", ""), getattr(target, "label", "")
    if label and (is_at_or_below(label, other) or is_at_or_below(other, label)):
        raise ConfigurationError(
            f"source {label} and target {other} lie in one another",
            hint="Choose a target outside the source",
        )
    require_local_apart(source, target)


def is_at_or_below(label: str, above: str) -> bool:
    """Say whether one storage is another one, or a folder of it, by their labels alone."""
    path, _, endpoint = label.partition(" at ")
    folder, _, other = above.partition(" at ")
    below = path.rstrip("/") + "/"
    return endpoint == other and below.startswith(folder.rstrip("/") + "/")
