"""``paperfleet backup restore``: into an empty installation of the same version, or a folder."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from paperfleet.backup import place as places
from paperfleet.backup import points
from paperfleet.backup.instance import require_version
from paperfleet.backup.manifest import TREE, tree_name
from paperfleet.backup.place import BackupPlace, alone
from paperfleet.backup.tree import THREADS, digest_of
from paperfleet.errors import BackupError
from paperfleet.running.bar import Bar
from paperfleet.running.words import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from paperfleet.backup.instance import Instance
    from paperfleet.backup.manifest import Manifest
    from paperfleet.backup.repository import Repository
    from paperfleet.backup.snapshots import BackupRow

_SHOWN: Final = 5
_STEP: Final = 1 << 30
"""About how many bytes one call of restic brings: a restore that is cut off brings these again."""
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Restoring:
    """Restores one backup of a repository; every method raises ``BackupError``."""

    repository: Repository
    row: BackupRow

    def lay_out(self, folder: Path, step: int = _STEP) -> Manifest:
        """Bring the whole backup to a folder, and prove every file by its SHA-256.

        What an earlier run has brought and is right stays, and is not fetched again. ``step`` is
        about how many bytes one call of restic brings.
        """
        self.repository.restore(self.row.snapshot, folder, [f"/{places.DATA}"])
        manifest = BackupPlace(folder).manifest()
        files = {file.sha256: file for file in manifest.files if file.sha256}
        lacking = dict.fromkeys(wrong_contents(folder, files))
        size, whole = (sum(files[one].size for one in some) for some in (lacking, files))
        _require_room(folder, size)
        with Bar("fetch", len(files), whole) as bar:
            bar.advance(whole - size, len(files) - len(lacking))
            for part in _parts({sha256: files[sha256].size for sha256 in lacking}, step):
                self._bring(folder, part, bar)
        # restic has written all of a folder again, what was right in it too.
        touched = {_below(sha256) for sha256 in lacking}
        still = wrong_contents(folder, [one for one in files if _below(one) in touched])
        if still:
            shown = [f"{files[one].role}/{files[one].key}" for one in still[:_SHOWN]]
            raise BackupError(
                f"{len(still):,} files of backup {self.row.snapshot[:8]} are not what was backed"
                f" up: {', '.join(shown)}",
                hint="Use another backup, and run paperfleet backup verify --read 100%",
            )
        return manifest

    def into(
        self, instance: Instance, place: BackupPlace, say: Callable[[str], object]
    ) -> Manifest:
        """Fill an empty installation; refuse one that has documents, or another version."""
        place.make()
        with alone(place):
            folder = place.restoring(self.row.snapshot)
            place.clear_restores(folder)
            BackupPlace(folder).make()
            require_version(self.row.paperless, instance.state(folder).version)
            say(f"bringing {self.row.files:,} files from {self.repository.label}")
            manifest = self.lay_out(folder)
            points.passed("restore.laid_out")
            instance.restore(folder)
            points.passed("restore.ended")
            place.clear_restores()
            return manifest

    def _bring(self, folder: Path, part: Mapping[str, int], bar: Bar) -> None:
        """Let restic bring the folders of the tree in which these contents lie."""
        below = sorted({_below(sha256) for sha256 in part})
        for sha256 in part:  # restic before 0.17 writes over it; a link it would follow
            (folder / TREE / tree_name(sha256)).unlink(missing_ok=True)
        for name in below:
            _let_go(folder / TREE / name)
        with _watched(folder, part, bar):
            self.repository.restore(self.row.snapshot, folder, [f"/{TREE}/{one}" for one in below])


def wrong_contents(folder: Path, contents: Iterable[str]) -> list[str]:
    """Return those SHA-256 whose content below ``folder`` is missing or another one."""
    wanted = list(contents)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="prove") as pool:
        found = pool.map(lambda sha256: digest_of(folder / TREE / tree_name(sha256)), wanted)
        return [sha256 for sha256, digest in zip(wanted, found, strict=True) if sha256 != digest]


def _parts(sizes: Mapping[str, int], step: int) -> Iterator[dict[str, int]]:
    """Yield contents by whole folders of the tree, ``step`` bytes or a little more at a time."""
    part: dict[str, int] = {}
    for sha256 in sorted(sizes):
        is_new_folder = part and _below(next(reversed(part))) != _below(sha256)
        if is_new_folder and sum(part.values()) >= step:
            yield part
            part = {}
        part[sha256] = sizes[sha256]
    if part:
        yield part


def _let_go(folder: Path) -> None:
    """Remove from a folder what the installation has under a name of its own by now.

    It is the same file, and restic would write over it.
    """
    if folder.is_dir():
        for path in list(folder.iterdir()):
            if path.lstat().st_nlink > 1:
                path.unlink()


def _below(sha256: str) -> str:
    return tree_name(sha256).partition("/")[0]


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise BackupError(
            f"{folder} has room for {size_text(free)}, and {size_text(size)} are to be restored",
            hint="Make room there, or choose another folder (PAPERFLEET_BACKUP_FOLDER, --to), and"
            " run it again",
        )


@contextmanager
def _watched(folder: Path, part: Mapping[str, int], bar: Bar) -> Iterator[None]:
    """Advance a bar by what appears below a folder, while restic tells nothing."""
    ended, waiting = Event(), dict(part)

    def look() -> None:
        while not ended.wait(_LOOK_SECONDS):
            for sha256 in _there(folder, waiting):
                bar.advance(waiting.pop(sha256))

    thread = Thread(target=look, name="restore-bar", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    bar.advance(sum(waiting.values()), len(waiting))


def _there(folder: Path, sizes: Mapping[str, int]) -> list[str]:
    found = []
    for sha256, size in sizes.items():
        try:
            stat = (folder / TREE / tree_name(sha256)).stat()
        except OSError:
            continue
        if stat.st_size == size:
            found.append(sha256)
    return found
