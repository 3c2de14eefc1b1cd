"""What third parties may import to test a storage of their own.

``storage_suite.StorageSuite`` proves the promises of the storage protocol,
``lease_suite.LeaseSuite`` those of leases, ``bypass.FolderBypass``
looks past a storage that lives in a folder, ``faults.FaultyStorage`` makes any storage fail on
command.
"""

from __future__ import annotations

import sys

_WITH_ASSERTS = (
    "base",
    "names",
    "files",
    "moves",
    "listing",
    "threads",
    "abilities",
    "folders",
    "transfers",
    "leases",
    "lease_processes",
)

if "pytest" in sys.modules:
    import pytest

    pytest.register_assert_rewrite(*(f"paperfleet.testing.suite_{part}" for part in _WITH_ASSERTS))
