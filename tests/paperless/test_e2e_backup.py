"""A real installation is backed up while it consumes, and restored into one with another storage.

Everything is compared through the API, byte by byte.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.paperless import backup_kit, papers
from tests.paperless.conftest import make, s3_server
from tests.paperless.installation import Bucket
from tests.servers.s3 import new_location
from tests.wide import first_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.paperless.installation import Installation, Servers
    from tests.paperless.rest import Rest

pytestmark = [
    pytest.mark.paperless,
    pytest.mark.skipif(bool(backup_kit.MISSING), reason=backup_kit.MISSING),
    pytest.mark.timeout(5400),
]
DOCUMENTS = 200
"""So many in all; a fifth of them are still to be consumed when the backup begins."""
_FRACTION = re.compile(r"(?<=T\d\d:\d\d:\d\d)\.(\d{3})\d{3}(?=Z|[+-]\d\d:\d\d)")
_OF_THE_MOMENT = {"modified", "permissions", "user_can_change"}


@pytest.mark.parametrize("way", first_of(["local to bucket", "bucket to local"]), ids=str)
def test_a_backup_while_documents_come_is_restored_into_another_storage(
    servers: Servers, tmp_path: Path, way: str
) -> None:
    with ExitStack() as stack:
        bucket = Bucket(stack.enter_context(s3_server("moto")), new_location())
        here, there = (None, bucket) if way.startswith("local") else (bucket, None)
        old = stack.enter_context(make(servers, tmp_path / "old", here))
        old.start("web", "worker")
        rest = stack.enter_context(closing(old.rest()))
        _fill(rest, DOCUMENTS * 4 // 5, is_new=old.checkout.version >= (3, 0, 0))
        before = _everything(rest)
        tasks = [
            rest.post_document(f"late {number}.txt", papers.plain())
            for number in range(DOCUMENTS // 5)
        ]
        taken = json.loads(_backup(old, tmp_path, "run", "--init", "--json"))
        assert taken["complete"]
        for task in tasks:
            rest.task(task, timeout=1800)
        old.wait_until_tasks_ended()
        after = _everything(rest)
        assert len(after) >= DOCUMENTS
        old.stop_all()

        new = stack.enter_context(make(servers, tmp_path / "new", there))
        assert "proven by SHA-256" in _backup(new, tmp_path, "restore")
        assert "all agree" in new.manage(
            "paperfleet_check", environ={"PAPERLESS_APPS": "paperfleet.paperless"}
        )
        new.start("web")
        with closing(new.rest()) as restored:
            found = _everything(restored)
        assert before.keys() <= found.keys() <= after.keys()
        for key, value in found.items():
            for now, before_it in zip(value, after[key], strict=True):
                assert now == before_it, key
        assert _rows(found) == taken["documents"]
        new.stop_all()

        drill = json.loads(_backup(old, tmp_path, "drill", "--json"))
        assert (drill["outcome"], drill["reasons"]) == ("green", [])
        assert drill["compared"] == drill["documents"] == taken["documents"]
        assert drill["pdfs"] > 0
        assert drill["searches"] == 3


def _rows(found: dict[str, Any]) -> int:
    """Return how many documents these are; a version, of 3.0 on, is one of its own."""
    older = sum(
        len(value[0].get("versions") or ["itself"]) - 1
        for key, value in found.items()
        if key.startswith("document ")
    )
    return older + sum(key.startswith(("document ", "trash ")) for key in found)


def _fill(rest: Rest, count: int, *, is_new: bool) -> None:
    """Make documents of all kinds, and what belongs to them."""
    tag = rest.post("tags/", json={"name": "bills"}).json()["id"]
    field = rest.post("custom_fields/", json={"name": "amount", "data_type": "string"}).json()["id"]
    kinds = [("txt", papers.plain)] * 6 + [("pdf", papers.pdf)] * 3 + [("png", papers.scan)]
    wanted = [kinds[number % len(kinds)] for number in range(count - is_new)]
    tasks = [
        rest.post_document(f"{number}.{kind}", content(), title=f"Täg {number}", tags=tag)
        for number, (kind, content) in enumerate(wanted)
    ]
    numbers = [int(rest.task(task, timeout=1800)["related_document"]) for task in tasks]
    first, second, *_ = numbers
    rest.patch(
        f"documents/{first}/", json={"custom_fields": [{"field": field, "value": "12.50 EUR"}]}
    )
    rest.post(f"documents/{first}/notes/", json={"note": "paid"})
    if is_new:
        answer = rest.post(
            f"documents/{second}/update_version/", files={"document": ("2.pdf", papers.pdf())}
        )
        rest.task(str(answer.json()))
        for number in numbers[-3:]:
            rest.delete(f"documents/{number}/")


def _exported(value: object) -> object:
    """Return what the API says with times as the exporter writes them: without microseconds.

    Django's encoder of JSON cuts them (``django.core.serializers.json``).
    """
    if isinstance(value, dict):
        return {key: _exported(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_exported(one) for one in value]
    if isinstance(value, str):
        return _FRACTION.sub(lambda found: "" if found[1] == "000" else f".{found[1]}", value)
    return value


def _everything(rest: Rest) -> dict[str, Any]:
    """Return what the API says of every document, with its files, of the trash, and of the rest."""
    found: dict[str, Any] = {}
    for one in rest.documents():
        number = one["id"]
        record = {key: value for key, value in one.items() if key not in _OF_THE_MOMENT}
        original, archive = (rest.download(number, original=kind).content for kind in (True, False))
        thumbnail = rest.get(f"documents/{number}/thumb/").content
        metadata = rest.metadata(number)
        sums = metadata["original_checksum"], metadata["archive_checksum"]
        notes = [one["note"] for one in rest.get(f"documents/{number}/notes/").json()]
        found[f"document {number}"] = _exported(record), original, archive, thumbnail, sums, notes
    for one in rest.get("trash/", params={"page_size": 1000}).json()["results"]:
        found[f"trash {one['id']}"] = one["title"], one["original_file_name"]
    for kind in ("tags", "custom_fields", "workflows", "saved_views"):
        for one in rest.get(f"{kind}/", params={"page_size": 1000}).json()["results"]:
            found[f"{kind} {one['id']}"] = one["name"]
    return found


def _backup(installation: Installation, folder: Path, *words: str) -> str:
    environ = installation.environ | {
        "PAPERLESS_SRC": str(installation.checkout.src),
        "PAPERLESS_PYTHON": str(installation.checkout.python),
        "PAPERFLEET_BACKUP_REPOSITORY": str(folder / "repository"),
        "PAPERFLEET_BACKUP_PASSWORD": backup_kit.PASSWORD,
        "PAPERFLEET_BACKUP_FOLDER": str(installation.folder / "backup"),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "paperfleet", "backup", *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
