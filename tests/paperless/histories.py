"""Random histories of an installation with kills in its backups and restores; runs in a child.

    FOLDER FIRST COUNT
    FOLDER each

The second has one history for each named moment, in which the process surely dies there. Each
history is made from its number alone. A backup or a restore is a fork of this process, which
kills itself at a named moment; at others it edits documents first, as somebody else would, and
writes down what there is then. Each restore has to give one of these states.
"""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core import serializers
from django.core.management import load_command_class
from django.db import connections
from documents.consumer import consume
from documents.models import Document
from documents.utils import compute_checksum
from filelock import FileLock

from paperfleet.backup import plain, points, tree
from paperfleet.backup import restoring as laying_out
from paperfleet.backup.instance import InstanceState
from paperfleet.backup.place import BackupPlace
from paperfleet.backup.plain import plain_store
from paperfleet.backup.restoring import Restoring
from paperfleet.backup.snapshots import chosen
from paperfleet.backup.taking import Taking
from paperfleet.paperless.activation import version_of_paperless
from paperfleet.paperless.backup import bringing, collecting, restoring
from paperfleet.paperless.documents import rows
from paperfleet.settings.backup import settings_in
from paperfleet.storage.local.backend import LocalBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


OF_RUN = tuple(name for name in points.POINTS if not name.startswith("restore."))
OF_RESTORE = tuple(name for name in points.POINTS if name.startswith("restore."))
_LONGEST = 6
State = list[Any]


