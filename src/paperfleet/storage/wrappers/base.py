"""A storage around a storage, which forwards everything."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol, Self, TypeVar, cast

from paperfleet.model import NINE_METHODS
from paperfleet.storage import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from paperfleet.diagnosis import Check
    from paperfleet.errors import StorageError
    from paperfleet.model import (
        BatchFile,
        BegunMove,
        BegunSave,
        Capabilities,
        FileStat,
        FolderListing,
        FolderStat,
        Obstacle,
        Precondition,
        Upload,
    )
    from paperfleet.storage.protocol import DocumentStorage

_T = TypeVar("_T")


class EveryAbility(
    protocol.DocumentStorage,
    protocol.SupportsStat,
    protocol.SupportsListStats,
    protocol.SupportsSurvey,
    protocol.SupportsSaveWith,
    protocol.SupportsSaveBatch,
    protocol.SupportsSaveInTwo,
    protocol.SupportsConditionalDelete,
    protocol.SupportsMoveFolder,
    protocol.SupportsFolders,
    protocol.SupportsFolderEtags,
    protocol.SupportsVersions,
    protocol.SupportsContentHash,
    protocol.SupportsFreeSpace,
    protocol.SupportsSweep,
    protocol.SupportsCopy,
    protocol.SupportsCopyFrom,
    protocol.SupportsPresign,
    protocol.SupportsEntry,
    protocol.SupportsMoveInTwo,
    protocol.SupportsEndRequests,
    protocol.SupportsFindings,
    protocol.SupportsChecks,
    Protocol,
):
    """A storage that has every method; which of them may be called, its capabilities say."""


class Wrapper:
    """Forwards every operation to ``inner`` and claims what that one claims.

    A subclass overrides the operations that it changes, or ``_around``, through which all pass.
    """

    def __init__(self, inner: DocumentStorage) -> None:
        self.inner = inner
        self._inner = cast("EveryAbility", inner)

    def _around(self, operation: str, names: tuple[str, ...], work: Callable[[], _T]) -> _T:  # noqa: ARG002 (for subclasses)
        """Do the work of an operation of this name on these files or folders."""
        return work()

    @property
    def capabilities(self) -> Capabilities:
        """What the inner storage can do; one that says nothing has the nine methods alone."""
        return cast("Capabilities", getattr(self.inner, "capabilities", NINE_METHODS))

    @property
    def label(self) -> str:
        """The inner storage's name for people; without one the name of its class."""
        return str(getattr(self.inner, "label", type(self.inner).__name__))

    def __enter__(self) -> Self:
        """Enter the inner storage."""
        self._around("enter", (), self._inner.__enter__)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        """Leave the inner storage."""
        self._around("exit", (), lambda: self._inner.__exit__(exc_type, exc_val, exc_tb))

    def open(self, name: str) -> IO[bytes]:
        """See ``DocumentStorage``."""
        return self._around("open", (name,), lambda: self._inner.open(name))

    def save(self, name: str, content: IO[bytes]) -> str:
        """See ``DocumentStorage``."""
        return self._around("save", (name,), lambda: self._inner.save(name, content))

    def delete(self, name: str) -> None:
        """See ``DocumentStorage``."""
        self._around("delete", (name,), lambda: self._inner.delete(name))

    def exists(self, name: str) -> bool:
        """See ``DocumentStorage``."""
        return self._around("exists", (name,), lambda: self._inner.exists(name))

    def move(self, old_name: str, new_name: str) -> None:
        """See ``DocumentStorage``."""
        self._around("move", (old_name, new_name), lambda: self._inner.move(old_name, new_name))

    def list_files(self, prefix: str = "") -> Iterable[str]:
        """See ``DocumentStorage``."""
        return self._around("list_files", (prefix,), lambda: self._inner.list_files(prefix))

    def size(self, name: str) -> int:
        """See ``DocumentStorage``."""
        return self._around("size", (name,), lambda: self._inner.size(name))

    def stat(self, name: str) -> FileStat:
        """See ``SupportsStat``."""
        return self._around("stat", (name,), lambda: self._inner.stat(name))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``."""
        return self._around("list_stats", (prefix,), lambda: self._inner.list_stats(prefix))

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``."""
        return self._around("survey", (prefix,), lambda: self._inner.survey(prefix))

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveWith``."""
        return self._around(
            "save_with", (name,), lambda: self._inner.save_with(name, upload, expect)
        )

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | BegunSave:
        """See ``SupportsSaveInTwo``."""
        return self._around(
            "begin_save", (name,), lambda: self._inner.begin_save(name, upload, expect)
        )

    def end_saves(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        """See ``SupportsSaveInTwo``."""
        names = tuple(one.name for one in begun)
        return self._around("end_saves", names, lambda: self._inner.end_saves(begun))

    def save_batch(self, files: Sequence[BatchFile]) -> list[FileStat | StorageError]:
        """See ``SupportsSaveBatch``."""
        names = tuple(file.name for file in files)
        return self._around("save_batch", names, lambda: self._inner.save_batch(files))

    def delete_if(self, name: str, etag: str) -> None:
        """See ``SupportsConditionalDelete``."""
        self._around("delete_if", (name,), lambda: self._inner.delete_if(name, etag))

    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """See ``SupportsMoveFolder``."""
        self._around(
            "move_folder",
            (old_name, new_name),
            lambda: self._inner.move_folder(old_name, new_name, etag),
        )

    def make_folder(self, name: str) -> None:
        """See ``SupportsFolders``."""
        self._around("make_folder", (name,), lambda: self._inner.make_folder(name))

    def remove_folder(self, name: str) -> bool:
        """See ``SupportsFolders``."""
        return self._around("remove_folder", (name,), lambda: self._inner.remove_folder(name))

    def folder_etag(self, name: str = "") -> str:
        """See ``SupportsFolderEtags``."""
        return self._around("folder_etag", (name,), lambda: self._inner.folder_etag(name))

    def list_folder(self, name: str = "") -> FolderListing:
        """See ``SupportsFolderEtags``."""
        return self._around("list_folder", (name,), lambda: self._inner.list_folder(name))

    def list_tree(self, name: str = "") -> Iterator[FileStat | FolderStat | Obstacle]:
        """See ``SupportsFolderEtags``."""
        return self._around("list_tree", (name,), lambda: self._inner.list_tree(name))

    def keeps_versions(self, name: str) -> bool:
        """See ``SupportsVersions``."""
        return self._around("keeps_versions", (name,), lambda: self._inner.keeps_versions(name))

    def content_sha256(self, name: str) -> str:
        """See ``SupportsContentHash``."""
        return self._around("content_sha256", (name,), lambda: self._inner.content_sha256(name))

    def free_bytes(self) -> int | None:
        """See ``SupportsFreeSpace``."""
        return self._around("free_bytes", (), self._inner.free_bytes)

    def copy(self, old_name: str, new_name: str) -> None:
        """See ``SupportsCopy``."""
        self._around("copy", (old_name, new_name), lambda: self._inner.copy(old_name, new_name))

    def can_copy_from(self, source: DocumentStorage) -> bool:
        """See ``SupportsCopyFrom``; sends nothing."""
        return self._inner.can_copy_from(source)

    def copy_from(self, source: DocumentStorage, old_name: str, new_name: str) -> FileStat:
        """See ``SupportsCopyFrom``."""
        return self._around(
            "copy_from",
            (old_name, new_name),
            lambda: self._inner.copy_from(source, old_name, new_name),
        )

    def presigned_url(self, name: str, expires_in: float = 3600) -> str:
        """See ``SupportsPresign``."""
        return self._around(
            "presigned_url", (name,), lambda: self._inner.presigned_url(name, expires_in)
        )

    def entry(self, name: str) -> FileStat | bool:
        """See ``SupportsEntry``."""
        return self._around("entry", (name,), lambda: self._inner.entry(name))

    def begin_move(self, old_name: str, new_name: str) -> BegunMove:
        """See ``SupportsMoveInTwo``."""
        names = (old_name, new_name)
        return self._around("begin_move", names, lambda: self._inner.begin_move(*names))

    def end_move(self, begun: BegunMove) -> None:
        """See ``SupportsMoveInTwo``; it passes as a ``move``."""
        names = (begun.file.name, begun.new_name)
        self._around("move", names, lambda: self._inner.end_move(begun))

    def leave_move(self, begun: BegunMove) -> None:
        """See ``SupportsMoveInTwo``."""
        names = (begun.file.name, begun.new_name)
        self._around("leave_move", names, lambda: self._inner.leave_move(begun))

    def sweep(self, older_than: float) -> int:
        """See ``SupportsSweep``."""
        return self._around("sweep", (), lambda: self._inner.sweep(older_than))

    def end_requests(self, within: float) -> None:
        """See ``SupportsEndRequests``; past ``_around``, as a signal handler may call it."""
        self._inner.end_requests(within)

    def findings(self) -> Mapping[str, object] | None:
        """See ``SupportsFindings``; past ``_around``, as nothing is asked."""
        return self._inner.findings()

    def adopt_findings(self, kept: object) -> None:
        """See ``SupportsFindings``."""
        self._inner.adopt_findings(kept)

    def checks(self) -> list[Check]:
        """See ``SupportsChecks``; what they ask goes past ``_around``."""
        return self._inner.checks()

    def name_fault(self, name: str) -> str:
        """See ``SupportsChecks``."""
        return self._inner.name_fault(name)
