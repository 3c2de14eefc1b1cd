"""Anything may happen, in any order: afterwards source and target agree and nobody lost a file.

Hypothesis edits the source, edits the target as somebody else, lets requests fail, kills the mirror
at random points and starts it again. After quiet: the target is the source; the journal knows it;
files of others are where they were, or kept aside, or among the versions.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from tests.crash.mirror_child import JOURNAL_WRITES
from tests.servers.nextcloud_double import NextcloudDouble, nextcloud_double
from tests.trees import paths_below, read_tree

from paperfleet.errors import StorageError
from paperfleet.journal.journal import Journal
from paperfleet.mirror.engine import Mirror
from paperfleet.mirror.events import Event, Failed, Planned
from paperfleet.mirror.options import Options
from paperfleet.mirror.planning.guard import Limits
from paperfleet.mirror.watch.polling import PollingWatcher
from paperfleet.secret import Secret
from paperfleet.storage.dav.temporary import is_own
from paperfleet.storage.dav.urls import parse_root
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.names import is_below, parents
from paperfleet.storage.transport.curl import CurlTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.storage.transport.exchange import HttpRequest, HttpResponse

pytestmark = [pytest.mark.property, pytest.mark.timeout(1200)]

T = TypeVar("T")
FOLDERS = ["", "a/", "b/", "a/c/"]
NAMES = st.builds(
    lambda f, b: f + b, st.sampled_from(FOLDERS), st.sampled_from(["x", "y", "z", "a"])
)
CONTENTS = st.sampled_from([b"", b"1", b"2", b"33", b"444" * 50])
FOREIGN = st.sampled_from(["theirs", "a/theirs", "b/theirs", "a/c/theirs"])
WHICH = st.integers(0, 59)
METHODS = st.sampled_from(["PUT", "MOVE", "DELETE", "MKCOL", "PROPFIND", "PATCH", "POST"])
STATUSES = st.sampled_from([423, 429, 500, 503, 507])
CUTS = st.sampled_from(["before", "after", "middle"])
WRITES = (*JOURNAL_WRITES, "set_fact", "doubt", "fail", "withdraw", "quarantine", "refuse")


class KilledError(BaseException):
    """The process is dead: from now on nothing it does has any effect."""


class Life:
    """Ends at the n-th write or request; afterwards none gets through, as with a dead process."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self) -> None:
        self.left -= 1
        if self.left <= 0:
            raise KilledError

    def around(self, call: Callable[[], T], *, dies_after: bool) -> T:
        if not dies_after:
            self.spend()
            return call()
        if self.left <= 0:
            raise KilledError
        result = call()
        self.spend()
        return result


class MortalTransport:
    def __init__(self, life: Life, url: str) -> None:
        self.life, self.inner = life, CurlTransport(parse_root(url).origin)

    def send(self, request: HttpRequest) -> HttpResponse:
        dies_after = self.life.left % 2 == 0
        return self.life.around(lambda: self.inner.send(request), dies_after=dies_after)

    def end_within(self, seconds: float) -> None:
        self.inner.end_within(seconds)

    def close(self) -> None:
        self.inner.close()


def mortal(journal: Journal, life: Life) -> None:
    for method in WRITES:
        write = getattr(journal, method)

        def call(*arguments: Any, _write: Callable[..., Any] = write) -> Any:  # noqa: ANN401
            return life.around(lambda: _write(*arguments), dies_after=life.left % 2 == 0)

        setattr(journal, method, call)


