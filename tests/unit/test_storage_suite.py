"""The conformance suite finds storages that break a promise, and is adopted in a few lines."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import IO, TYPE_CHECKING, ClassVar

import pytest
from tests.conformance.test_memory import MemoryBypass

from paperfleet.errors import StorageError
from paperfleet.model import ANYTHING, FileStat, Precondition, Upload
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.testing.storage_suite import StorageSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["pytester"]


class LosesTheLastByte(MemoryBackend):
    def save(self, name: str, content: IO[bytes]) -> str:
        return super().save(name, io.BytesIO(content.read()[:-1]))


class ReadsWhatWasMeant(LosesTheLastByte):
    """Hides its fault in writing by one in reading: only the bypass sees it."""

    def open(self, name: str) -> IO[bytes]:
        with super().open(name) as stream:
            return io.BytesIO(stream.read() + b"t")


class ShowsHalves(MemoryBackend):
    def save(self, name: str, content: IO[bytes]) -> str:
        data = b""
        while piece := content.read(1000):
            data += piece
            super().save(name, io.BytesIO(data))
        return super().save(name, io.BytesIO(data))


class TakesAnyName(MemoryBackend):
    def save(self, name: str, content: IO[bytes]) -> str:
        return super().save(name.replace("..", "dots").strip("/"), content)


class MovesOverOthers(MemoryBackend):
    def move(self, old_name: str, new_name: str) -> None:
        if self.exists(new_name) and old_name != new_name:
            self.delete(new_name)
        super().move(old_name, new_name)


class DeletesNothingGladly(MemoryBackend):
    def delete(self, name: str) -> None:
        if self.exists(name):
            super().delete(name)


class TakesPrefixesAsText(MemoryBackend):
    def list_files(self, prefix: str = "") -> Iterator[str]:
        return (name for name in super().list_files() if name.startswith(prefix))


class SortsByFolder(MemoryBackend):
    def list_files(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(super().list_files(prefix), key=lambda name: name.split("/")))


class TakesFoldersForFiles(MemoryBackend):
    def exists(self, name: str) -> bool:
        return super().exists(name) or any(self.list_files(name))


class ChangesNames(MemoryBackend):
    def save(self, name: str, content: IO[bytes]) -> str:
        super().save(name.strip(), content)
        return name


class IgnoresConditions(MemoryBackend):
    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        assert expect is not None
        return super().save_with(name, upload, ANYTHING)


class IgnoresChecksums(MemoryBackend):
    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        with upload.open() as content:
            size = len(content.read())
        return super().save_with(name, upload._replace(sha256=None, size=size), expect)


class HasRigidEtags(MemoryBackend):
    def folder_etag(self, name: str = "") -> str:
        return "etag" if super().folder_etag(name) else ""


class EmptiesFolders(MemoryBackend):
    def remove_folder(self, name: str) -> bool:
        for file in list(self.list_files(name)):
            self.delete(file)
        return super().remove_folder(name)


class ForgetsTimes(MemoryBackend):
    def save_with(self, name: str, upload: Upload, expect: Precondition) -> FileStat:
        return super().save_with(name, upload._replace(modified_ns=None), expect)


class SweepsTooMuch(MemoryBackend):
    def sweep(self, older_than: float) -> int:
        assert older_than == 0
        names = list(self.list_files())
        for name in names:
            self.delete(name)
        return len(names)


class SurveysFoldersOnly(MemoryBackend):
    def survey(self, prefix: str = "") -> Iterator[FileStat]:
        return self.list_stats(prefix)


FOUND = [
    (LosesTheLastByte, "test_save_stores_the_bytes_and_returns_the_name", ()),
    (ReadsWhatWasMeant, "test_save_stores_the_bytes_and_returns_the_name", ()),
    (ShowsHalves, "test_broken_content_makes_no_file", (3_000_000,)),
    (ShowsHalves, "test_broken_content_leaves_the_old_file", (10,)),
    (ShowsHalves, "test_readers_see_the_old_or_the_new", None),
    (TakesAnyName, "test_invalid_name_is_refused_before_anything_is_touched", ("../outside",)),
    (TakesAnyName, "test_invalid_name_is_refused_before_anything_is_touched", ("/absolute",)),
    (MovesOverOthers, "test_move_onto_a_file_keeps_both", ()),
    (DeletesNothingGladly, "test_missing_name", ("missing",)),
    (TakesPrefixesAsText, "test_prefix_is_a_folder", ("a", ["a/b.c", "a/b/x", "a/x"])),
    (SortsByFolder, "test_sorted_by_code_point", ()),
    (TakesFoldersForFiles, "test_folder_is_no_file", ()),
    (ChangesNames, "test_awkward_name_comes_back_or_is_refused", ("trailing space ",)),
    (IgnoresConditions, "test_save_only_where_nothing_is", ()),
    (IgnoresConditions, "test_save_only_over_the_known_state", ()),
    (IgnoresChecksums, "test_wrong_bytes_never_become_visible", (None,)),
    (IgnoresChecksums, "test_another_length_never_becomes_visible", (b"shor",)),
    (HasRigidEtags, "test_folder_etags_change_up_to_the_root", ()),
    (EmptiesFolders, "test_remove_folder_spares_files", ()),
    (ForgetsTimes, "test_time_is_kept_to_the_second", ()),
    (SweepsTooMuch, "test_sweep_takes_no_document", ()),
    (SurveysFoldersOnly, "test_survey", ()),
]


@pytest.mark.parametrize(("kind", "test", "parameters"), FOUND)
def test_a_broken_promise_is_found(
    kind: type[MemoryBackend], test: str, parameters: tuple[object, ...] | None
) -> None:
    storage = kind()
    arguments = [storage, MemoryBypass(storage)]
    takes_bypass = "bypass" in getattr(StorageSuite, test).__code__.co_varnames
    with storage, pytest.raises((AssertionError, pytest.fail.Exception, StorageError)):
        getattr(StorageSuite(), test)(*arguments[: 1 + takes_bypass], *(parameters or ()))


@pytest.mark.parametrize(("test", "parameters"), [row[1:] for row in FOUND])
def test_and_a_kept_promise_is_not(test: str, parameters: tuple[object, ...] | None) -> None:
    storage = MemoryBackend()
    arguments = [storage, MemoryBypass(storage)]
    takes_bypass = "bypass" in getattr(StorageSuite, test).__code__.co_varnames
    with storage:
        getattr(StorageSuite(), test)(*arguments[: 1 + takes_bypass], *(parameters or ()))


def test_claims_without_methods_are_found() -> None:
    class Boaster(MemoryBackend):
        sweep = None  # type: ignore[assignment]  # claimed, and not there

    with Boaster() as storage, pytest.raises(AssertionError, match="sweep"):
        StorageSuite().test_claims_are_true(storage)
    storage = Boaster(capabilities=replace(MemoryBackend().capabilities, sweep=False))
    with storage:
        StorageSuite().test_claims_are_true(storage)


def test_exceptions_must_name_tests() -> None:
    with pytest.raises(TypeError, match="test_mvoe"):
        type("TestTypo", (StorageSuite,), {"exceptions": {"test_mvoe": "reason"}})


def test_replaced_tests_must_be_declared() -> None:
    def replaced(self: StorageSuite) -> None:
        assert isinstance(self, StorageSuite)

    with pytest.raises(TypeError, match="test_move"):
        type("TestSilent", (StorageSuite,), {"test_move": replaced})

    class TestDeclared(StorageSuite):
        exceptions: ClassVar = {"test_move": "moves are different here"}
        test_move = replaced  # type: ignore[assignment]  # that is the subject

    TestDeclared().test_move()


ADOPTION = """
import pytest
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.testing.storage_suite import FolderBypass, StorageSuite


class TestMine(StorageSuite):
    exceptions = {
        "test_two_cases": "the server is on Windows",
        "test_move[b]": "no file may be called b",
        "test_empty_file": "empty files have a mark here",
    }

    @pytest.fixture
    def storage(self, tmp_path):
        return LocalBackend(tmp_path / "root")

    @pytest.fixture
    def bypass(self, tmp_path):
        return FolderBypass(tmp_path / "root")

    def test_empty_file(self, store):
        assert store
"""


def test_adoption_and_declared_exceptions(pytester: pytest.Pytester) -> None:
    assert len(ADOPTION.strip().splitlines()) < 30
    pytester.makepyfile(ADOPTION)
    result = pytester.runpytest_inprocess(
        "-rs", "-p", "no:cacheprovider", "-k", "cases or test_move or empty_file"
    )
    outcomes = result.parseoutcomes()
    assert outcomes["skipped"] == 3
    assert outcomes["passed"] > 10
    assert "failed" not in outcomes
    result.stdout.fnmatch_lines_random(
        [
            "*the storage does not claim folder_etags",
            "*declared exception: the server is on Windows",
            "*declared exception: no file may be called b",
        ]
    )
