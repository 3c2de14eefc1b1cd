"""How many requests each operation costs: the table of the docs is what is measured here."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from tests.paperless.children import REPOSITORY, SMALL, migrated
from tests.servers.moto_server import moto_server
from tests.unit.objects_memory import ALL, CREATE, memory_backend
from tests.unit.test_objects_moving import Cut

from paperfleet.storage.bucket import copying
from paperfleet.storage.bucket.features import NONE

if TYPE_CHECKING:
    from pathlib import Path

TABLE = REPOSITORY / "docs" / "reference" / "requests.md"
_ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| ([^|]*) \|$", re.MULTILINE)


LISTED, ASKED_TWICE = 1, 2
"""Requests for a free name: with the store's own listing, and through obstore."""
STORES = {
    "the key is not in the settings, but that of the machine's role": None,
    "a file above 64 MiB": (LISTED, CREATE, 3),
    "conditional copies, S3 (R2)": (LISTED, ALL, 64),
    "conditional copies (Google Cloud Storage, Azure)": (ASKED_TWICE, ALL, 64),
    "no conditional writes (rclone, older stores)": (LISTED, NONE, 64),
}


def rows_of(table: int) -> dict[str, int]:
    """Return what one of the tables of the page says, by the first column."""
    tables = [part for part in TABLE.read_text().split("\n\n") if part.startswith("|")]
    return {name: int(number) for name, number, _ in _ROW.findall(f"\n{tables[table]}\n")}


@pytest.mark.parametrize("store", STORES)
def test_a_rename_costs_what_the_docs_say_on_other_stores(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rows_of(1).keys() == STORES.keys()
    told, kind = rows_of(1)[store], STORES[store]
    if kind is None:
        assert told == rows_of(0)["rename, without an archive version"] + ASKED_TWICE - LISTED
        return
    free, features, most = kind
    monkeypatch.setattr(copying, "THROUGH_MEMORY", most)
    backend = memory_backend(features=features)
    backend.save("old", io.BytesIO(b"document"))
    counted = Cut(backend, 99, after=False)
    backend.end_move(backend.begin_move("old", "new"))
    assert free + counted.count == told


@pytest.mark.timeout(600)
def test_each_operation_costs_what_the_docs_say(tmp_path: Path) -> None:
    data = migrated(SMALL, tmp_path)
    assert data.is_dir()
    with moto_server() as server:
        arguments = ["-m", "tests.paperless.counting", server.endpoint_url, server.bucket]
        done = SMALL.run(arguments, SMALL.environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    told = rows_of(0)
    measured = {name: len(requests) for name, requests in found.items()}
    assert measured == told, json.dumps(found, indent=1)