class MirrorMachine(RuleBasedStateMachine):
    """The machine; ``backend`` and ``keeps_versions`` differ by kind of target."""

    double: NextcloudDouble
    nextcloud = True

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="machine-")
        self.base = Path(self.folder.name)
        self.source = self.base / "source"
        self.source.mkdir()
        self.clear_target()
        self.foreign: dict[str, bytes] = {}
        self.overwritten: list[bytes] = []
        self.meanwhile: tuple[int, int] | None = None

    def teardown(self) -> None:
        if hasattr(self, "base"):
            self.converge()
            self.folder.cleanup()

    # the target, past the mirror

    def clear_target(self) -> None:
        self.double.faults.clear()
        self.double.quota = None
        for path in self.double.root.iterdir():
            self.double.delete(path.name)

    def there(self) -> dict[str, bytes]:
        return self.double.tree()

    def put_there(self, name: str, content: bytes, mtime: int | None = None) -> None:
        self.double.write(name, content, mtime)

    def remove_there(self, name: str) -> None:
        self.double.delete(name)

    # what people do at the source

    def files(self) -> dict[str, bytes]:
        return read_tree(self.source)

    @rule(name=NAMES, content=CONTENTS)
    def write(self, name: str, content: bytes) -> None:
        files = self.files()
        path = self.source / name
        if any(up in files for up in parents(name)) or path.is_dir():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if names := sorted(self.files()):
            (self.source / data.draw(st.sampled_from(names))).unlink()

    @rule(data=st.data(), new=NAMES)
    def rename(self, data: st.DataObject, new: str) -> None:
        files = self.files()
        if not files or new in files or any(up in files for up in parents(new)):
            return
        old = data.draw(st.sampled_from(sorted(files)))
        target = self.source / new
        if target.is_dir() or old in parents(new):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.source / old).rename(target)

    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        names = sorted(self.files())
        if len(names) < 2:
            return
        one, other = data.draw(
            st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True)
        )
        middle = self.source / "passing"
        (self.source / one).rename(middle)
        (self.source / other).rename(self.source / one)
        middle.rename(self.source / other)

    @rule(
        old=st.sampled_from(["a", "b", "a/c"]), new=st.sampled_from(["a", "b", "d", "a/c", "b/c"])
    )
    def rename_folder(self, old: str, new: str) -> None:
        source, target = self.source / old, self.source / new
        if not source.is_dir() or target.exists() or new.startswith(old):
            return
        if any(up in self.files() for up in parents(new)):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)

    # what others do at the target

    @rule(name=FOREIGN, content=st.binary(min_size=1, max_size=5))
    def somebody_adds(self, name: str, content: bytes) -> None:
        there = self.there()
        if any(up in there for up in parents(name)):
            return
        self.put_there(name, content)
        self.foreign[name] = content

    # What is there depends on the order of threads, and may not decide what is drawn.

    @rule(which=WHICH, number=st.integers(0, 10**6))
    def somebody_changes_ours(self, which: int, number: int) -> None:
        there = self.there()
        ours = sorted(n for n in there if n not in self.foreign and not is_own(n))
        if not ours:
            return
        name = ours[which % len(ours)]
        if there[name] in self.overwritten:
            self.overwritten.remove(there[name])
        content = b"foreign %d" % number
        self.put_there(name, content, 10**9 + number)
        self.overwritten.append(content)

    @rule(which=WHICH)
    def somebody_deletes_ours(self, which: int) -> None:
        there = self.there()
        ours = sorted(n for n in set(there) - set(self.foreign) if there[n] not in self.overwritten)
        if ours:
            self.remove_there(ours[which % len(ours)])

    # what the network and the machine do

    @rule(method=METHODS, status=STATUSES, times=st.integers(1, 3))
    def fault(self, method: str, status: int, times: int) -> None:
        self.double.faults.add(method, status=status, times=times)

    @rule(method=METHODS, cut=CUTS)
    def cut(self, method: str, cut: Any) -> None:  # noqa: ANN401  # a Literal of the double's
        self.double.faults.add(method, cut=cut)

    @rule()
    def run(self) -> None:
        self.sync()

    @rule(which=WHICH, number=st.integers(0, 10**6))
    def run_while_somebody_changes_ours(self, which: int, number: int) -> None:
        """Let the change come after the look at the target, before anything is done there."""
        self.meanwhile = which, number
        self.sync()
        self.meanwhile = None

    @rule(steps=st.integers(1, 60))
    def run_and_die(self, steps: int) -> None:
        self.sync(Life(steps))

    def target(self, life: Life) -> DocumentStorage:
        options: dict[str, Any] = {
            "username": self.double.user,
            "password": Secret(self.double.password),
            "transport": MortalTransport(life, self.double.url),
        }
        if self.nextcloud:
            from paperfleet.storage.nextcloud.backend import NextcloudBackend

            return NextcloudBackend(self.double.url, **options)
        return WebDavBackend(self.double.url, **options)

    def sync(self, life: Life | None = None, *, rested: bool = False) -> bool:
        """Run once; say whether it converged without anything left in quarantine."""
        life = life or Life(10**9)
        self.events: list[Event] = []
        options = Options(
            settle=0.0,
            open_settle=0.0,
            pause=0.001,
            limits=Limits(share=1, overwrite_share=1),
            connections=3,
        )
        with Journal.open(self.base / "j.sqlite", source="s", target="t") as journal:
            if rested:
                journal.release([entry.name for entry in journal.quarantined()])
                journal.refuse({})
            mortal(journal, life)
            mirror = Mirror(
                LocalBackend(self.source, read_only=True),
                self.target(life),
                journal,
                PollingWatcher(self.source, 3600),
                options,
                self.note,
            )
            try:
                with mirror:
                    outcome = mirror.run_once()
            except (StorageError, KilledError):
                return False
            return (
                outcome.converged
                and outcome.failed == len(self.blocked() | self.held())
                and not outcome.refused
            )

    def blocked(self) -> set[str]:
        """Return the files that want to be where others have a folder, or in a file of theirs."""
        there = self.there()
        others = {n for n, c in there.items() if n in self.foreign or c in self.overwritten}
        return {
            name
            for name in self.files()
            if any(is_below(theirs, name) or is_below(name, theirs) for theirs in others)
        }

    def held(self) -> set[str]:
        """Return what stays under its old name, as its new one is blocked, and was told of.

        Nothing is let go of that cannot be put elsewhere.
        """
        files, there = self.files(), self.there()
        waiting = {files[name] for name in self.blocked()} - set(self.overwritten)
        told = {event.name for event in self.events if isinstance(event, Failed)}
        old = there.keys() - files.keys() - self.foreign.keys()
        return {name for name in old & told if there[name] in waiting}

    def note(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Planned) and self.meanwhile:
            (which, number), self.meanwhile = self.meanwhile, None
            self.somebody_changes_ours(which, number)

    def converge(self) -> None:
        """Let everything be quiet; then the three states agree."""
        self.quiet()
        if not self.files().keys() - self.blocked():
            (self.source / "last").write_bytes(b"an empty source is held to be an accident")
        assert any(self.sync(rested=True) for _ in range(6)), self.account()
        files, there = self.files(), self.there()
        for name in self.blocked():
            del files[name]
        assert {name: there.get(name) for name in files} == files
        extra = {name: content for name, content in there.items() if name not in files}
        for name, content in self.foreign.items():
            assert extra.pop(name, None) == content, f"{name} of somebody else was touched"
        for name in self.held():
            del extra[name]
        assert all(c in self.overwritten for c in extra.values()), f"left behind: {extra}"
        self.check_journal(files)
        self.check_nothing_lost(there)

    def quiet(self) -> None:
        """Let nothing fail any more, and wait for what is under way."""
        self.double.faults.clear()
        self.double.wait_until_idle()

    def account(self) -> str:
        """Tell what is where, for whoever has to find out why it does not converge."""
        requests = [(r.method, r.path, r.status) for r in self.double.requests][-12:]
        there = [str(p.relative_to(self.double.root)) for p in paths_below(self.double.root)]
        return f"{self.events}\nsource: {self.files()}\ntarget: {there}\n{requests}"

    def check_journal(self, files: dict[str, bytes]) -> None:
        with Journal.open(self.base / "j.sqlite", source="s", target="t") as journal:
            left = self.blocked() | self.held()
            rows = {row.name: row for row in journal.known() if row.name not in left}
        assert rows.keys() == files.keys()
        assert all(row.sure and row.size == len(files[name]) for name, row in rows.items())

    def check_nothing_lost(self, there: dict[str, bytes]) -> None:
        kept = set(there.values())
        if self.nextcloud:
            kept |= {content for name in there for content in self.double.versions(name)}
            return  # what was deleted with its name is in the trash bin, which is Nextcloud's own
        for content in self.overwritten:
            assert content in kept, f"{content!r} of somebody else is gone"


class PlainMirrorMachine(MirrorMachine):
    nextcloud = False


@pytest.fixture(scope="module")
def double() -> Iterator[NextcloudDouble]:
    with nextcloud_double() as running:
        yield running


EXAMPLES = settings(
    max_examples={"soak": 1000, "quick": 10}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 40),
    stateful_step_count=25,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("machine", [MirrorMachine, PlainMirrorMachine])
def test_it_always_converges(machine: type[MirrorMachine], double: NextcloudDouble) -> None:
    machine.double = double
    test = machine.TestCase
    test.settings = EXAMPLES
    test("runTest").runTest()