class Inline:
    """A pool whose work is done at once, so that a history is the same each time."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Callable[..., Any], *given: object) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*given))
        except Exception as error:  # noqa: BLE001  # as a pool does
            done.set_exception(error)
        return done

    def map(self, work: Callable[..., Any], given: Iterable[object]) -> Iterator[Any]:
        return map(work, given)


class InThisProcess:
    """The installation of this process, as ``paperfleet backup`` sees it."""

    def state(self, folder: Path) -> InstanceState:  # noqa: ARG002  # nothing is written
        return InstanceState(version_of_paperless(), rows.all_documents().count())

    def collect(self, folder: Path, *, thumbnails: bool) -> Mapping[str, object]:
        found = collecting.collect(
            BackupPlace(folder),
            thumbnails=thumbnails,
            planned=lambda _: None,
            listener=lambda _: None,
        )
        return {"passes": found.passes}

    def restore(self, folder: Path) -> None:
        restoring.restore(BackupPlace(folder), version_of_paperless(), lambda _: None)


@dataclass
class Documents:
    """Edits of documents as people and workers make them; seeded."""

    dice: random.Random
    count: int = 0

    def edit(self, *, locked: bool = False) -> None:
        """Make an edit; ``locked`` says that another holds the media lock."""
        edits = [self.to_trash, self.from_trash]
        if not locked:
            edits += [self.add, self.add, self.rename, self.take_name, self.remove, self.replace]
        self.dice.choice(edits)()

    def add(self) -> None:
        if Document.global_objects.count() >= _LONGEST:
            self.remove()
            return
        folder = Path(tempfile.mkdtemp(dir=settings.SCRATCH_DIR))
        for kind in ("original", "archive", "thumbnail"):
            (folder / kind).write_bytes(self._content(kind))
        archive = folder / "archive" if self.dice.random() < 0.7 else None
        if self.dice.random() < 0.2 and (other := self._any()):
            (folder / "original").write_bytes(Path(other.source_path).read_bytes())
        consume(folder / "original", self._title(), archive=archive, thumbnail=folder / "thumbnail")
        shutil.rmtree(folder)

    def rename(self) -> None:
        if one := self._any():
            one.title = self._title()
            one.save()

    def take_name(self) -> None:
        """Give a document the name that another one has left."""
        one, other = self._any(), self._any()
        if one and other and one.pk != other.pk:
            title = one.title
            one.title = self._title()
            one.save()
            other.title = title
            other.save()

    def replace(self) -> None:
        """Write another original or archive, and a thumbnail, as a new look at a document does."""
        one = self._any()
        if one is None:
            return
        with FileLock(settings.MEDIA_LOCK):
            if one.has_archive_version and self.dice.random() < 0.5:
                one.archive_path.write_bytes(self._content("archive"))
                changed = {"archive_checksum": compute_checksum(one.archive_path)}
            else:
                one.source_path.write_bytes(self._content("original"))
                changed = {"checksum": compute_checksum(one.source_path)}
            one.thumbnail_path.write_bytes(self._content("thumbnail"))
            Document.global_objects.filter(pk=one.pk).update(**changed)

    def overwrite_first(self) -> None:
        """Write another original of the oldest document."""
        one = Document.global_objects.order_by("pk").first()
        if one is None:
            return
        with FileLock(settings.MEDIA_LOCK):
            one.source_path.write_bytes(self._content("original"))
            checksum = compute_checksum(one.source_path)
            Document.global_objects.filter(pk=one.pk).update(checksum=checksum)

    def to_trash(self) -> None:
        if one := self._any():
            one.delete()

    def from_trash(self) -> None:
        Document.global_objects.exclude(deleted_at=None).update(deleted_at=None)

    def remove(self) -> None:
        """Delete a document for good, but for the last: a backup of nothing is refused."""
        one = self._any()
        if one and Document.global_objects.count() > 1:
            one.hard_delete()

    def _any(self) -> Any:  # noqa: ANN401  # a model of the project
        found = list(Document.global_objects.order_by("pk"))
        return self.dice.choice(found) if found else None

    def _title(self) -> str:
        return f"{self.dice.choice(['a', 'b', 'ä'])}/{self.dice.randrange(8)}"

    def _content(self, kind: str) -> bytes:
        self.count += 1
        return f"{kind} {self.dice.random()} {self.count}".encode() * self.dice.choice([1, 50])


def state() -> State:
    """Return every row and every file that one names; what is missing is an error."""
    found = []
    for one in Document.global_objects.order_by("pk"):
        original = Path(one.source_path).read_bytes()
        archive = Path(one.archive_path).read_bytes() if one.has_archive_version else b""
        assert sha256(original).hexdigest() == one.checksum
        assert not archive or sha256(archive).hexdigest() == one.archive_checksum
        thumbnail = Path(one.thumbnail_path).read_bytes()
        names = [one.pk, one.title, one.filename, one.archive_filename, one.deleted_at is None]
        found.append([*names, *(sha256(c).hexdigest() for c in (original, archive, thumbnail))])
    return found


@dataclass
class History:
    """One history; everything of it lies in a folder that is made anew."""

    number: int
    folder: Path
    point: str = ""
    killed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.number)  # noqa: S311  # to be the same again
        self.documents = Documents(self.dice)
        self.place = BackupPlace(self.folder / "backup")
        self.states = self.folder / "states.jsonl"
        self.name = settings_in(os.environ).name
        self.repository = plain_store(LocalBackend(self.folder / "repository"), self.name)
        self.allowed: dict[str, list[State]] = {}

    def run(self) -> None:
        """Live it."""
        self.documents.add()
        for _ in range(self.dice.randrange(5)):
            self.documents.edit()
        runs = self.dice.randrange(2, 4)
        for turn in range(runs):
            for _ in range(self.dice.randrange(3)):
                self.documents.edit()
            if self.point:
                self.documents.add()
            point = self.point or self.dice.choice([*OF_RUN, ""])
            self._back_up(point if turn < runs - 1 and point in OF_RUN else "")
            point = self.point or self.dice.choice([*OF_RESTORE, ""])
            self._restore(point if point in OF_RESTORE else "")

    def _back_up(self, point: str) -> None:
        before = {one.number for one in self.repository.snapshots()}
        self.states.write_text(json.dumps(state()) + "\n")
        # Nothing else may end what has to go on until the lock is taken.
        busy = 0.0 if self.point else self.dice.choice([0.1, 0.4, 0.9])
        nth = self.dice.randrange(1, 4) if not self.point else 1
        seed = self.dice.random()

        def work() -> None:
            self.documents.dice = random.Random(seed)  # noqa: S311  # as above
            points.listen_with(Editing(self, point, nth, busy, always=point == "collect.locked"))
            taken = Taking(
                settings_in(os.environ),
                self.place,
                self.repository,
                InThisProcess(),
            ).run(init=True, say=lambda _: None, listener=lambda _: None)
            assert taken.complete, taken.manifest.faults
            assert not taken.not_forgotten, taken.not_forgotten

        ended = self._fork(work, point)
        self.documents.count += 10_000
        states = [json.loads(line) for line in self.states.read_text().splitlines()]
        new = {one.number for one in self.repository.snapshots()} - before
        assert len(new) == 1 or not ended
        self.allowed |= dict.fromkeys(new, states)

    def _restore(self, point: str) -> None:
        found = self.repository.snapshots(tags=("complete",))
        if not found:
            return
        with self._elsewhere():
            row = chosen(self.repository, self.name, "latest")

            def work() -> None:
                if point:
                    nth = 1 if self.point else self.dice.randrange(1, 3)
                    points.listen_with(Editing(self, point, nth, 0.0))
                Restoring(self.repository, row).into(InThisProcess(), self.place, lambda _: None)

            if not self._fork(work, point):
                point = ""
                assert self._fork(work, "")
            there = state()
            assert there in self.allowed[row.snapshot], (there, self.allowed[row.snapshot])

    def _fork(self, work: Callable[[], object], point: str) -> bool:
        """Do it in a fork; say whether it ended, and False when it was killed at the point."""
        _closed()
        number = os.fork()
        if number == 0:
            code = 1
            try:
                work()
                code = 0
            except BaseException:  # noqa: BLE001  # nothing may leave a fork
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(number, 0)
        code = os.waitstatus_to_exitcode(status)
        shutil.rmtree(self.place / "leases", ignore_errors=True)  # as a minute later
        if code == -signal.SIGKILL:
            self.killed[point] += 1
            return False
        assert code == 0, f"it ended with {code}"
        return True

    @contextmanager
    def _elsewhere(self) -> Iterator[None]:
        """Within this block the installation is another one, which is empty."""
        aside = self.folder / "aside"
        _swap(aside)
        begin_anew()
        try:
            yield
        finally:
            _swap(aside, back=True)


class Editing:
    """Edits at the moments of a backup, and kills the process at one of them."""

    def __init__(
        self, history: History, point: str, nth: int, busy: float, *, always: bool = False
    ) -> None:
        self._history, self._point, self._left, self._busy = history, point, nth, busy
        self._always, self._locked = always, False

    def __call__(self, name: str) -> None:
        if name == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        if name in {"collect.locked", "collect.pruned"}:
            self._locked = name == "collect.locked"
        documents = self._history.documents
        around = name in {"collect.brought", "collect.exported"}  # the export, so that it is old
        if around and self._always and not self._locked:
            documents.overwrite_first()
            self._note()
        if documents.dice.random() < self._busy and not name.startswith("restore."):
            documents.edit(locked=self._locked)
            self._note()

    def _note(self) -> None:
        with self._history.states.open("a") as stream:
            stream.write(json.dumps(state()) + "\n")


DATABASE = Path(settings.DATABASES["default"]["NAME"])
PRISTINE = DATABASE.with_name("pristine.sqlite3")


def _closed() -> None:
    for connection in connections.all():
        connection.close()


def begin_anew() -> None:
    """Be an installation without documents."""
    _closed()
    for path in _parts():
        if path != DATABASE:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
    shutil.copyfile(PRISTINE, DATABASE)


def _parts() -> list[Path]:
    folders = [Path(settings.MEDIA_ROOT), Path(settings.INDEX_DIR)]
    if STORAGE:
        folders.append(Path(STORAGE))
    return [DATABASE, *folders]


STORAGE = os.environ.get("PAPERFLEET_TEST_STORAGE", "")


def _swap(aside: Path, *, back: bool = False) -> None:
    _closed()
    for number, path in enumerate(_parts()):
        kept = aside / str(number)
        if back:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            kept.rename(path)
        else:
            aside.mkdir(exist_ok=True)
            path.rename(kept)


def live(folder: Path, histories: Iterable[tuple[int, str]]) -> None:
    """Live these histories; end with an error at the first that goes wrong."""
    for module in (bringing, restoring, laying_out, plain, tree):
        vars(module)["ThreadPoolExecutor"] = Inline
    _closed()
    if not PRISTINE.exists():
        shutil.copyfile(DATABASE, PRISTINE)
    for command in ("document_exporter", "document_importer", "document_index"):
        load_command_class("documents", command)  # once, and not in each fork
    serializers.get_serializer_formats()
    gc.freeze()
    killed: Counter[str] = Counter()
    for number, point in histories:
        where = folder / f"history-{number}"
        where.mkdir()
        begin_anew()
        try:
            history = History(number, where, point)
            history.run()
        except BaseException:
            print(f"history {number} went wrong; its folder is {where}", file=sys.stderr)
            raise
        killed += history.killed
        shutil.rmtree(where)
    print(json.dumps(killed))


def main() -> None:
    """Do what the arguments say."""
    place, *words = sys.argv[1:]
    if words == ["each"]:
        live(Path(place), enumerate(points.POINTS))
    else:
        first, count = map(int, words)
        live(Path(place), ((number, "") for number in range(first, first + count)))
