"""Everything below a folder of another storage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from paperfleet.errors import StorageError
from paperfleet.model import FileStat, FolderListing
from paperfleet.storage.names import check_name, check_prefix
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from paperfleet.model import (
        BatchFile,
        BegunMove,
        BegunSave,
        FolderStat,
        Obstacle,
        Precondition,
        Upload,
    )
    from paperfleet.storage.protocol import DocumentStorage


class Prefixed(Wrapper):
    """The folder ``folder`` of ``inner`` as a storage of its own.

    The folder itself is made with the first file in it; until then ``folder_etag`` and
    ``list_folder`` of the root raise ``NotFoundError``. ``sweep`` sweeps all of ``inner``.
    """

    def __init__(self, inner: DocumentStorage, folder: str) -> None:
        super().__init__(inner)
        self._folder = check_name(folder.removesuffix("/"), operation="prefix")
        self._depth = self._folder.count("/") + 1

    @property
    def folder(self) -> str:
        """The folder of the inner storage, without a closing slash."""
        return self._folder

    @property
    def label(self) -> str:
        """The inner storage's name for people, and the folder."""
        return f"{super().label.rstrip('/')}/{self._folder}"

    def open(self, name: str) -> IO[bytes]:
        """See ``DocumentStorage``."""
        with self._named(name, "open") as inner_name:
            return self._inner.open(inner_name)

    def save(self, name: str, content: IO[bytes]) -> str:
        """See ``DocumentStorage``."""
        with self._named(name, "save") as inner_name:
            return self._up(self._inner.save(inner_name, content))

    def delete(self, name: str) -> None:
        """See ``DocumentStorage``."""
        with self._named(name, "delete") as inner_name:
            self._inner.delete(inner_name)

    def exists(self, name: str) -> bool:
        """See ``DocumentStorage``."""
        with self._named(name, "exists") as inner_name:
            return self._inner.exists(inner_name)

    def move(self, old_name: str, new_name: str) -> None:
        """See ``DocumentStorage``."""
        with self._named(old_name, "move") as old, self._named(new_name, "move") as new:
            self._inner.move(old, new)

    def list_files(self, prefix: str = "") -> Iterator[str]:
        """See ``DocumentStorage``."""
        return self._names_below(self._below(prefix))

    def _names_below(self, folder: str) -> Iterator[str]:
        with self._renamed_errors():
            for name in self._inner.list_files(folder):
                yield self._up(name)

    def size(self, name: str) -> int:
        """See ``DocumentStorage``."""
        with self._named(name, "size") as inner_name:
            return self._inner.size(inner_name)

    def stat(self, name: str) -> FileStat:
        """See ``SupportsStat``."""
        with self._named(name, "stat") as inner_name:
            return self._up_stat(self._inner.stat(inner_name))

    def list_stats(self, prefix: str = "") -> Iterator[FileStat]:
        """See ``SupportsListStats``."""
        return self._stats_below(self._below(prefix))

    def _stats_below(self, folder: str) -> Iterator[FileStat]:
        with self._renamed_errors():
            for item in self._inner.list_stats(folder):
                yield self._up_stat(item)

    def survey(self, prefix: str = "") -> Iterator[FileStat | Obstacle]:
        """See ``SupportsSurvey``."""
        return self._survey_below(self._below(prefix))

    def _survey_below(self, folder: str) -> Iterator[FileStat | Obstacle]:
        with self._renamed_errors():
            for item in self._inner.survey(folder):
                yield item._replace(name=self._up(item.name))

    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        """See ``SupportsSaveWith``."""
        with self._named(name, "save") as inner_name:
            return self._up_stat(self._inner.save_with(inner_name, upload, expect))

    def begin_save(self, name: str, upload: Upload, expect: Precondition) -> FileStat | BegunSave:
        """See ``SupportsSaveInTwo``."""
        with self._named(name, "save") as inner_name:
            begun = self._inner.begin_save(inner_name, upload, expect)
            return begun._replace(name=self._up(begun.name))

    def end_saves(self, begun: Sequence[BegunSave]) -> list[FileStat | StorageError]:
        """See ``SupportsSaveInTwo``."""
        inner = [one._replace(name=self._down(one.name, "save")) for one in begun]
        with self._renamed_errors():
            return [
                self._up_stat(result) if isinstance(result, FileStat) else self._up_error(result)
                for result in self._inner.end_saves(inner)
            ]

    def save_batch(self, files: Sequence[BatchFile]) -> list[FileStat | StorageError]:
        """See ``SupportsSaveBatch``."""
        inner = [file._replace(name=self._down(file.name, "save")) for file in files]
        with self._renamed_errors():
            return [
                self._up_stat(result) if isinstance(result, FileStat) else self._up_error(result)
                for result in self._inner.save_batch(inner)
            ]

    def delete_if(self, name: str, etag: str) -> None:
        """See ``SupportsConditionalDelete``."""
        with self._named(name, "delete") as inner_name:
            self._inner.delete_if(inner_name, etag)

    def move_folder(self, old_name: str, new_name: str, etag: str | None = None) -> None:
        """See ``SupportsMoveFolder``."""
        with self._named(old_name, "move") as old, self._named(new_name, "move") as new:
            self._inner.move_folder(old, new, etag)

    def make_folder(self, name: str) -> None:
        """See ``SupportsFolders``."""
        with self._named(name, "make folder") as inner_name:
            self._inner.make_folder(inner_name)

    def remove_folder(self, name: str) -> bool:
        """See ``SupportsFolders``."""
        with self._named(name, "remove folder") as inner_name:
            return self._inner.remove_folder(inner_name)

    def folder_etag(self, name: str = "") -> str:
        """See ``SupportsFolderEtags``."""
        folder = self._below(name)
        with self._renamed_errors():
            return self._inner.folder_etag(folder)

    def list_folder(self, name: str = "") -> FolderListing:
        """See ``SupportsFolderEtags``."""
        folder = self._below(name)
        with self._renamed_errors():
            listing = self._inner.list_folder(folder)
        return FolderListing(
            listing.etag,
            tuple(self._up_stat(file) for file in listing.files),
            tuple(one._replace(name=self._up(one.name)) for one in listing.folders),
            tuple(one._replace(name=self._up(one.name)) for one in listing.obstacles),
        )

    def list_tree(self, name: str = "") -> Iterator[FileStat | FolderStat | Obstacle]:
        """See ``SupportsFolderEtags``."""
        folder = self._below(name)
        with self._renamed_errors():
            for one in self._inner.list_tree(folder):
                if isinstance(one, FileStat):
                    yield self._up_stat(one)
                else:
                    yield one._replace(name=self._up(one.name))

    def copy(self, old_name: str, new_name: str) -> None:
        """See ``SupportsCopy``."""
        with self._named(old_name, "copy") as old, self._named(new_name, "copy") as new:
            self._inner.copy(old, new)

    def copy_from(self, source: DocumentStorage, old_name: str, new_name: str) -> FileStat:
        """See ``SupportsCopyFrom``."""
        with self._named(new_name, "copy") as new:
            return self._up_stat(self._inner.copy_from(source, old_name, new))

    def presigned_url(self, name: str, expires_in: float = 3600) -> str:
        """See ``SupportsPresign``."""
        with self._named(name, "presign") as inner_name:
            return self._inner.presigned_url(inner_name, expires_in)

    def entry(self, name: str) -> FileStat | bool:
        """See ``SupportsEntry``."""
        with self._named(name, "look") as inner_name:
            found = self._inner.entry(inner_name)
            return self._up_stat(found) if isinstance(found, FileStat) else found

    def begin_move(self, old_name: str, new_name: str) -> BegunMove:
        """See ``SupportsMoveInTwo``."""
        with self._named(old_name, "move") as old, self._named(new_name, "move") as new:
            begun = self._inner.begin_move(old, new)
            return begun._replace(file=self._up_stat(begun.file), new_name=new_name)

    def end_move(self, begun: BegunMove) -> None:
        """See ``SupportsMoveInTwo``."""
        with self._renamed_errors():
            self._inner.end_move(self._down_begun(begun))

    def leave_move(self, begun: BegunMove) -> None:
        """See ``SupportsMoveInTwo``."""
        with self._renamed_errors():
            self._inner.leave_move(self._down_begun(begun))

    def _down_begun(self, begun: BegunMove) -> BegunMove:
        old, new = (self._down(name, "move") for name in (begun.file.name, begun.new_name))
        return begun._replace(file=begun.file._replace(name=old), new_name=new)

    def keeps_versions(self, name: str) -> bool:
        """See ``SupportsVersions``."""
        with self._named(name, "ask") as inner_name:
            return self._inner.keeps_versions(inner_name)

    def name_fault(self, name: str) -> str:
        """See ``SupportsChecks``."""
        with self._named(name, "ask") as inner_name:
            return self._inner.name_fault(inner_name)

    def content_sha256(self, name: str) -> str:
        """See ``SupportsContentHash``."""
        with self._named(name, "hash") as inner_name:
            return self._inner.content_sha256(inner_name)

    def _down(self, name: str, operation: str) -> str:
        return f"{self._folder}/{check_name(name, storage=self.label, operation=operation)}"

    def _below(self, prefix: str) -> str:
        folder = check_prefix(prefix, storage=self.label)
        return f"{self._folder}/{folder}" if folder else self._folder

    def _up(self, inner_name: str) -> str:
        # By segments: the storage may have returned the folder in another Unicode form or case.
        return "/".join(inner_name.split("/")[self._depth :])

    def _up_stat(self, item: FileStat) -> FileStat:
        return item._replace(name=self._up(item.name))

    def _up_error(self, error: StorageError) -> StorageError:
        if error.name.startswith(self._folder):
            error.name = self._up(error.name)
        return error

    @contextmanager
    def _named(self, name: str, operation: str) -> Iterator[str]:
        inner_name = self._down(name, operation)
        with self._renamed_errors():
            yield inner_name

    @contextmanager
    def _renamed_errors(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._up_error(error)
            raise
