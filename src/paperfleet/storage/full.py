"""Every storage with every method: its own where it claims it, else by the nine."""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING, cast

from paperfleet.errors import (
    AlreadyExistsError,
    FileAccessError,
    IntegrityError,
    NotFoundError,
    PreconditionFailedError,
    StorageError,
    is_refusal,
)
from paperfleet.model import FileStat, Obstacle
from paperfleet.storage.hashing import HashingReader, sha256_in
from paperfleet.storage.names import parents
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from paperfleet.diagnosis import Check
    from paperfleet.model import BegunSave, Precondition, Upload
    from paperfleet.storage.protocol import DocumentStorage

LAST_REQUESTS_SECONDS = 3.0
"""Seconds that requests under way have when a program is told to stop (``end_requests``)."""


def full(storage: DocumentStorage) -> FullStorage:
    """Return a storage with every method; one that is full is returned as it is."""
    return storage if isinstance(storage, FullStorage) else FullStorage(storage)


class FullStorage(Wrapper):
    """A storage with every optional method: by its own one where it claims it, else by the nine.

    What it claims is asked at each call, as it may change after a trial. Some methods cannot be
    told by the nine, and may be called only where ``capabilities`` claims them: ``save_batch``,
    ``delete_if``, ``move_folder``, ``copy``, ``copy_from``, ``presigned_url``, those of
    ``SupportsFolderEtags`` and of ``SupportsMoveInTwo``.
    """

    def stat(self, name: str) -> FileStat:
        """See ``SupportsStat``."""
        if self.capabilities.stat:
            return self._inner.stat(name)
        return FileStat(name, self.size(name))

    def find(self, name: str) -> FileStat | None:
        """Return what is known of one file, None when there is none."""
        try:
            return self.stat(name)
        except NotFoundError:
            return None

    def entry(self, name: str) -> FileStat | bool:
        """See ``SupportsEntry``."""
        if self.capabilities.entry:
            return self._inner.entry(name)
        return self.find(name) or next(iter(self.list_files(name)), None) is not None

    def require_readable_above(self, name: str) -> None:
        """Raise ``FileAccessError`` when what was said to be absent lies where none may list.

        A Nextcloud answers 404 to every name below a folder that it cannot read (seen with 34.0.1).
        So the nearest folder that is there is listed; elsewhere such an answer is believed.
        """
        if not self.capabilities.folder_etags:
            return
        for folder in reversed(parents(name)):
            try:
                self.list_folder(folder)
            except NotFoundError:
                continue
            except StorageError as error:
                if not is_refusal(error):
                    raise
                raise unreadable(self.label, name, folder, error.reason) from error
            return

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``; one that goes away meanwhile is left out."""
        if self.capabilities.list_stats:
            yield from self._inner.list_stats(prefix)
            return
        for name in self.list_files(prefix):
            try:
                size = self.size(name)
            except NotFoundError:
                continue  # it went away since it was listed
            yield FileStat(name, size)

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``; what the nine methods tell has no obstacles."""
        if self.capabilities.survey:
            yield from self._inner.survey(prefix)
            return
        if prefix and (alone := self.find(prefix)):
            yield alone
        yield from self.list_stats(prefix)

    def whole_survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """Yield as ``survey``; raise what a server answered where it refuses to list one folder."""
        for item in self.survey(prefix):
            if isinstance(item, Obstacle) and item.refusal is not None:
                raise item.refusal
            yield item

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveWith``.

        With the nine methods alone the condition is looked up before, so a writer in between is not
        noticed, and the hash of what was sent is compared afterwards.
        """
        if self.capabilities.save_with:
            return self._inner.save_with(name, upload, expect)
        if expect.exists is False and self.exists(name):
            raise AlreadyExistsError(
                "the name is taken", operation="save", name=name, storage=self.label
            )
        with upload.open() as content:
            reader = HashingReader(content)
            used = self.save(name, cast("IO[bytes]", reader))
        if upload.sha256 is not None and reader.sha256 != upload.sha256:
            raise IntegrityError(
                "the content changed while it was read",
                operation="save",
                name=name,
                storage=self.label,
            )
        return self.stat(used)

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | BegunSave:
        """See ``SupportsSaveInTwo``; elsewhere it has been looked at when this returns."""
        if self.capabilities.save_in_two:
            return self._inner.begin_save(name, upload, expect)
        return self.save_with(name, upload, expect)

    def delete_unchanged(
        self, name: str, etag: str | None, is_same: Callable[[FileStat], bool]
    ) -> None:
        """Delete a file that is still the one of before; else raise ``PreconditionFailedError``.

        By its etag where the storage can do so. Elsewhere ``is_same`` is asked right before, so a
        writer in between is not noticed. Raises ``NotFoundError`` when nothing is there.
        """
        if self.capabilities.conditional_delete and etag is not None:
            self.delete_if(name, etag)
            return
        if not is_same(self.stat(name)):
            raise PreconditionFailedError(
                "somebody changed it since", operation="delete", name=name, storage=self.label
            )
        self.delete(name)

    def move_unchanged(
        self, old_name: str, new_name: str, is_same: Callable[[FileStat], bool]
    ) -> None:
        """Rename a file that is still the one of before; else raise ``PreconditionFailedError``.

        Where a look can begin a move, what was looked at is what is moved. Elsewhere ``is_same`` is
        asked right before, so a writer in between is not noticed. Raises what ``move`` raises.
        """
        changed = PreconditionFailedError(
            "somebody changed it since", operation="move", name=old_name, storage=self.label
        )
        if not self.capabilities.move_in_two:
            if not is_same(self.stat(old_name)):
                raise changed
            self.move(old_name, new_name)
            return
        begun = self.begin_move(old_name, new_name)
        try:
            if not is_same(begun.file):
                raise changed
            self.end_move(begun)
        except StorageError:
            with contextlib.suppress(StorageError):
                self.leave_move(begun)
            raise

    def free_bytes(self) -> int | None:
        """See ``SupportsFreeSpace``; None also where the storage cannot tell."""
        return self._inner.free_bytes() if self.capabilities.free_space else None

    def content_sha256(self, name: str) -> str:
        """See ``SupportsContentHash``; elsewhere it is read here."""
        if self.capabilities.content_hash:
            return self._inner.content_sha256(name)
        with self.open(name) as stream:
            return sha256_in(stream)

    def keeps_versions(self, name: str) -> bool:
        """See ``SupportsVersions``; asks only where the capabilities leave it open."""
        told = self.capabilities.keeps_versions
        return self._inner.keeps_versions(name) if told is None else told

    def can_copy_from(self, source: DocumentStorage) -> bool:
        """See ``SupportsCopyFrom``."""
        return self.capabilities.copy_from and self._inner.can_copy_from(_bare(source))

    def copy_from(self, source: DocumentStorage, old_name: str, new_name: str) -> FileStat:
        """See ``SupportsCopyFrom``."""
        return self._inner.copy_from(_bare(source), old_name, new_name)

    def make_folder(self, name: str) -> None:
        """See ``SupportsFolders``; where folders do not exist on their own, nothing is to do."""
        if self.capabilities.folders:
            self._inner.make_folder(name)

    def remove_folder(self, name: str) -> bool:
        """See ``SupportsFolders``; where folders do not exist on their own, it is gone."""
        return not self.capabilities.folders or self._inner.remove_folder(name)

    def sweep(self, older_than: float) -> int:
        """See ``SupportsSweep``; 0 where there is nothing to sweep."""
        return self._inner.sweep(older_than) if self.capabilities.sweep else 0

    def end_requests(self, within: float) -> None:
        """See ``SupportsEndRequests``; nothing where the storage cannot."""
        if self.capabilities.end_requests:
            self._inner.end_requests(within)

    def findings(self) -> Mapping[str, object] | None:
        """See ``SupportsFindings``; None also where the storage cannot tell."""
        return self._inner.findings() if self.capabilities.findings else None

    def adopt_findings(self, kept: object) -> None:
        """See ``SupportsFindings``; nothing where the storage cannot."""
        if self.capabilities.findings:
            self._inner.adopt_findings(kept)

    def checks(self) -> list[Check]:
        """See ``SupportsChecks``; none where the storage has none."""
        return self._inner.checks() if self.capabilities.checks else []

    def name_fault(self, name: str) -> str:
        """See ``SupportsChecks``; '' also where nothing is known."""
        return self._inner.name_fault(name) if self.capabilities.checks else ""


def _bare(storage: DocumentStorage) -> DocumentStorage:
    """Return what a backend may know as one of its own kind."""
    return storage.inner if isinstance(storage, FullStorage) else storage


def unreadable(label: str, name: str, folder: str, reason: str) -> FileAccessError:
    """Return what is wrong with a name at or below something of which nothing can be told."""
    what = "what is under this name" if name == folder else f"the folder {folder!r}"
    return FileAccessError(
        f"{what} cannot be read at the target: {reason}",
        operation="look",
        name=name,
        storage=label,
        hint="Let the account of the mirror read and write it there; then it goes on by itself",
    )
