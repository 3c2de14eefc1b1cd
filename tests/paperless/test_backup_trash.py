"""The trash in a backup of paperless-ngx 2, whose export leaves it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.paperless import backup_kit
from tests.paperless.backup_kit import SmallInstallation

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(300),
]


def test_it_is_restored_with_its_files(tmp_path: Path) -> None:
    old = SmallInstallation(backup_kit.model(tmp_path / "old"))
    new = SmallInstallation(backup_kit.empty(tmp_path / "new"))
    for one in (old, new):
        one.variables["PAPERFLEET_TEST_VERSION"] = "2.20.15"
    taken = old.run("--init")
    assert (taken["complete"], taken["documents"], taken["files"]) == (True, 3, 8)
    old.backup("restore", "--to", str(tmp_path / "out"))
    database = tmp_path / "out" / "data" / "database"
    exported = json.loads((database / "manifest.json").read_text())
    kept = json.loads((database / "trash.json").read_text())
    assert [one["pk"] for one in exported if one["model"] == "documents.document"] == [1, 2]
    assert [one["pk"] for one in kept] == [3]
    new.backup("restore")
    assert new.rows() == old.rows()
    assert new.files() == old.files()
    assert "proven by SHA-256" in new.backup("restore"), "once more changes nothing"
