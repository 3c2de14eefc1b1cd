"""The random histories of the mirror on targets without versions: folder, bucket, plain WebDAV.

Here faults and deaths strike the operations of the storage, not its requests: what a request can do
is tested with the double of a Nextcloud, in ``test_mirror_machine``.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.integration.mirror_places import BucketPlace, FolderPlace, ServerPlace
from tests.property.test_mirror_machine import EXAMPLES, Life, MirrorMachine
from tests.servers.kinds import KINDS
from tests.servers.moto_server import moto_server
from tests.wide import first_of

from paperfleet.errors import (
    LockedError,
    QuotaExceededError,
    StorageError,
    ThrottledError,
    UnavailableError,
)
from paperfleet.storage.bucket import settling
from paperfleet.testing.faults import Call, FaultyStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.mirror_places import Place

    from paperfleet.storage.protocol import DocumentStorage

pytestmark = [pytest.mark.property, pytest.mark.timeout(1200)]

OPERATIONS = st.sampled_from(
    ["save", "save_with", "begin_move", "move", "delete", "delete_if", "list_stats", "stat"]
)
LEAVE = "exit"
"""Closes the connections, as the system does for a dead process."""
ERRORS = st.sampled_from([LockedError, QuotaExceededError, ThrottledError, UnavailableError])


class PlaceMachine(MirrorMachine):
    """The machine on a place; deaths strike before or after an operation."""

    nextcloud = False
    place: Place

    def clear_target(self) -> None:
        self.faults: list[dict[str, Any]] = []
        for name in self.place.tree():
            self.place.delete(name)
        for name in sorted(self.place.folders() or ()):
            if name.count("/") == 0:
                self.place.delete(name)

    def there(self) -> dict[str, bytes]:
        return self.place.tree()

    def put_there(self, name: str, content: bytes, mtime: int | None = None) -> None:  # noqa: ARG002
        self.place.write(name, content)

    def remove_there(self, name: str) -> None:
        self.place.delete(name)

    def target(self, life: Life) -> DocumentStorage:
        def before(call: Call) -> None:
            if call.operation != LEAVE and (life.left <= 0 or life.left % 2):
                life.spend()

        def after(call: Call) -> None:
            if call.operation != LEAVE and life.left % 2 == 0:
                life.spend()

        storage = FaultyStorage(self.place.storage(), before=before, after=after)
        for fault in self.faults:
            storage.fail(**fault)
        self.faults.clear()
        return storage

    @rule(operation=OPERATIONS, error=ERRORS, times=st.integers(1, 3))
    def fail(self, operation: str, error: type[StorageError], times: int) -> None:
        self.faults.append({"operation": operation, "error": error, "times": times})

    @rule(operation=OPERATIONS, times=st.integers(1, 3))
    def lose_the_answer(self, operation: str, times: int) -> None:
        lost = {"operation": operation, "error": UnavailableError, "when": "after"}
        self.faults.append({**lost, "times": times})

    @rule()
    def fault(self) -> None:
        """Do nothing: requests do not fail here."""

    @rule()
    def cut(self) -> None:
        """Do nothing: requests do not fail here."""

    def blocked(self) -> set[str]:
        """Return nothing for a bucket: there a file and names below its own stand together."""
        return set() if self.place.side_by_side else super().blocked()

    def quiet(self) -> None:
        self.faults.clear()

    def converge(self) -> None:
        """See ``MirrorMachine``; what a dead mirror was moving in a bucket is free at once here.

        Else it would be left alone for a minute and more.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settling, "LEAST_SECONDS", 0.0)
            patch.setattr(settling, "BYTES_PER_SECOND", 1e18)
            super().converge()

    def account(self) -> str:
        there = sorted(self.place.tree()), sorted(self.place.folders() or ())
        return f"{self.events}\nsource: {self.files()}\ntarget: {there}"


def folder(stack: ExitStack) -> Place:
    return FolderPlace(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "target")


def bucket(stack: ExitStack) -> Place:
    return BucketPlace(stack.enter_context(moto_server()))


def webdav(kind: str) -> Callable[[ExitStack], Place]:
    def start(stack: ExitStack) -> Place:
        if reason := KINDS[kind].missing():
            pytest.skip(reason)
        return ServerPlace(stack.enter_context(KINDS[kind].start()))

    return start


PLACES = {"folder": folder, "bucket": bucket, "wsgidav": webdav("wsgidav")}


@pytest.fixture(params=first_of(PLACES))
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        yield PLACES[request.param](stack)


def test_it_always_converges(place: Place) -> None:
    PlaceMachine.place = place
    test = PlaceMachine.TestCase
    test.settings = EXAMPLES
    test("runTest").runTest()


def test_a_file_of_others_where_a_folder_has_to_be_is_told_and_stays(place: Place) -> None:
    """A history that chance found: what is not ours is not touched, and all else goes on."""
    PlaceMachine.place = place
    machine = PlaceMachine()
    machine.start()
    machine.write("a", b"")
    machine.run()
    (machine.source / "a").rename(machine.source / "x")
    machine.somebody_changes_ours(number=0, which=0)
    machine.write("a/x", b"")
    machine.converge()
    assert machine.there().pop("a") == b"foreign 0"
    machine.folder.cleanup()


def test_what_cannot_go_to_its_new_name_stays_under_its_old_one(place: Place) -> None:
    """Another that chance found: the new name is a folder that holds a file of others."""
    PlaceMachine.place = place
    machine = PlaceMachine()
    machine.start()
    machine.write("y", b"ours")
    machine.write("a/x", b"")
    machine.run()
    machine.somebody_changes_ours(number=0, which=0)
    (machine.source / "a" / "x").unlink()
    (machine.source / "a").rmdir()
    (machine.source / "y").rename(machine.source / "a")
    machine.write("last", b"so that the source is not empty")
    machine.converge()
    assert machine.there()["a/x"] == b"foreign 0"
    if not place.side_by_side:
        assert machine.held() == {"y"}
        assert machine.there()["y"] == b"ours"
    machine.folder.cleanup()
