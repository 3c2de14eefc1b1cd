"""The one conformance suite of document storages.

To test a storage, give the suite a fresh one and another way to its files:

    class TestMyStorage(StorageSuite):
        exceptions = {"test_two_cases": "the server is on Windows"}

        @pytest.fixture
        def storage(self, tmp_path):
            return MyStorage(tmp_path)

        @pytest.fixture
        def bypass(self, tmp_path):
            return FolderBypass(tmp_path)

What the storage does not claim in its ``capabilities`` is skipped, so that one with the nine
methods alone passes. A test that cannot hold is declared in ``exceptions`` with its reason, which
the skip shows; a test that is replaced must be declared there, too.
"""

from __future__ import annotations

from paperfleet.testing.bypass import Bypass, FolderBypass
from paperfleet.testing.suite_abilities import AbilitiesSuite
from paperfleet.testing.suite_files import FilesSuite
from paperfleet.testing.suite_folders import FoldersSuite
from paperfleet.testing.suite_listing import ListingSuite
from paperfleet.testing.suite_moves import MovesSuite
from paperfleet.testing.suite_names import NamesSuite
from paperfleet.testing.suite_threads import ThreadsSuite
from paperfleet.testing.suite_transfers import TransfersSuite

__all__ = ["Bypass", "FolderBypass", "StorageSuite"]


class StorageSuite(
    NamesSuite,
    FilesSuite,
    MovesSuite,
    ListingSuite,
    ThreadsSuite,
    AbilitiesSuite,
    FoldersSuite,
    TransfersSuite,
):
    """Every promise of ``paperfleet.storage.protocol``, for one storage.

    Fixtures to give: ``storage``, a fresh and empty storage that is not entered, and ``bypass``, a
    ``Bypass`` to the same files. ``exceptions`` maps names of tests to reasons.
    """
