"""Management commands and consume scripts of a real installation, on each S3 server."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.paperless import agreement, papers
from tests.paperless.conftest import make
from tests.paperless.installation import Bucket, Installation
from tests.servers.s3 import new_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Servers
    from tests.servers.s3 import S3Bypass

pytestmark = [pytest.mark.paperless, pytest.mark.usefixtures("agreed")]

SCRIPT = """\
#!/bin/sh
# Says what a user's script sees: the paths that it is given, and the content that it reads there.
for name in DOCUMENT_SOURCE_PATH DOCUMENT_WORKING_PATH DOCUMENT_ARCHIVE_PATH; do
    eval "path=\\$$name"
    if [ -f "$path" ]; then
        echo "$name $(sha256sum < "$path" | cut -d ' ' -f 1) $path" >> {log}
    fi
done
"""


def script(folder: Path, name: str) -> Path:
    """Make a script that writes what it sees to ``NAME.log``."""
    path = folder / f"{name}.sh"
    path.write_text(SCRIPT.format(log=folder / f"{name}.log"))
    path.chmod(0o755)
    return path


def seen(folder: Path, name: str) -> dict[str, tuple[str, Path]]:
    """Return what the script saw: for each variable the hash of the content, and the path."""
    lines = (folder / f"{name}.log").read_text().splitlines()
    return {
        variable: (digest, Path(path))
        for variable, digest, path in (line.split(" ", 2) for line in lines)
    }


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return {"a scan.png": papers.scan(), "a letter.pdf": papers.pdf(), "a note.txt": papers.plain()}


@pytest.fixture(scope="module")
def paperless(
    servers: Servers,
    bucket: Bucket,
    kind: str,
    contents: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """Run an installation with one document of each kind; web server and worker have ended."""
    folder = tmp_path_factory.mktemp(f"commands-{kind}")
    settings = {
        "PAPERLESS_PRE_CONSUME_SCRIPT": str(script(folder, "pre")),
        "PAPERLESS_POST_CONSUME_SCRIPT": str(script(folder, "post")),
    }
    with make(servers, folder, bucket, **settings) as installation:
        installation.start("web", "worker")
        with closing(installation.rest()) as rest:
            for name, content in contents.items():
                rest.upload(name, content)
        installation.stop_all()
        yield installation


def archives(objects: S3Bypass) -> dict[str, bytes]:
    """Return all archive files."""
    return {name: objects.read(name) for name in objects.names() if name.startswith("archive/")}


def test_scripts_get_readable_local_paths(
    paperless: Installation, objects: S3Bypass, contents: dict[str, bytes]
) -> None:
    before, after = seen(paperless.folder, "pre"), seen(paperless.folder, "post")
    last = sha256(contents["a note.txt"])
    assert before["DOCUMENT_WORKING_PATH"][0] == last
    assert after["DOCUMENT_SOURCE_PATH"][0] == last
    hashes = {sha256(content) for content in archives(objects).values()}
    assert after["DOCUMENT_ARCHIVE_PATH"][0] in hashes
    originals = paperless.media / "documents"
    assert not any(path.is_relative_to(originals) for _, path in after.values())


def test_the_sanity_checker_reads_the_storage(
    paperless: Installation, objects: S3Bypass, contents: dict[str, bytes]
) -> None:
    assert "issues" in paperless.manage("document_sanity_checker", "--no-progress-bar").lower()
    (name,) = (
        name
        for name in objects.names()
        if name.startswith("originals/") and objects.read(name) == contents["a letter.pdf"]
    )
    objects.write(name, contents["a letter.pdf"] + b"damaged")
    try:
        damaged = paperless.manage("document_sanity_checker", "--no-progress-bar")
    finally:
        objects.write(name, contents["a letter.pdf"])
    told = "its bytes are not those of the document"
    assert told in damaged, "the reader is cut off before there is a checksum to compare"
    assert "paperfleet.W102" in paperless.manage("check"), "it is told until the bytes are right"
    healthy = paperless.manage("document_sanity_checker", "--no-progress-bar")
    assert told not in healthy
    assert "all agree" in paperless.manage("paperfleet_check")


def test_thumbnails_are_made_again(paperless: Installation) -> None:
    thumbnails = sorted((paperless.media / "documents" / "thumbnails").glob("*.webp"))
    assert len(thumbnails) == 3
    for path in thumbnails:
        path.unlink()
    paperless.manage("document_thumbnails", "--no-progress-bar", "--processes", "1")
    assert all(path.stat().st_size for path in thumbnails)


def test_the_archiver_makes_archives_again(paperless: Installation, objects: S3Bypass) -> None:
    before = archives(objects)
    paperless.manage("document_archiver", "--overwrite", "--no-progress-bar", "--processes", "1")
    after = archives(objects)
    assert before.keys() == after.keys()
    assert before != after


def test_the_renamer_follows_a_new_format(paperless: Installation, objects: S3Bypass) -> None:
    paperless.manage(
        "document_renamer",
        "--no-progress-bar",
        environ={"PAPERLESS_FILENAME_FORMAT": "named/{{ title }}"},
    )
    assert "originals/named/a letter.pdf" in objects.names()


def test_export_and_import_into_a_fresh_database_and_bucket(
    paperless: Installation,
    servers: Servers,
    bucket: Bucket,
    contents: dict[str, bytes],
    objects: S3Bypass,
    tmp_path: Path,
) -> None:
    target = tmp_path / "export"
    target.mkdir()
    paperless.manage("document_exporter", str(target), "--no-progress-bar")
    exported = {sha256(path.read_bytes()) for path in target.rglob("*") if path.is_file()}
    assert {sha256(content) for content in contents.values()} <= exported
    assert {sha256(content) for content in archives(objects).values()} <= exported
    unchanged = {path: path.stat().st_ino for path in target.glob("*.pdf")}
    paperless.manage("document_exporter", str(target), "--no-progress-bar", "--compare-checksums")
    assert unchanged == {path: path.stat().st_ino for path in target.glob("*.pdf")}
    fresh = Bucket(bucket.server, new_location())
    with make(servers, tmp_path / "fresh", fresh) as other:
        other.manage("document_importer", str(target), "--no-progress-bar")
        there = agreement.bypass(fresh)
        agreement.compare(other, there).require_agreement()
        assert other.local_documents() == []
        assert _originals(there) == sorted(contents.values())
        assert len(agreement.rows(other)) == len(contents)


def _originals(objects: S3Bypass) -> list[bytes]:
    return sorted(objects.read(name) for name in objects.names() if name.startswith("originals/"))


def test_export_to_a_zip_file(
    paperless: Installation, contents: dict[str, bytes], tmp_path: Path
) -> None:
    paperless.manage("document_exporter", str(tmp_path), "--zip", "--no-progress-bar")
    (path,) = tmp_path.glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        found = {sha256(archive.read(name)) for name in archive.namelist()}
        assert json.loads(archive.read("manifest.json"))
    assert {sha256(content) for content in contents.values()} <= found


def test_the_check_says_that_all_is_well(paperless: Installation) -> None:
    assert "paperfleet" not in paperless.manage("check")


def test_a_bucket_of_another_database_is_refused(
    servers: Servers, bucket: Bucket, objects: S3Bypass, tmp_path: Path
) -> None:
    before = objects.names()
    with make(servers, tmp_path / "other", bucket) as other:
        answer = other.manage("check", code=1)
        assert "belongs to another database" in answer
    assert objects.names() == before
