"""One source, one target of any kind, one journal: what the scenarios of the mirror are told with.

A target is looked at and changed past the mirror (``Place``), and every call that the mirror makes
of it can be counted, held or made to fail (``Tap``). ``Rig.difference`` compares the three states.
"""

from __future__ import annotations

import hashlib
import threading
import time
import unicodedata
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest
from tests.integration.mirror_places import Files, Place, ServerPlace, write_file
from tests.servers.nextcloud_double import NextcloudDouble
from tests.trees import read_tree

from paperfleet.filesystems import FolderDisk
from paperfleet.journal.journal import Journal
from paperfleet.journal.known import KnownFiles
from paperfleet.journal.opening import open_for_reading
from paperfleet.mirror.engine import Mirror, RunOutcome
from paperfleet.mirror.events import Done, Event, Failed, Planned, Synced
from paperfleet.mirror.options import Options
from paperfleet.mirror.planning.guard import Limits
from paperfleet.mirror.watch.choose import choose_watcher
from paperfleet.model import FolderListing
from paperfleet.storage.full import full
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.names import is_below, is_temporary, parents
from paperfleet.testing.faults import Call, FaultyStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from paperfleet.mirror.watch.choose import Watcher
    from paperfleet.model import KnownFile
    from paperfleet.storage.protocol import DocumentStorage

BOUND = 60.0
"""Seconds that anything may take before the scenario has failed."""

UNLIMITED = Limits(share=1, overwrite_share=1)

E = TypeVar("E", bound=Event)
T = TypeVar("T")


LISTINGS = {"survey", "list_stats", "list_files", "list_tree", "list_folder"}


class Tap(FaultyStorage):
    """A storage of which every call is noted and can be held or made to fail."""

    def __init__(self, inner: DocumentStorage) -> None:
        super().__init__(inner, before=self._wait, after=self._wait_with_the_answer)
        self._holds: list[Hold] = []
        self._answers: list[Hold] = []
        self._listing: Hold | None = None

    def _around(self, operation: str, names: tuple[str, ...], work: Callable[[], T]) -> T:
        hold = self._listing
        if hold is None or operation not in LISTINGS or names != (hold.name,):
            return super()._around(operation, names, work)

        def read_and_held() -> T:
            found: Any = work()
            read: Any = found if isinstance(found, FolderListing) else iter(list(found))
            hold.reached.set()
            hold.released.wait(BOUND)
            return cast("T", read)

        return super()._around(operation, names, read_and_held)

    @contextmanager
    def held_listing(self, folder: str = "") -> Iterator[Hold]:
        """Hold listings of a folder, each once it has read what is there, until the block ends."""
        self._listing = hold = Hold("listing", folder)
        try:
            yield hold
        finally:
            self._listing = None
            hold.released.set()

    @contextmanager
    def held_answer(self, method: str, name: str) -> Iterator[Hold]:
        """Hold the answers to calls of a method with a name, which have taken effect."""
        hold = Hold(method, name)
        self._answers.append(hold)
        try:
            yield hold
        finally:
            self._answers.remove(hold)
            hold.released.set()

    def _wait_with_the_answer(self, call: Call) -> None:
        for hold in [h for h in self._answers if h.method == call.operation]:
            if hold.name in call.names:
                hold.reached.set()
                hold.released.wait(BOUND)

    def _wait(self, call: Call) -> None:
        for hold in [h for h in self._holds if h.method == call.operation and h.name in call.names]:
            hold.reached.set()
            hold.released.wait(BOUND)

    @contextmanager
    def held(self, method: str, name: str) -> Iterator[Hold]:
        """Hold calls of a method with a name until the block ends."""
        hold = Hold(method, name)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            self._holds.remove(hold)
            hold.released.set()

    @property
    def sent(self) -> list[str]:
        """The names of all files that were sent."""
        sends = ("save", "save_with", "save_batch")
        return [name for call in list(self.calls) if call.operation in sends for name in call.names]


class Hold:
    """Calls that wait: ``reached`` once there is one."""

    def __init__(self, method: str, name: str) -> None:
        self.method, self.name = method, name
        self.reached, self.released = threading.Event(), threading.Event()


