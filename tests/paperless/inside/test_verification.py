"""No reader gets the last byte of what is not the document that the database knows."""

from __future__ import annotations

import copy
import hashlib
import importlib
import io
import json
import logging
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from documents.models import Document
from tests.paperless.inside.stores import memory, store

from paperfleet.errors import IntegrityError
from paperfleet.paperless import checks
from paperfleet.paperless.activation import documents
from paperfleet.paperless.documents import incidents, rows, verification
from paperfleet.paperless.models import Incident

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    Stored = MutableMapping[str, bytes]

OURS = "project" in str(importlib.import_module("documents").__file__)
VERSION = importlib.import_module("paperless.version").__full_version_str__
GOOD = bytes(range(256)) * 5000
BAD = GOOD[:-1] + b"\0"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def row(name: str, content: bytes, *, md5: bool = False) -> Any:  # noqa: ANN401  # a model
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() if md5 else sha256(content)
    about = {"title": name, "filename": name, "checksum": digest, "mime_type": "application/pdf"}
    return Document.objects.bulk_create([Document(**about)])[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(verification, "SETTLE", 0.0)
    verification.own_saves.clear()
    Incident.objects.all().delete()
    yield
    Incident.objects.all().delete()


def pieces(path: Path, size: int) -> tuple[bytes, bool]:
    """Return what could be read in pieces, and whether the end was reached."""
    got = io.BytesIO()
    with path.open("rb") as stream:
        try:
            while data := stream.read(size):
                got.write(data)
        except IntegrityError:
            return got.getvalue(), False
    return got.getvalue(), True


@pytest.mark.parametrize("md5", [False, True])
@pytest.mark.parametrize("size", [1 << 16, 1 << 20, -1, len(GOOD), 999])
def test_the_last_byte_is_given_when_all_are_right(
    originals: Path, stored: Stored, size: int, md5: bool
) -> None:
    row("a.pdf", GOOD, md5=md5)
    stored["originals/a.pdf"] = GOOD
    assert pieces(originals / "a.pdf", size) == (GOOD, True)
    stored["originals/a.pdf"] = BAD
    got, ended = pieces(originals / "a.pdf", size)
    assert not ended
    assert len(got) < len(BAD)
    stored["originals/a.pdf"] = b""
    assert pieces(originals / "a.pdf", size) == (b"", False)


def test_it_is_told_and_counted(
    originals: Path, stored: Stored, caplog: pytest.LogCaptureFixture
) -> None:
    found = row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            with pytest.raises(IntegrityError, match="its bytes are not those of the document"):
                (originals / "a.pdf").read_bytes()
    assert f"document {found.pk}" in caplog.text
    assert "originals/a.pdf" in caplog.text
    (incident,) = incidents.known(incidents.REFUSED)
    assert (incident.document, incident.name, incident.count) == (found.pk, "a.pdf", 2)


def test_it_is_counted_also_where_the_transaction_is_rolled_back(
    originals: Path, stored: Stored
) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    with pytest.raises(IntegrityError), transaction.atomic(), transaction.atomic():
        (originals / "a.pdf").read_bytes()
    assert len(incidents.known(incidents.REFUSED)) == 1


@pytest.mark.skipif(VERSION.startswith("2."), reason="paperless-ngx 2 keeps its MD5")
def test_a_damaged_document_keeps_its_md5_when_the_others_get_a_sha256(
    originals: Path, stored: Stored, caplog: pytest.LogCaptureFixture
) -> None:
    migration = importlib.import_module("documents.migrations.0016_sha256_checksums")
    md5 = hashlib.md5(GOOD, usedforsecurity=False).hexdigest()
    names = ("good.pdf", "bad.pdf")
    documents = [row(name, GOOD, md5=True) for name in names]
    stored["originals/good.pdf"], stored["originals/bad.pdf"] = GOOD, BAD
    with transaction.atomic():
        migration.recompute_checksums(apps, None)
    found = [Document.objects.get(pk=document.pk).checksum for document in documents]
    assert found == [sha256(GOOD), md5]
    assert "bad.pdf: its bytes are not those of the document" in caplog.text
    (incident,) = incidents.known(incidents.REFUSED)
    assert (incident.document, incident.name) == (documents[1].pk, "bad.pdf")
    assert pieces(originals / "good.pdf", 999) == (GOOD, True)
    with pytest.raises(IntegrityError):
        (originals / "bad.pdf").read_bytes()


def test_tables_of_an_older_version_are_asked_nothing(originals: Path, stored: Stored) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    field = Document._meta.get_field("archive_checksum")
    older = copy.copy(field)
    older.column = older.name = "archive_checksum_of_old"
    rows.before_migrate()
    try:
        with connection.schema_editor() as editor:
            editor.alter_field(Document, field, older)
        assert (originals / "a.pdf").read_bytes() == BAD, "there is nothing to compare it with"
    finally:
        with connection.schema_editor() as editor:
            editor.alter_field(Document, older, field)
        rows.after_migrate()
    with pytest.raises(IntegrityError):
        (originals / "a.pdf").read_bytes()


def test_jumps_back_are_proven_and_a_part_is_passed_on(originals: Path, stored: Stored) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    with (originals / "a.pdf").open("rb") as stream:
        stream.seek(-100, io.SEEK_END)
        assert stream.read() == BAD[-100:], "a part has no checksum"
        stream.seek(0)
        assert stream.read(2000) == BAD[:2000]
        stream.seek(1000)
        with pytest.raises(IntegrityError):
            stream.read()


def test_what_no_row_knows_is_read(originals: Path, stored: Stored) -> None:
    stored["originals/a.pdf"] = BAD
    assert (originals / "a.pdf").read_bytes() == BAD
    row("b.pdf", GOOD)
    Document.objects.filter(filename="b.pdf").update(checksum="")
    stored["originals/b.pdf"] = BAD
    assert (originals / "b.pdf").read_bytes() == BAD


def test_what_this_process_replaced_is_read_before_the_row_knows(
    originals: Path, stored: Stored
) -> None:
    """As paperless-ngx 2 does when it rotates."""
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = GOOD
    (originals / "a.pdf").write_bytes(BAD)
    assert (originals / "a.pdf").read_bytes() == BAD
    assert Path(original_copy(originals / "a.pdf")).read_bytes() == BAD
    stored["originals/a.pdf"] = BAD + b"x"
    with pytest.raises(IntegrityError):
        (originals / "a.pdf").read_bytes()


def test_a_checksum_that_is_committed_meanwhile_counts(
    originals: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD

    def commit(_: float) -> None:
        Document.objects.filter(filename="a.pdf").update(checksum=sha256(BAD))

    monkeypatch.setattr(verification, "SETTLE", 30.0)
    monkeypatch.setattr(time, "sleep", commit)
    assert (originals / "a.pdf").read_bytes() == BAD
    assert incidents.known() == []


def test_a_document_that_was_moved_while_it_was_read_is_no_damage(
    originals: Path, stored: Stored
) -> None:
    found = row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    with (originals / "a.pdf").open("rb") as stream:
        Document.objects.filter(pk=found.pk).update(filename="b.pdf")
        with pytest.raises(IntegrityError, match="moved or deleted while it was read"):
            stream.read()
    assert incidents.known() == []


def original_copy(path: Path) -> str:
    return path.__fspath__()


def test_programs_and_archives_get_no_wrong_bytes(
    originals: Path, stored: Stored, tmp_path: Path
) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    with pytest.raises(IntegrityError):
        subprocess.run(["/bin/cat", originals / "a.pdf"], check=True, stdout=subprocess.DEVNULL)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive, pytest.raises(IntegrityError):
        archive.write(originals / "a.pdf", "a.pdf")


def test_a_local_copy_that_was_damaged_is_fetched_anew(originals: Path, stored: Stored) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = GOOD
    copy = Path(original_copy(originals / "a.pdf"))
    copy.chmod(0o644)
    from paperfleet.paperless.documents import active

    with active.unmounted():
        fault = io.FileIO(_descriptor(copy), "r+b")
        fault.write(BAD[::-1])
        fault.close()
    assert Path(original_copy(originals / "a.pdf")).read_bytes() == GOOD


def _descriptor(path: Path) -> int:
    """Open for writing past the net, as a broken disk would."""
    from paperfleet.paperless.documents import active

    folder = active.scratch.copies.folder
    active.scratch.copies.folder = folder / "elsewhere"
    try:
        import os

        return os.open(path, os.O_RDWR)
    finally:
        active.scratch.copies.folder = folder


def test_a_copy_of_bytes_that_were_right_once_is_not_used_for_other_ones(
    originals: Path, stored: Stored
) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = GOOD
    original_copy(originals / "a.pdf")
    Document.objects.filter(filename="a.pdf").update(checksum=sha256(b"another"))
    with pytest.raises(IntegrityError):
        original_copy(originals / "a.pdf")


@pytest.mark.skipif(not OURS, reason="its views ask for a user")
def test_a_download_is_cut_before_its_last_byte(stored: Stored) -> None:
    found = row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    answer = Client().get(f"/documents/{found.pk}/download/")
    got = io.BytesIO()
    with pytest.raises(IntegrityError):
        got.writelines(answer)
    assert len(got.getvalue()) < len(BAD)
    assert answer["Content-Length"] == str(len(BAD)), "the client sees that it was cut"


def check(*options: str) -> tuple[int, dict[str, Any]]:
    output = io.StringIO()
    code = 0
    try:
        call_command(
            "paperfleet_check",
            "--json",
            "--take-ownership",  # the storage of these tests is emptied between them
            *options,
            stdout=output,
            stderr=io.StringIO(),
        )
    except SystemExit as ended:
        code = int(str(ended.code))
    return code, json.loads(output.getvalue())


def test_a_check_reads_bytes_unless_it_is_told_to_be_fast(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store whose own word is right, and whose bytes are not: a cache in front of it."""
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    told = type(memory).list_stats
    monkeypatch.setattr(
        type(memory),
        "list_stats",
        lambda *names: (found._replace(sha256=sha256(GOOD)) for found in told(*names)),
    )
    store.calls.clear()
    code, found = check("--fast")
    assert (code, found["vouched"], found["read"]) == (0, 1, 0)
    assert store.count("open") <= 1, "the mark of the storage"
    code, found = check()
    assert (code, found["vouched"], found["read"]) == (1, 0, 1)
    assert [one["name"] for one in found["damaged"]] == ["originals/a.pdf"]


def test_what_was_refused_is_red_until_its_bytes_were_found_right(
    originals: Path, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    row("a.pdf", GOOD)
    stored["originals/a.pdf"] = BAD
    with pytest.raises(IntegrityError):
        (originals / "a.pdf").read_bytes()
    stored["originals/a.pdf"] = GOOD
    code, found = check("--quick")
    assert code == 1
    assert "readers were cut off 1 times" in found["refused"][0]
    monkeypatch.setattr("sys.argv", ["manage.py", "check"])
    assert "paperfleet.W102" in [message.id for message in checks.document_storage()]
    code, found = check()
    assert (code, found["refused"]) == (0, [])
    assert "Its bytes are right now" in found["notes"][0]
    assert incidents.known() == []
    assert documents.roots
