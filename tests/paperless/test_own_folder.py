"""With no storage set, a migration back to the local folder that was cut off stops a server."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from tests.paperless.children import SMALL, migrated

if TYPE_CHECKING:
    from pathlib import Path

SERVE = """
import django
django.setup()
from django.conf import settings
from django.test import Client
first, second = Client(raise_request_exception=False), Client(raise_request_exception=False)
print("answers", first.get("/none").status_code, second.get("/none").status_code)
"""
WORK = """
import django
django.setup()
from celery.signals import worker_init
worker_init.send(sender=None)
print("works")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    migrated(SMALL, made)
    return made


def cut_off(folder: Path, source: str) -> None:
    """Leave what a migration leaves that was cut off."""
    with sqlite3.connect(folder / "data_dir" / "db.sqlite3") as database:
        database.execute("DELETE FROM paperfleet_installation")
        database.execute(
            "INSERT INTO paperfleet_installation (identity, migrating_from) VALUES (?, ?)",
            ("0" * 32, source),
        )


@pytest.mark.parametrize(("program", "answer"), [(SERVE, "answers 404 404"), (WORK, "works")])
def test_nothing_serves_from_half_of_the_documents(folder: Path, program: str, answer: str) -> None:
    environment = SMALL.environment(folder)
    own = (folder / "media_root" / "documents").resolve().as_uri()
    for source in ("", own):  # of a migration from here nothing has gone
        cut_off(folder, source)
        done = SMALL.run(["-c", program], environment)
        assert (done.returncode, done.stdout.strip()) == (0, answer), done.stderr
    cut_off(folder, "s3://documents")
    done = SMALL.run(["-c", program], environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "paperfleet: the migration from s3://documents to paperless-ngx's own folder" in (
        done.stderr
    )
    assert "manage.py migrate_storage" in done.stderr


def test_check_says_it_too(folder: Path) -> None:
    cut_off(folder, "s3://documents")
    done = SMALL.run(["manage.py", "check"], SMALL.environment(folder))
    assert done.returncode == 1
    assert "(paperfleet.E002) the migration from s3://documents" in done.stderr
