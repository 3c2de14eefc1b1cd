"""Saving a batch: by the endpoint for many files what it takes, one by one what is left."""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

from paperfleet.errors import NotFoundError, Scope, StorageError, UnavailableError
from paperfleet.model import ANYTHING, FileStat, Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paperfleet.model import BatchFile, Precondition
    from paperfleet.storage.nextcloud.bulk import Bulk, BulkOutcome

Result = FileStat | StorageError


def save_batch(
    bulk: Bulk,
    files: Sequence[BatchFile],
    *,
    check: Callable[[str, str], str],
    has_folder: Callable[[str], bool],
    save: Callable[[str, Upload, Precondition], FileStat],
) -> list[Result]:
    """Return one result for each file, in their order.

    ``check`` returns the name to use or raises; ``save`` stores a single file; ``has_folder`` says
    whether a folder is there, as a batch makes none.
    """
    results: dict[int, Result] = {}
    sendable: dict[int, BatchFile] = {}
    for index, file in enumerate(files):
        try:
            sendable[index] = file._replace(name=check(file.name, "save"))
        except StorageError as error:
            results[index] = error
    results |= _by_bulk(bulk, {i: f for i, f in sendable.items() if bulk.takes(f.name)})
    single = {i: f for i, f in sendable.items() if i not in results}
    results |= _one_by_one(single, _Saver(save, has_folder))
    return [results[index] for index in range(len(files))]


def _by_bulk(bulk: Bulk, files: dict[int, BatchFile]) -> dict[int, Result]:
    """Return the results that are final: stored, or unknown."""
    if not files or not bulk.ready():
        return {}
    outcomes = bulk.send(list(files.values()))
    if outcomes is None:
        return {}
    told = zip(files.items(), outcomes, strict=True)
    results = {index: _result(file, outcome) for (index, file), outcome in told}
    return {index: result for index, result in results.items() if result is not None}


def _result(file: BatchFile, outcome: BulkOutcome) -> Result | None:
    if outcome.unknown:
        return UnavailableError(
            f"the outcome is unknown: {outcome.message}", operation="save", name=file.name
        )
    return outcome.stat


def _one_by_one(
    files: dict[int, BatchFile], save: Callable[[BatchFile], FileStat]
) -> dict[int, Result]:
    """Save files singly; after an error of the whole storage the rest get the same one."""
    results: dict[int, Result] = {}
    stopped: StorageError | None = None
    for index, file in files.items():
        if stopped is not None:
            results[index] = stopped
            continue
        try:
            results[index] = save(file)
        except StorageError as error:
            results[index] = error
            stopped = error if error.scope is Scope.STORAGE else None
    return results


class _Saver:
    """Saves single files whose folder is there."""

    def __init__(
        self,
        save: Callable[[str, Upload, Precondition], FileStat],
        has_folder: Callable[[str], bool],
    ) -> None:
        self._save = save
        self._has_folder = functools.cache(has_folder)

    def __call__(self, file: BatchFile) -> FileStat:
        folder = file.name.rpartition("/")[0]
        if folder and not self._has_folder(folder):
            raise NotFoundError("its folder is missing", operation="save", name=file.name)
        content = file.content
        return self._save(
            file.name, Upload(lambda: io.BytesIO(content), len(content), file.modified_ns), ANYTHING
        )
