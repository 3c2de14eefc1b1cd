"""What `make test` leaves out only widens what is in it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.servers.s3 import S3Server
from tests.wide import WIDE, declared_exception, first_of, is_behaviour

from paperfleet.backup import points as backup_points
from paperfleet.paperless.points import POINTS
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "tests" / "conformance"


class Collected:
    """What pytest finds in a folder, without running it."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = list(session.items)


@cache
def conformance() -> tuple[pytest.Function, ...]:
    """Return the tests that the storage suite has in every configuration."""
    collected = Collected()
    options = ["--collect-only", "-qqq", "-s", "--no-cov", "-p", "no:cacheprovider"]
    assert pytest.main([*options, str(CONFORMANCE)], plugins=[collected]) == pytest.ExitCode.OK
    return tuple(item for item in collected.items if is_behaviour(item))


def is_wide(item: pytest.Item) -> bool:
    return item.get_closest_marker(WIDE.name) is not None


def behaviours(items: Iterable[pytest.Function]) -> set[tuple[str, str]]:
    """Return (module, behaviour) of those that run something."""
    return {(item.path.stem, item.name) for item in items if not declared_exception(item)}


def test_each_behaviour_of_each_backend_has_a_configuration_in_make_test() -> None:
    everything = conformance()
    narrow = [item for item in everything if not is_wide(item)]
    assert behaviours(narrow) == behaviours(everything)
    assert len({name for _, name in behaviours(narrow)}) > 150
    assert {module for module, _ in behaviours(narrow)} >= {
        "test_fsspec", "test_local", "test_memory", "test_nextcloud", "test_objectstore",
        "test_webdav",
    }  # fmt: skip


def test_a_backend_has_one_configuration_in_make_test() -> None:
    narrow = [item for item in conformance() if not is_wide(item) and not declared_exception(item)]
    places = [(item.path, item.name) for item in narrow]
    assert len(places) == len(set(places))
    assert len(narrow) * 2 < len(conformance())


def test_what_behaviours_ask_for_is_claimed_by_a_backend_in_make_test(tmp_path: Path) -> None:
    """A behaviour is skipped, when it runs, on a storage that does not claim what it asks for."""
    suites = [path.read_text("utf-8") for path in (ROOT / "src").rglob("suite_*.py")]
    asked = re.findall(r"claims\(\w+((?:, \"\w+\")+)\)", "".join(suites))
    abilities = {name for group in asked for name in re.findall(r"\w+", group)}
    bucket = S3Server("http://127.0.0.1:9", "key", "secret").backend()  # nobody is asked
    claimed = [one.capabilities for one in (MemoryBackend(), LocalBackend(tmp_path), bucket)]
    assert len(abilities) > 8
    for ability in abilities:  # None: to be found out when it runs
        assert {getattr(one, ability) for one in claimed} != {False}, ability
    in_make_test = {item.cls.__name__ for item in conformance() if not is_wide(item)}
    assert {"TestMemory", "TestLocal", "TestMoto"} <= in_make_test


def test_the_first_of_some_values_is_in_make_test() -> None:
    first, *rest = first_of(["a", "b", "c"])
    assert first == "a"
    assert [value.values for value in rest] == [("b",), ("c",)]
    assert [[mark.name for mark in value.marks] for value in rest] == [["wide"], ["wide"]]


def test_make_test_leaves_out_what_is_wide_and_nothing_else() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    recipe = re.search(r"^test:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    everything = re.search(r"^test-all:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert recipe
    assert everything
    images = re.search(r"^test-compose:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert images
    chosen = [re.findall(r' -m (engine|".*?") ', one.group(1)) for one in (recipe, everything)]
    assert chosen == [['"not wide and not engine"'], ['"not engine"']]
    assert " -m engine tests/deploy/engine " in images.group(1)
    assert not re.search(r"--ignore|--deselect| -k ", recipe.group(1) + everything.group(1))


def test_somebody_is_stopped_at_each_named_moment() -> None:
    tests = "".join(
        path.read_text("utf-8") for path in (ROOT / "tests/paperless").glob("test_*.py")
    )
    assert [name for name in POINTS if name not in tests] == []


def test_a_backup_is_killed_at_each_named_moment() -> None:
    """The list is walked through; that each one was reached is what that test asserts."""
    histories = (ROOT / "tests/paperless/histories.py").read_text("utf-8")
    test = (ROOT / "tests/paperless/test_backup_histories.py").read_text("utf-8")
    assert "enumerate(points.POINTS)" in histories
    assert "sorted(killed) == sorted(POINTS)" in test
    passed = "".join(
        path.read_text("utf-8")
        for folder in ("backup", "paperless/backup")
        for path in (ROOT / "src/paperfleet" / folder).glob("*.py")
    )
    named = set(re.findall(r'points\.passed\("([\w.]+)"\)', passed))
    assert named == set(backup_points.POINTS)
