"""A document's life through the REST API of a real installation, on each S3 server."""

from __future__ import annotations

import io
import re
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.paperless import agreement, checkout, papers
from tests.paperless.conftest import make
from tests.paperless.smtp_sink import smtp_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Bucket, Installation, Servers
    from tests.paperless.rest import Rest
    from tests.paperless.smtp_sink import SmtpSink
    from tests.servers.s3 import S3Bypass

pytestmark = [pytest.mark.paperless, pytest.mark.usefixtures("agreed")]

MEDIA_LOCK = {"moto": "redis", "rclone": "postgres"}


@pytest.fixture(scope="module")
def mails() -> Iterator[SmtpSink]:
    with smtp_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def paperless(
    servers: Servers,
    bucket: Bucket,
    kind: str,
    mails: SmtpSink,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp(f"documents-{kind}")
    settings = {
        "PAPERFLEET_MEDIA_LOCK": MEDIA_LOCK[kind],
        "PAPERLESS_EMAIL_HOST": "127.0.0.1",
        "PAPERLESS_EMAIL_PORT": str(mails.port),
        "PAPERLESS_EMAIL_FROM": "paperless@example.invalid",
        "PAPERLESS_EMAIL_ALLOW_INTERNAL_HOSTS": "true",
    }
    with make(servers, folder, bucket, **settings) as installation:
        installation.start()
        yield installation


def keys_of(installation: Installation, number: int) -> set[str]:
    """Return the keys of a document's files, as the database has them."""
    return set(agreement.row_of(installation, number).names)


def change(rest: Rest, number: int, method: str, **how: object) -> None:
    """Change a document's pages, and wait: v3 makes a version of it, v2 replaces its file."""
    before = rest.metadata(number)["original_checksum"]
    rest.bulk_edit(method, [number], **how)
    rest.until(lambda: rest.metadata(number)["original_checksum"] != before, method)
    rest.wait_until_idle()


def test_an_uploaded_scan_with_archive_and_thumbnail(rest: Rest, objects: S3Bypass) -> None:
    content = papers.scan("Invoice four hundred and seven")
    number = rest.upload("scan.png", content, title="A scan")
    about = rest.metadata(number)
    assert objects.read(f"originals/{about['media_filename']}") == content
    archive = objects.read(f"archive/{about['archive_media_filename']}")
    assert archive.startswith(b"%PDF")
    assert "hundred" in rest.document(number)["content"], "it was read by OCR"
    assert rest.get(f"documents/{number}/thumb/").content[:4] == b"RIFF"
    assert rest.download(number, original=False).content == archive
    assert about["original_size"] == len(content)
    assert about["archive_size"] == len(archive)


def test_a_file_in_the_consume_folder(
    paperless: Installation, rest: Rest, objects: S3Bypass
) -> None:
    content = papers.pdf()
    arriving = paperless.consume / "post" / "letter.pdf"
    arriving.parent.mkdir()
    arriving.with_suffix(".part").write_bytes(content)
    arriving.with_suffix(".part").rename(arriving)
    (found,) = rest.until(lambda: rest.documents(title__istartswith="letter"), "the consumer")
    assert objects.read(f"originals/{rest.metadata(found['id'])['media_filename']}") == content
    rest.until(lambda: not arriving.exists(), "the removal of the consumed file")


def test_views_and_downloads(rest: Rest) -> None:
    content = papers.pdf(pages=3)
    number = rest.upload("views.pdf", content)
    assert rest.download(number).content == content
    assert rest.get(f"documents/{number}/preview/", params={"original": "true"}).content == content
    part = rest.download(number, headers={"Range": "bytes=5-9"})
    expected = {200: content, 206: content[5:10]}  # upstream answers in whole, as HTTP allows
    assert part.content == expected[part.status_code]
    plain = rest.download(number, headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["content-length"]) == len(content)


def test_bulk_download(rest: Rest) -> None:
    contents = [papers.pdf(), papers.plain()]
    numbers = [
        rest.upload("first.pdf", contents[0], title="first"),
        rest.upload("second.txt", contents[1], title="second"),
    ]
    for what, count in (("originals", 2), ("both", 3), ("archive", 2)):
        answer = rest.post(
            "documents/bulk_download/",
            json={"documents": numbers, "content": what, "follow_formatting": what == "both"},
        )
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            found = [archive.read(name) for name in archive.namelist()]
        assert len(found) == count, what
        if what != "archive":
            assert set(contents) <= set(found), what


def test_a_storage_path_and_a_title_rename_the_files(
    paperless: Installation, rest: Rest, objects: S3Bypass
) -> None:
    content = papers.pdf()
    number = rest.upload("rename.pdf", content, title="to be moved")
    before = keys_of(paperless, number)
    path = rest.post(
        "storage_paths/", json={"name": "by title", "path": "moved/{{ created_year }}/{{ title }}"}
    ).json()["id"]
    rest.patch(f"documents/{number}/", json={"storage_path": path})
    year = rest.document(number)["created"][:4]
    expected = {f"{area}/moved/{year}/to be moved.pdf" for area in ("originals", "archive")}
    assert keys_of(paperless, number) == expected
    assert not before & objects.names(), "it is still there under the old name"
    rest.patch(f"documents/{number}/", json={"title": "Überwiesen 📄"})
    assert keys_of(paperless, number) == {
        f"{area}/moved/{year}/Überwiesen 📄.pdf" for area in ("originals", "archive")
    }
    assert objects.read(f"originals/moved/{year}/Überwiesen 📄.pdf") == content


def test_a_changed_storage_path_moves_all_of_its_documents(
    paperless: Installation, rest: Rest, objects: S3Bypass
) -> None:
    path = rest.post("storage_paths/", json={"name": "many", "path": "old/{{ title }}"}).json()[
        "id"
    ]
    contents = {f"note {n}": papers.plain() for n in range(3)}
    numbers = [
        rest.upload(f"{title}.txt", content, title=title, storage_path=path)
        for title, content in contents.items()
    ]
    rest.patch(f"storage_paths/{path}/", json={"path": "new/{{ title }}"})
    wanted = {f"originals/new/{title}.txt" for title in contents}
    rest.until(lambda: wanted <= objects.names(), "the move of all documents")
    rest.wait_until_idle()
    assert {rest.download(number).content for number in numbers} == set(contents.values())
    assert not any(name.startswith("originals/old/") for name in objects.names())
    assert {key for number in numbers for key in keys_of(paperless, number)} == wanted


def test_equal_titles_get_different_names(rest: Rest, paperless: Installation) -> None:
    path = rest.post("storage_paths/", json={"name": "same", "path": "same/{{ title }}"}).json()[
        "id"
    ]
    numbers = [
        rest.upload(f"{n}.txt", papers.plain(), title="the same", storage_path=path)
        for n in range(2)
    ]
    assert len({key for number in numbers for key in keys_of(paperless, number)}) == 2


def test_reprocess_makes_the_archive_again(
    paperless: Installation, rest: Rest, objects: S3Bypass
) -> None:
    content = papers.pdf()
    number = rest.upload("again.pdf", content)

    def archive() -> bytes:
        name = next(key for key in keys_of(paperless, number) if key.startswith("archive/"))
        return objects.read(name)

    before = archive()
    time.sleep(1.1)  # PDFs name the second in which they were made
    rest.bulk_edit("reprocess", [number])
    rest.until(lambda: archive() != before, "the new archive")
    rest.wait_until_idle()
    assert rest.download(number, original=False).content == archive()
    assert rest.download(number).content == content


def test_rotate(rest: Rest) -> None:
    content = papers.pdf(pages=2)
    number = rest.upload("turn.pdf", content)
    change(rest, number, "rotate", degrees=90)
    turned = rest.download(number).content
    assert turned != content
    assert b"/Rotate 90" in turned


def test_delete_pages(rest: Rest) -> None:
    number = rest.upload("pages.pdf", papers.pdf(pages=3))
    change(rest, number, "delete_pages", pages=[2])
    assert len(re.findall(rb"/Type\s*/Page\b", rest.download(number).content)) == 2


def test_split_and_merge(rest: Rest) -> None:
    number = rest.upload("both.pdf", papers.pdf(pages=3), title="whole")
    before = len(rest.documents())
    rest.bulk_edit("split", [number], pages="1,2-3")
    found = rest.wait_for_documents(before + 2)
    parts = sorted(one["id"] for one in found if one["title"].startswith("whole (split"))
    assert sorted(rest.document(part)["page_count"] for part in parts) == [1, 2]
    rest.bulk_edit("merge", parts, metadata_document_id=parts[0])
    found = rest.wait_for_documents(before + 3)
    (merged,) = (one for one in found if one["title"].endswith("(merged)"))
    assert rest.document(merged["id"])["page_count"] == 3
    rest.wait_until_idle()


def test_versions(paperless: Installation, rest: Rest, objects: S3Bypass) -> None:
    if paperless.checkout.version < (3, 0, 0):
        pytest.skip("documents have versions since v3")
    first, second = papers.pdf(), papers.pdf()
    number = rest.upload("first.pdf", first, title="twice")
    answer = rest.post(f"documents/{number}/update_version/", files={"document": ("2.pdf", second)})
    rest.task(answer.json())
    assert rest.download(number).content == second
    versions = [one["id"] for one in rest.document(number)["versions"]]
    assert len(versions) == 2
    assert (
        rest.get(
            f"documents/{number}/download/", params={"original": "true", "version": number}
        ).content
        == first
    )
    contents = [objects.read(name) for name in objects.names() if name.startswith("originals/")]
    assert {first, second} <= set(contents)
    newest = max(versions)
    deleted = keys_of(paperless, newest)
    rest.delete(f"documents/{number}/versions/{newest}/")
    assert rest.download(number).content == first
    assert deleted <= objects.names(), "what is in the trash is kept"


def test_mail_of_documents(rest: Rest, mails: SmtpSink) -> None:
    content, subject = papers.pdf(), papers.new_text()
    number = rest.upload("mail.pdf", content)
    rest.post(
        "documents/email/",
        json={
            "documents": [number],
            "addresses": "somebody@example.invalid",
            "subject": subject,
            "message": "see the attachment",
            "use_archive_version": False,
        },
    )
    assert mails.attachments(subject, 30) == [content]


def test_mail_of_a_workflow(rest: Rest, mails: SmtpSink) -> None:
    content, subject = papers.pdf(), papers.new_text()
    rest.post(
        "workflows/",
        json={
            "name": "mail it",
            "order": 1,
            "triggers": [{"type": 2, "filter_filename": "workflow-*", "sources": [1, 2, 3, 4]}],
            "actions": [
                {
                    "type": 3,
                    "email": {
                        "subject": subject,
                        "body": "see the attachment",
                        "to": "somebody@example.invalid",
                        "include_document": True,
                    },
                }
            ],
        },
    )
    rest.upload("workflow-note.pdf", content)
    assert mails.attachments(subject, 60) == [content]


def test_share_links(paperless: Installation, rest: Rest) -> None:
    content = papers.pdf()
    number = rest.upload("shared.pdf", content)
    link = rest.post("share_links/", json={"document": number, "file_version": "original"}).json()
    anonymous = rest.build_request("GET", f"{paperless.url}/share/{link['slug']}")
    anonymous.headers.pop("Authorization")
    assert rest.send(anonymous).content == content


def test_a_bundle_of_share_links(paperless: Installation, rest: Rest) -> None:
    if paperless.checkout.version < (3, 0, 0):
        pytest.skip("there are bundles since v3")
    contents = [papers.plain(), papers.plain()]
    numbers = [rest.upload(f"bundle {n}.txt", text) for n, text in enumerate(contents)]
    bundle = rest.post(
        "share_link_bundles/", json={"document_ids": numbers, "file_version": "original"}
    ).json()

    def ready() -> bool:
        return bool(rest.get(f"share_link_bundles/{bundle['id']}/").json()["status"] == "ready")

    rest.until(ready, "the bundle")
    answer = rest.get(f"{paperless.url}/share/{bundle['slug']}")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(map(archive.read, archive.namelist())) == sorted(contents)


def test_trash(paperless: Installation, rest: Rest, objects: S3Bypass) -> None:
    content = papers.pdf()
    number = rest.upload("trash.pdf", content)
    keys = keys_of(paperless, number)
    rest.delete(f"documents/{number}/")
    assert keys <= objects.names(), "what is in the trash is kept"
    rest.post("trash/", json={"documents": [number], "action": "restore"})
    assert rest.download(number).content == content
    rest.delete(f"documents/{number}/")
    rest.post("trash/", json={"documents": [number], "action": "empty"})
    assert not keys & objects.names(), "what was deleted is gone"
    rest.wait_until_idle()


def test_a_user_of_pypaperless(
    paperless: Installation, rest: Rest, objects: S3Bypass, tmp_path: Path
) -> None:
    python = checkout.client_python()
    if python is None:
        pytest.skip(f"{checkout.CLIENT_PYTHON} names no Python with pypaperless 6")
    if paperless.checkout.version < (3, 0, 0):
        pytest.skip("pypaperless 6 is for v3")
    sent = {name: papers.pdf(pages=3) for name in ("first.pdf", "second.pdf", "version.pdf")}
    for name, content in sent.items():
        (tmp_path / name).write_bytes(content)
    program = Path(__file__).with_name("pypaperless_user.py")
    answer = subprocess.run(
        [python, program, paperless.url, rest.token, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert answer.returncode == 0, answer.stdout
    assert (tmp_path / "downloaded.pdf").read_bytes() == sent["first.pdf"]
    assert (tmp_path / "restored.pdf").read_bytes() == sent["second.pdf"]
    assert (tmp_path / "downloaded-version.pdf").read_bytes() == sent["version.pdf"]
    assert objects.read("originals/by-pypaperless/renamed.pdf") == sent["first.pdf"]
    assert rest.document(int(answer.stdout))["title"] == "renamed"
    rest.wait_until_idle()
