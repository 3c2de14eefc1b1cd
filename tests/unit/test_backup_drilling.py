"""Of what a drill is red, judged without an installation."""

from __future__ import annotations

import pytest

from paperfleet.backup.drilling import LookedAt, _uncounted
from paperfleet.backup.manifest import BackedUpFile, Manifest
from paperfleet.backup.snapshots import BackupRow
from paperfleet.errors import ConfigurationError
from paperfleet.settings.backup import settings_in

FILE = BackedUpFile(1, "originals", "a.pdf", "a.pdf", 3, "0" * 64)
ROW = BackupRow("1f6a23c4", "paperless", "", "3.0.5", 5, 1, 3, complete=True)
MANIFEST = Manifest("", "3.0.5", "", "", "", 5, (FILE,))
FOUND = LookedAt(5, 5, 5, 5, 0, 0, 3, [])


def test_what_agrees_is_not_red() -> None:
    assert list(_uncounted(ROW, MANIFEST, FOUND)) == []


@pytest.mark.parametrize(
    ("row", "manifest", "found", "says"),
    [
        (ROW._replace(documents=6), MANIFEST, FOUND, "6"),
        (ROW, MANIFEST._replace(documents=7), FOUND, "7"),
        (ROW, MANIFEST, FOUND._replace(documents=4), "4"),
        (ROW._replace(complete=False), MANIFEST, FOUND, "not complete"),
        (ROW, MANIFEST._replace(files=(FILE._replace(fault="x"),)), FOUND, "not complete"),
        (ROW, MANIFEST, FOUND._replace(compared=0), "nothing was compared"),
        (ROW, MANIFEST, FOUND._replace(files=0), "nothing was compared"),
        (ROW, MANIFEST, FOUND._replace(searches=0), "no search"),
    ],
)
def test_what_does_not_is(row: BackupRow, manifest: Manifest, found: LookedAt, says: str) -> None:
    (text,) = _uncounted(row, manifest, found)
    assert says in text


def test_an_address_of_a_heartbeat_is_given_once() -> None:
    given = {"PAPERFLEET_BACKUP_REPOSITORY": "r", "PAPERFLEET_BACKUP_PASSWORD": "p"}
    assert settings_in(given).heartbeat_url is None
    both = {
        "PAPERFLEET_BACKUP_DRILL_HEARTBEAT_URL": "https://x.example",
        "PAPERFLEET_BACKUP_DRILL_HEARTBEAT_URL_FILE": "/x",
    }
    with pytest.raises(ConfigurationError, match="both set"):
        settings_in(given | both)
