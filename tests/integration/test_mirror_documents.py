"""The documents of a paperless-ngx as a source: the engine of a folder's mirror, on each target."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.integration.conftest import BUCKET, PLACES, make_place
from tests.integration.documents_kit import DocumentsRig
from tests.servers.paperless_double import FORBIDDEN, NOT_FOUND, Answer, paperless_double
from tests.wide import first_of

from paperfleet.documents import inventory
from paperfleet.errors import CredentialsError, FileAccessError, NotAStorageError, UnavailableError
from paperfleet.mirror.events import Refused
from paperfleet.mirror.planning.guard import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.paperless_double import PaperlessDouble

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def paperless() -> Iterator[PaperlessDouble]:
    with paperless_double() as running:
        yield running


@pytest.fixture(params=first_of([*(kind for kind in PLACES if kind != "real"), BUCKET], 2))
def documents(
    request: pytest.FixtureRequest, tmp_path: Path, paperless: PaperlessDouble
) -> DocumentsRig:
    return DocumentsRig(tmp_path, make_place(request.param, request, tmp_path), paperless)


def fill(paperless: PaperlessDouble, count: int = 6) -> list[int]:
    """Add documents, every second with an archive; return their numbers."""
    return [
        paperless.add(
            f"document {n}",
            f"original {n}".encode() * (n + 1),
            archive=f"archive {n}".encode() * (n + 1) if n % 2 else None,
            mime_type="image/png" if n % 2 else "application/pdf",
        )
        for n in range(count)
    ]


def test_every_document_arrives_once(documents: DocumentsRig) -> None:
    fill(documents.paperless)
    documents.sync()
    assert set(documents.place.tree()) == {f"document {n}.pdf" for n in range(6)}
    assert sorted(documents.paperless.downloads) == [1, 2, 3, 4, 5, 6], "each is read once"


def test_a_second_run_reads_and_sends_nothing(documents: DocumentsRig) -> None:
    fill(documents.paperless)
    documents.sync()
    documents.paperless.downloads.clear()
    documents.paperless.requests.clear()
    documents.sync()
    assert not documents.tap.sent
    assert not documents.paperless.downloads
    assert documents.paperless.requests["GET documents/N/metadata/"] == 0


def test_a_changed_title_is_a_move(documents: DocumentsRig) -> None:
    numbers = fill(documents.paperless)
    with documents.live() as live:
        live.until_same()
        documents.paperless.downloads.clear()
        live.edit(lambda: documents.paperless.change(numbers[1], title="a folder/another title"))
        assert documents.counts()["moved"] == 1
        assert not documents.counts()["deleted"]
    assert not documents.paperless.downloads


def test_documents_that_change_titles_with_one_another(documents: DocumentsRig) -> None:
    one, two, *_ = fill(documents.paperless)
    documents.sync()
    documents.paperless.downloads.clear()
    documents.paperless.change(one, title="for a moment")
    documents.paperless.change(two, title="document 0")
    documents.paperless.change(one, title="document 1")
    documents.sync()
    assert not documents.paperless.downloads
    assert not documents.counts()["deleted"]


def test_a_new_title_and_a_new_version_at_once_are_a_move_and_an_update(
    documents: DocumentsRig,
) -> None:
    numbers = fill(documents.paperless)
    documents.sync()
    for number in numbers[:2]:
        documents.paperless.add_version(number, b"a version, and a longer one")
        documents.paperless.change(number, title=f"folder/{number}")
    documents.sync()
    counts = documents.counts()
    assert (counts["moved"], counts["updated"], counts["deleted"], counts["created"]) == (
        2,
        2,
        0,
        0,
    )


def test_equal_names_are_numbered(documents: DocumentsRig) -> None:
    paperless = documents.paperless
    paperless.add("same", b"a text", mime_type="text/plain")
    paperless.add("same", b"a drawing", archive=b"an archive", mime_type="image/png")
    first = paperless.add("same", b"a letter")
    outcome = documents.once()
    assert (outcome.failed, outcome.refused) == (0, 0)
    assert documents.place.tree() == {
        "same.txt": b"a text",
        "same.pdf": b"an archive",
        "same_01.pdf": b"a letter",
    }
    paperless.trash(first)
    documents.once()
    assert set(documents.place.tree()) == {"same.txt", "same.pdf"}


def test_a_new_version_takes_the_place_of_the_old_one(documents: DocumentsRig) -> None:
    number = fill(documents.paperless)[0]
    with documents.live() as live:
        live.until_same()
        live.edit(lambda: documents.paperless.add_version(number, b"a version"))
        assert documents.counts()["updated"] == 1
        live.edit(lambda: documents.paperless.add_version(number, b"a third", b"its archive"))
    assert documents.place.tree()["document 0.pdf"] == b"its archive"
    assert not documents.counts()["deleted"]


def test_the_trash_takes_a_document_away_and_gives_it_back(documents: DocumentsRig) -> None:
    number = fill(documents.paperless)[3]
    with documents.live() as live:
        live.until_same()
        live.edit(lambda: documents.paperless.trash(number))
        assert "document 3.pdf" not in documents.place.tree()
        live.edit(lambda: documents.paperless.trash(number, trashed=False))
        assert "document 3.pdf" in documents.place.tree()


def test_an_incomplete_page_is_no_delete(documents: DocumentsRig) -> None:
    fill(documents.paperless, 8)
    documents.sync()
    there = documents.place.tree()

    def some(path: str, query: dict[str, str]) -> Answer | None:
        if path != "documents/" or "id__in" in query:
            return None
        whole = documents.paperless.papers
        documents.paperless.papers = dict(list(whole.items())[:2])
        try:
            return documents.paperless._list(query)
        finally:
            documents.paperless.papers = whole

    documents.paperless.fault = some
    documents.once()
    assert documents.place.tree() == there
    assert not documents.counts()


def test_a_lost_permission_is_no_delete(documents: DocumentsRig) -> None:
    paperless = documents.paperless
    numbers = fill(paperless)
    with documents.live() as live:
        live.until_same()
        documents.stays = {"document 2.pdf": documents.place.tree()["document 2.pdf"]}
        with paperless.lock:
            paperless.superuser = False
            paperless.papers[numbers[2]].owner = 7
        live.until(documents.quarantined, "the quarantine")
        assert set(documents.quarantined()) == {"document 2.pdf"}
        paperless.change(numbers[1], title="goes on")
        live.until(lambda: "goes on.pdf" in documents.place.tree())
        assert documents.place.tree()["document 2.pdf"] == documents.stays["document 2.pdf"]
        with paperless.lock:
            paperless.papers[numbers[2]].owner = None
        live.until(lambda: not documents.quarantined(), "the end of the quarantine")
        live.until_same()
    assert not documents.counts()["deleted"]


def test_the_token_of_another_user_deletes_nothing_by_itself(documents: DocumentsRig) -> None:
    paperless = documents.paperless
    numbers = fill(paperless)
    documents.sync()
    paperless.user = 2
    paperless.trash(numbers[0])
    documents.options["limits"] = Limits()
    documents.once()
    assert documents.seen(Refused)[0].reason == (
        "the token is of another user of paperless-ngx than before"
    )
    assert "document 0.pdf" in documents.place.tree()
    documents.approve()
    documents.sync()


def test_many_trashed_documents_wait_for_a_yes(documents: DocumentsRig) -> None:
    numbers = fill(documents.paperless, 8)
    documents.options["limits"] = Limits()
    documents.sync()
    there = documents.place.tree()
    for number in numbers[:6]:
        documents.paperless.trash(number)
    assert documents.once().refused == 6
    assert documents.place.tree() == there
    documents.approve()
    documents.sync()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(502, b"<html>bad gateway</html>", "text/html"), UnavailableError),
        (Answer(200, b"<html>please log in</html>", "text/html"), NotAStorageError),
        (Answer(200, b'{"count": 0}'), NotAStorageError),
        (Answer(404, b"<html>not here</html>", "text/html"), NotAStorageError),
        (Answer(403, b'{"detail": "You do not have permission"}'), FileAccessError),
        (Answer(302, b"", "text/html"), NotAStorageError),
    ],
    ids=["proxy", "login page", "no list", "another server", "no permission", "redirect"],
)
def test_a_list_that_cannot_be_read_changes_nothing(
    documents: DocumentsRig, answer: Answer, expected: type[Exception]
) -> None:
    fill(documents.paperless)
    documents.sync()
    there = documents.place.tree()
    documents.paperless.fault = lambda path, _: answer if path == "documents/" else None
    with pytest.raises(expected):
        documents.once()
    assert documents.place.tree() == there
    documents.paperless.fault = lambda _path, _query: None
    documents.sync()
    assert not documents.counts()


def test_a_refused_token_is_told(documents: DocumentsRig) -> None:
    documents.token = "of nobody"
    with pytest.raises(CredentialsError, match="does not take the token"):
        documents.once()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, b"<h1>Server Error (500)</h1>", "text/html"),
        Answer(200, b'{"original_size": 3}'),
    ],
    ids=["it fails", "it tells odd things"],
)
def test_one_document_at_which_paperless_fails_holds_up_no_other(
    documents: DocumentsRig, answer: Answer
) -> None:
    paperless = documents.paperless
    numbers = fill(paperless)
    documents.sync()
    there = documents.place.tree()
    odd = {f"documents/{numbers[1]}/metadata/", "documents/7/metadata/"}
    paperless.fault = lambda path, _: answer if path in odd else None
    with documents.live() as live:
        live.until_same()
        paperless.change(numbers[1], title="nobody can tell")
        paperless.add("new and odd", b"new")
        paperless.add("new and fine", b"fine")
        live.until(lambda: "new and fine.pdf" in documents.place.tree())
        live.until(
            lambda: {"document 1.pdf", "document 7"} == documents.quarantined().keys(), "quarantine"
        )
        assert documents.place.tree() == there | {"new and fine.pdf": b"fine"}
        paperless.fault = lambda _path, _query: None
        live.until(lambda: not documents.quarantined(), "the end of the quarantine")
        live.until_same()
    assert not documents.counts()["deleted"]


def test_a_document_at_which_paperless_failed_for_a_while_is_the_same_again(
    documents: DocumentsRig,
) -> None:
    paperless = documents.paperless
    number = fill(paperless)[1]
    failed = Answer(500, b"<h1>Server Error (500)</h1>", "text/html")
    with documents.live() as live:
        live.until_same()
        paperless.fault = lambda path, _: (
            failed if path == f"documents/{number}/metadata/" else None
        )
        paperless.reprocess(number, paperless.papers[number].newest.archive or b"")
        live.until(documents.quarantined, "the quarantine")
        paperless.fault = lambda _path, _query: None
        live.until(lambda: not documents.quarantined(), "the end of the quarantine")
        live.until_same()
    assert not documents.counts()["updated"]


def test_every_archive_is_asked_for_once_a_day(
    documents: DocumentsRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    paperless = documents.paperless
    number = fill(paperless)[1]
    documents.sync()
    paperless.papers[number].newest.archive = b"made anew by hand, of which nothing tells"
    documents.once()
    assert documents.difference()
    day = inventory.WHOLE_SECONDS
    monkeypatch.setattr(inventory, "time", SimpleNamespace(time=lambda: time.time() + day))
    documents.sync()


def test_an_outage_is_waited_out(documents: DocumentsRig) -> None:
    fill(documents.paperless)
    with documents.live() as live:
        live.until_same()
        there = documents.place.tree()
        documents.paperless.fault = lambda _path, _query: Answer(503, b"", "text/html")
        documents.paperless.add("meanwhile", b"meanwhile")
        live.until(lambda: "503" in str(documents.events), "the notice")
        assert documents.place.tree() == there
        documents.paperless.fault = lambda _path, _query: None
        live.until_same()
        assert "meanwhile.pdf" in documents.place.tree()


def test_other_bytes_than_told_never_arrive(documents: DocumentsRig) -> None:
    number = fill(documents.paperless)[1]
    wrong = Answer(200, b"cut of", "application/pdf")
    documents.paperless.fault = lambda path, _: (
        wrong if path == f"documents/{number}/download/" else None
    )
    documents.absent = {"document 1.pdf"}
    assert documents.once().failed == 1
    documents.check()
    assert "checksum" in documents.quarantined()["document 1.pdf"]
    documents.paperless.fault = lambda _path, _query: None
    documents.absent = set()
    documents.sync()


def test_an_archive_that_was_made_anew_is_seen_when_it_is_read(documents: DocumentsRig) -> None:
    number = fill(documents.paperless)[1]
    documents.sync()
    documents.paperless.papers[number].newest.archive = b"another archive"
    documents.place.delete("document 1.pdf")
    with documents.live() as live:
        live.until_same()


def test_an_archive_that_was_made_anew_is_seen_by_its_task(documents: DocumentsRig) -> None:
    paperless = documents.paperless
    number = fill(paperless)[1]
    with documents.live() as live:
        live.until_same()
        live.edit(lambda: paperless.reprocess(number, b"another archive"))
        live.edit(lambda: paperless.reprocess(number, b"a third archive"))
    paperless.reprocess(number, b"made anew while nobody looked")
    documents.sync()
    paperless.requests.clear()
    documents.sync()
    assert paperless.requests["GET documents/N/metadata/"] == 0


def test_the_checksums_of_version_2_are_md5(documents: DocumentsRig) -> None:
    import hashlib

    paperless = documents.paperless
    paperless.digest = lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest()
    paperless.has_versions = False
    numbers = fill(paperless)
    documents.sync()
    paperless.change(numbers[1], title="another title")
    paperless.downloads.clear()
    documents.sync()
    assert documents.counts()["moved"] == 1
    assert not paperless.downloads


def test_a_document_that_is_gone_and_one_that_is_hidden_are_told_apart(
    documents: DocumentsRig,
) -> None:
    gone, hidden, *_ = fill(documents.paperless)
    documents.sync()
    documents.stays = {"document 1.pdf": documents.place.tree()["document 1.pdf"]}
    answers = {f"documents/{gone}/metadata/": NOT_FOUND, f"documents/{hidden}/metadata/": FORBIDDEN}
    documents.paperless.trash(gone)
    with documents.paperless.lock:
        documents.paperless.papers[hidden].trashed = True
    documents.paperless.fault = lambda path, _: answers.get(path)
    documents.once()
    assert set(documents.place.tree()) == documents.source_names()
    assert set(documents.quarantined()) == {"document 1.pdf"}
