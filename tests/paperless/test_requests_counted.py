"""How many requests each operation costs: the table of the docs is what is measured here."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from tests.paperless.children import REPOSITORY, SMALL, migrated
from tests.servers.moto_server import moto_server

if TYPE_CHECKING:
    from pathlib import Path

TABLE = REPOSITORY / "docs" / "reference" / "requests.md"
_ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| ([^|]*) \|$", re.MULTILINE)


@pytest.mark.timeout(200)
def test_each_operation_costs_what_the_docs_say(tmp_path: Path) -> None:
    data = migrated(SMALL, tmp_path)
    assert data.is_dir()
    with moto_server() as server:
        arguments = ["-m", "tests.paperless.counting", server.endpoint_url]
        done = SMALL.run(arguments, SMALL.environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    told = {name: int(number) for name, number, _ in _ROW.findall(TABLE.read_text())}
    measured = {name: len(requests) for name, requests in found.items()}
    assert measured == told, json.dumps(found, indent=1)
