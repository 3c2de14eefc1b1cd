"""The seam ``documents.double_sided.CollatePlugin.run``: the second half of a double-sided scan.

paperless-ngx puts the whole scan into the consume folder, of the worker's host here, where no
consumer looks (``documents/double_sided.py``). So the worker publishes it. Its task is not held
until this one has ended: the halves are gone by then, and a second attempt could not bring it.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from paperfleet.paperless.delivery import current, papertasks

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = "documents.double_sided"
_COLLATED = "*-collated.pdf"
_CONSUMER = "documents.management.commands.document_consumer"


def run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Publish the scan that this plugin has put together."""

    @functools.wraps(original)
    def collate(self: Any) -> Any:  # noqa: ANN401  # the plugin's
        if current.attempt() is None:
            return original(self)
        folder = _target(self.input_doc.original_file)
        before = _scans(folder)
        try:
            return original(self)
        finally:  # it ends by an exception that stops the task, and tells its user of success
            for path, _ in sorted(_scans(folder) - before):
                _publish(self, path)

    return collate


def _target(half: Path) -> Path:
    """Return the folder that a whole scan is put into."""
    name = settings.CONSUMER_COLLATE_DOUBLE_SIDED_SUBDIR_NAME
    return Path(*(part for part in half.parts if part != name)).parent


def _scans(folder: Path) -> set[tuple[Path, int]]:
    """Return the whole scans in a folder, and when they were written."""
    return {(path, path.stat().st_mtime_ns) for path in folder.glob(_COLLATED)}


def _publish(plugin: Any, path: Path) -> None:  # noqa: ANN401  # of paperless-ngx
    tasks = importlib.import_module("documents.tasks")
    given = dataclasses.replace(plugin.input_doc, original_file=path)
    overrides = type(plugin.metadata)()
    below = path.is_relative_to(Path(settings.CONSUMPTION_DIR))
    if below and getattr(settings, "CONSUMER_SUBDIRS_AS_TAGS", False):
        overrides.tag_ids = _tags(path)
    with current.released_at_once():
        if papertasks.reads_keywords():
            tasks.consume_file.apply_async(kwargs={"input_doc": given, "overrides": overrides})
        else:
            tasks.consume_file.apply_async(args=(given, overrides))


def _tags(path: Path) -> Any:  # noqa: ANN401  # numbers of tags
    """Return the tags that the consumer gives a file of this folder."""
    tags_from_path = importlib.import_module(_CONSUMER)._tags_from_path  # noqa: SLF001  # it has no other name
    known = (path, Path(settings.CONSUMPTION_DIR))
    return tags_from_path(*known[: len(inspect.signature(tags_from_path).parameters)])