class Rig:
    """A mirror with its surroundings.

    ``foreign``: files that somebody else put at the target and that must stay as they are.
    ``origin`` is the source as the running mirror sees it, where it can be made to fail.
    ``foreign_folders``: theirs, perhaps without any file. ``absent``: source names that are not
    expected at the target.
    """

    def __init__(
        self,
        base: Path,
        place: Place,
        *,
        storage: DocumentStorage | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        self.source, self.journal = base / "source", base / "state" / "journal.sqlite"
        self.source.mkdir(parents=True, exist_ok=True)
        self.place = place
        # Most scenarios delete most of a few files; those of the guard set its limits themselves.
        usual: dict[str, Any] = {"settle": 0.05, "open_settle": 0.4, "pause": 0.05}
        self.options = usual | {"limits": UNLIMITED} | options
        self.foreign: Files = {}
        self.foreign_folders: set[str] = set()
        self.absent: set[str] = set()
        self.events: list[Event] = []
        self.happened = threading.Condition()
        self.tap = Tap(storage or place.storage())
        self.origin: FaultyStorage | None = None
        self.follow_links = False
        self.poll_seconds: float | None = None
        self.disk = FolderDisk(self.source)

    def report(self, event: Event) -> None:
        """Take an event of the mirror."""
        with self.happened:
            self.events.append(event)
            self.happened.notify_all()

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files at the source, each whole from the first byte."""
        for name, content in files.items():
            write_file(self.source / name, content)

    def source_tree(self) -> Files:
        """Return all files of the source."""
        return read_tree(self.source)

    def source_names(self) -> set[str]:
        """Return the names of all files at the source."""
        return set(self.source_tree())

    @property
    def keeps_versions(self) -> bool:
        """Whether the target keeps what is overwritten."""
        return full(self.tap).keeps_versions("a.pdf")

    @property
    def keeps_modified(self) -> bool:
        """Whether the target keeps times; some servers have to be asked first."""
        return self.tap.capabilities.keeps_modified

    def sending_method(self) -> str:
        """Return the method by which a single file is sent."""
        return "save_with" if self.tap.capabilities.save_with else "save"

    def put_foreign(self, files: Mapping[str, bytes]) -> None:
        """Let somebody else put files at the target, which must stay from now on."""
        for name, content in files.items():
            self.place.write(name, content)
        self.foreign |= files

    @property
    def to_nextcloud(self) -> bool:
        """Whether the target is a Nextcloud, real or double."""
        return self.place.kind in {"nextcloud", "real"}

    def skip_on(self, kind: str, reason: str) -> None:
        """Skip the scenario for a kind of target."""
        if self.place.kind == kind:
            pytest.skip(f"{kind}: {reason}")

    def tree(self, count: int) -> Files:
        """Return so many different files.

        For rclone they lie less deep: it reads the folders above a name anew for each request.
        """
        return tree_of(count, depth=1 if self.place.kind == "rclone" else 3)

    def path(self, name: str) -> Path:
        """Return the path of a source name."""
        return self.source / name

    @contextmanager
    def mirror(self) -> Iterator[Mirror]:
        """Yield a mirror that is ready to run."""
        source = LocalBackend(self.source, follow_links=self.follow_links, read_only=True)
        self.origin = FaultyStorage(source)
        self.tap.calls.clear()
        self.events.clear()
        from_to = source.label, self.tap.label
        with (
            Journal.open(self.journal, source=from_to[0], target=from_to[1]) as journal,
            Mirror(
                self.origin,
                self.tap,
                journal,
                self._watcher(),
                Options(**self.options),
                self.report,
                disk=self.disk,
            ) as mirror,
        ):
            yield mirror

    def _watcher(self) -> Watcher:
        return choose_watcher(
            self.source,
            poll_seconds=self.poll_seconds,
            on_notice=lambda _: None,
            follow_links=self.follow_links,
        )

    def was_kept(self, name: str, content: bytes) -> bool:
        """Say whether the target keeps this earlier content of a file."""
        return content in self.place.kept(name)

    def slow(self, method: str, path: str, seconds: float) -> None:
        """Let the double take time for a request."""
        self._double().faults.add(method, path, delay=seconds)

    def cut(self, method: str, path: str) -> None:
        """Let the double hang up on a request, before it has any effect."""
        self._double().faults.add(method, path, cut="before")

    def _double(self) -> NextcloudDouble:
        assert isinstance(self.place, ServerPlace)
        assert isinstance(self.place.server, NextcloudDouble)
        return self.place.server

    def once(self) -> RunOutcome:
        """Run until converged, in this thread; fail when that takes too long."""
        with self.mirror() as mirror:
            watchdog = threading.Timer(BOUND, mirror.stop)
            watchdog.start()
            try:
                outcome = mirror.run_once()
            finally:
                watchdog.cancel()
            assert outcome.converged, f"not converged after {BOUND} s: {self.events[-5:]}"
            return outcome

    def sync(self) -> RunOutcome:
        """Run until converged, and see that all three states agree."""
        outcome = self.once()
        self.check()
        return outcome

    @contextmanager
    def live(self) -> Iterator[Live]:
        """Run the mirror in a thread until the block ends; the first sync is done by then."""
        live = Live(self)
        live.start()
        try:
            yield live
        finally:
            live.stop()

    def known(self) -> dict[str, KnownFile]:
        """Return what the journal knows, by source name."""
        database = open_for_reading(self.journal)
        try:
            return {row.name: row for row in KnownFiles(database).known()}
        finally:
            database.close()

    def quarantined(self) -> dict[str, str]:
        """Return what is in quarantine, with the reasons."""
        with Journal.read(self.journal) as view:
            return {entry.name: entry.reason for entry in view.quarantined()}

    def refused(self) -> dict[str, str]:
        """Return what the guard holds back, with the reasons."""
        with Journal.read(self.journal) as view:
            return {entry.name: entry.reason for entry in view.refusals()}

    def approve(self) -> int:
        """Approve what the guard holds back, as another process would."""
        with Journal.read(self.journal) as view:
            return view.approve()

    def difference(self) -> str:
        """Say in what source, target and journal differ; '' when they agree."""
        wanted = {n: c for n, c in self.source_tree().items() if n not in self.absent}
        expected = {self.target_name(name): content for name, content in wanted.items()}
        return (
            _compared("target", expected | self.foreign, self._target_tree())
            or _compared("folders", *map(_as_keys, self._folders(expected)))
            or _compared("journal", {n: _digest(c) for n, c in wanted.items()}, self._digests())
            or _compared(
                "names at the target",
                {name: self.target_name(name) for name in wanted},
                {row.name: row.target_name for row in self.known().values() if row.sure},
            )
        )

    def _folders(self, expected: Files) -> tuple[set[str], set[str]]:
        """Return the folders that ought to be at the target, and those that are."""
        wanted = {folder for name in (*expected, *self.foreign) for folder in parents(name)}
        found = self.place.folders()
        if found is None:
            return set(), set()
        if self.place.kind == "nginx":  # lists no dot files, so that empty folders stay
            found = {f for f in found if any(is_below(name, f) for name in self.place.tree())}
        return wanted, found - (self.foreign_folders - wanted)

    def _target_tree(self) -> Files:
        # What rclone was still writing when its upload was cut appears after it was removed; the
        # mirror sweeps such files at its next look at the whole target.
        late = self.place.kind == "rclone"
        return {n: c for n, c in self.place.tree().items() if not (late and is_temporary(n))}

    def nothing_is_missing(self) -> bool:
        """Say whether everything of the source is at the target, whatever else is there."""
        wanted = {self.target_name(n): c for n, c in self.source_tree().items()}
        return wanted.items() <= self.place.tree().items()

    def _digests(self) -> dict[str, str]:
        return {
            row.name: row.sha256 if row.sure else "in doubt"
            for row in self.known().values()
            if row.sure or row.name not in self.absent
        }

    def target_name(self, name: str) -> str:
        """Return what the target calls a source name."""
        form = self.tap.capabilities.unicode_form
        return unicodedata.normalize(form, name) if form else name

    def check(self) -> None:
        """Fail unless source, target and journal agree."""
        difference = self.difference()
        assert not difference, difference

    def seen(self, kind: type[E]) -> list[E]:
        """Return the events of a kind since the last start."""
        return [event for event in list(self.events) if isinstance(event, kind)]

    def done(self) -> list[str]:
        """Return what was done, as lines: 'created a', 'moved a -> b'."""
        return [_line(event) for event in self.seen(Done)]

    def seen_done(self, action: str) -> list[Done]:
        """Return what was done of one kind."""
        return [event for event in self.seen(Done) if event.action == action]

    def counts(self) -> Counter[str]:
        """Return how many files met with what."""
        counts: Counter[str] = Counter()
        for event in self.seen(Done):
            counts[event.action] += event.count
        return counts


def _line(event: Done) -> str:
    to = f" -> {event.new_name}" if event.new_name else ""
    return f"{event.action} {event.name}{to}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _compared(what: str, expected: Mapping[str, object], found: Mapping[str, object]) -> str:
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    other = sorted(n for n in expected.keys() & found.keys() if expected[n] != found[n])
    if not (missing or extra or other):
        return ""
    return f"{what}: missing {missing[:9]}, unexpected {extra[:9]}, different {other[:9]}"


class Live:
    """A mirror that runs in a thread."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.outcome: RunOutcome | None = None
        self.error: BaseException | None = None
        self._mirror: Mirror | None = None
        self._watching = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror-under-test", daemon=True)

    def _run(self) -> None:
        try:
            with self.rig.mirror() as mirror:
                self._mirror = mirror
                self._watching.set()
                self.outcome = mirror.run()
        except BaseException as error:  # noqa: BLE001  # raised in the thread of the test
            self.error = error
        finally:
            self._watching.set()
            with self.rig.happened:
                self.rig.happened.notify_all()

    def start(self) -> None:
        """Begin; return once the source is watched."""
        self._thread.start()
        assert self._watching.wait(BOUND)

    def stop(self) -> None:
        """End, and raise what the mirror raised."""
        if self._mirror is not None:
            self._mirror.stop()
        self._thread.join(BOUND)
        assert not self._thread.is_alive(), "the mirror does not stop"
        if self.error is not None:
            raise self.error

    def until_ended(self) -> BaseException:
        """Wait until the mirror has ended by an error, and return it; it is no longer raised."""
        self._thread.join(BOUND)
        assert self.error is not None, "the mirror goes on"
        ended, self.error = self.error, None
        return ended

    def until(self, true: Callable[[], object], what: str = "it", bound: float = BOUND) -> None:
        """Wait until something is true: asked after every event, and now and then."""
        deadline = time.monotonic() + bound
        while not true():
            assert self.error is None, f"the mirror ended: {self.error!r}"
            left = deadline - time.monotonic()
            assert left > 0, f"{what} did not come true: {self.rig.events[-8:]}"
            with self.rig.happened:
                self.rig.happened.wait(min(left, 0.1))

    def until_event(self, kind: type[E], which: Callable[[E], bool] = lambda _: True) -> E:
        """Wait for an event and return it."""
        found: list[E] = []

        def happened() -> bool:
            found.extend(event for event in self.rig.seen(kind) if which(event))
            return bool(found)

        self.until(happened, kind.__name__)
        return found[0]

    def until_same(self, bound: float = BOUND) -> None:
        """Wait until source, target and journal agree, then see that the mirror rests."""
        said = [""]

        def same() -> bool:
            said[0] = self.rig.difference()
            return not said[0]

        try:
            self.until(same, "agreement", bound)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{said[0]}") from error
        self.until(self.rests, "rest", bound)
        self.rig.check()

    def rests(self) -> bool:
        """Say whether the mirror has said that it is in sync, and has begun nothing since."""
        events = [
            e for e in list(self.rig.events) if isinstance(e, Planned | Done | Failed | Synced)
        ]
        return bool(events) and isinstance(events[-1], Synced)

    def edit_elsewhere(self) -> None:
        """Make a change in another file and wait until it has arrived: what waits does not."""
        name = f"elsewhere {time.monotonic_ns()}"
        self.rig.write({name: b"x"})
        self.until(lambda: name in self.rig.place.tree(), "a change elsewhere")

    def edit(self, edit: Callable[[], object]) -> None:
        """Change the source, and wait until all agree again."""
        edit()
        self.until_same()


def _as_keys(names: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(names, "")


def tree_of(count: int, *, depth: int = 3, folders: int = 7) -> Files:
    """Return so many different files in folders of different depth."""
    return {
        f"{'deep/' * (n % depth)}folder {n % folders}/document {n}.pdf": f"content {n}".encode()
        for n in range(count)
    }
