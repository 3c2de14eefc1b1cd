"""The seam ``documents.double_sided.CollatePlugin.run``: scans whose halves come one by one.

paperless-ngx keeps the first half in the scratch folder of a worker, and puts the whole scan into
the consume folder of that host (``documents/double_sided.py``). Here the first half is a row with
its staged file (``halves``): the worker of the second half takes it, puts both together by
paperless-ngx's own plugin, and publishes the whole scan as a task of its own, which waits until
this one has ended. A worker that dies in between leaves both halves as they were.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

from paperfleet.paperless import points
from paperfleet.paperless.delivery import current, halves, papertasks, restoring, staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODULE = "documents.double_sided"
_COLLATED = "*-collated.pdf"
_CONSUMER = "documents.management.commands.document_consumer"


def run(original: Callable[..., Any]) -> Callable[..., Any]:
    """Give this plugin the first half, if there is one, and publish what it has put together."""

    @functools.wraps(original)
    def collate(self: Any) -> Any:  # noqa: ANN401  # the plugin's
        attempt = current.attempt()
        if attempt is None:
            return original(self)
        with current.own_rows():
            attempt.until_end.enter_context(halves.one_at_a_time())
            attempt.half = halves.take(attempt.claim)
        module = importlib.import_module(MODULE)
        kept = Path(settings.SCRATCH_DIR) / _own_name(attempt)
        with _named(module, kept.name):
            try:
                return _collated(self, original, attempt, kept, module)
            finally:
                attempt.is_half = attempt.half is None and kept.exists()
                kept.unlink(missing_ok=True)

    return collate


def _own_name(attempt: current.Attempt) -> str:
    """Return a name that no other task of this host has in the scratch folder."""
    return f"double-sided-{attempt.claim.task_id}-{attempt.claim.attempt}.pdf"


@contextmanager
def _named(module: Any, name: str) -> Iterator[None]:  # noqa: ANN401  # of paperless-ngx
    """Within this block paperless-ngx keeps a first half under this name."""
    before, module.STAGING_FILE_NAME = module.STAGING_FILE_NAME, name
    try:
        yield
    finally:
        module.STAGING_FILE_NAME = before


def _collated(
    plugin: Any,  # noqa: ANN401  # of paperless-ngx
    original: Callable[..., Any],
    attempt: current.Attempt,
    kept: Path,
    module: Any,  # noqa: ANN401  # of paperless-ngx
) -> Any:  # noqa: ANN401  # the plugin's
    if attempt.half is None:
        return original(plugin)
    _bring(attempt.half, kept, plugin.input_doc.original_file, module)
    points.passed("half.taken")
    folder = _target(plugin.input_doc.original_file)
    before = _scans(folder)
    try:
        return original(plugin)
    except module.StopConsumeTaskError:  # it tells its user of success by that
        for path, _ in sorted(_scans(folder) - before):
            _publish(plugin, path)
        points.passed("half.collated")
        raise
    finally:
        for path, _ in _scans(folder) - before:  # a part of one, after an error
            path.unlink()


def _bring(half: halves.Half, kept: Path, mine: Path, module: Any) -> None:  # noqa: ANN401  # of paperless-ngx
    """Restore a first half where the plugin looks for it.

    Workers may come to the halves in the wrong order: then this one's file is the first.
    """
    kept.unlink(missing_ok=True)
    staging.save_as(half.files[0], kept)
    if _is_tiff(kept):
        with tempfile.TemporaryDirectory(dir=settings.SCRATCH_DIR) as folder:
            image = kept.rename(Path(folder) / "half.tiff")
            made = module.convert_from_tiff_to_pdf(image, Path(folder))
            shutil.move(made, kept)
    elif half.came_later and not _is_tiff(mine):
        other = kept.with_suffix(".other")
        kept.rename(other)
        shutil.move(mine, kept)
        shutil.move(other, mine)
    os.utime(kept)  # paperless-ngx takes no old one


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4) in {b"II*\0", b"MM\0*"}


def _target(half: Path) -> Path:
    """Return the folder that a whole scan is put into."""
    name = settings.CONSUMER_COLLATE_DOUBLE_SIDED_SUBDIR_NAME
    return Path(*(part for part in half.parts if part != name)).parent


def _scans(folder: Path) -> set[tuple[Path, int]]:
    """Return the whole scans in a folder, and when they were written."""
    return {(path, path.stat().st_mtime_ns) for path in folder.glob(_COLLATED)}


def _publish(plugin: Any, path: Path) -> None:  # noqa: ANN401  # of paperless-ngx
    tasks = importlib.import_module("documents.tasks")
    place = restoring.origin(path)
    given = dataclasses.replace(plugin.input_doc, original_file=path)
    overrides = type(plugin.metadata)()
    below = place.is_relative_to(Path(settings.CONSUMPTION_DIR))
    if below and getattr(settings, "CONSUMER_SUBDIRS_AS_TAGS", False):
        overrides.tag_ids = _tags(place)
    if papertasks.reads_keywords():
        tasks.consume_file.apply_async(kwargs={"input_doc": given, "overrides": overrides})
    else:
        tasks.consume_file.apply_async(args=(given, overrides))


def _tags(path: Path) -> Any:  # noqa: ANN401  # numbers of tags
    """Return the tags that the consumer gives a file of this folder."""
    tags_from_path = importlib.import_module(_CONSUMER)._tags_from_path  # noqa: SLF001  # it has no other name
    known = (path, Path(settings.CONSUMPTION_DIR))
    return tags_from_path(*known[: len(inspect.signature(tags_from_path).parameters)])
