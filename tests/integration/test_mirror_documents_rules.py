"""Which documents of a paperless-ngx are mirrored and under which names, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.integration.conftest import PLACES, make_place
from tests.integration.documents_kit import DocumentsRig
from tests.servers.paperless_double import paperless_double
from tests.wide import first_of

from paperfleet.documents.rules import Filters, Rules
from paperfleet.documents.templates import PathTemplate
from paperfleet.errors import NotAStorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.mirror_places import Files
    from tests.servers.paperless_double import PaperlessDouble

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def paperless() -> Iterator[PaperlessDouble]:
    with paperless_double() as running:
        yield running


@pytest.fixture(params=first_of([kind for kind in PLACES if kind != "real"], 2))
def documents(
    request: pytest.FixtureRequest, tmp_path: Path, paperless: PaperlessDouble
) -> DocumentsRig:
    return DocumentsRig(tmp_path, make_place(request.param, request, tmp_path), paperless)


def expect(documents: DocumentsRig, files: Files) -> None:
    """Say what has to be at the target from now on."""
    documents.wanted = lambda: files


def by_correspondent(paperless: PaperlessDouble) -> tuple[int, int, int]:
    """Add a correspondent with two documents, and one without."""
    acme = paperless.name_in("correspondents", "Acme")
    return (
        acme,
        paperless.add("one", b"the first", correspondent=acme),
        paperless.add("two", b"the second", correspondent=acme),
    )


BY_CORRESPONDENT = Rules(template=PathTemplate("{{ correspondent }}/{{ title }}"))


def test_a_template_names_documents(documents: DocumentsRig) -> None:
    by_correspondent(documents.paperless)
    documents.paperless.add("three", b"the third")
    documents.rules = BY_CORRESPONDENT
    expect(
        documents,
        {
            "Acme/one.pdf": b"the first",
            "Acme/two.pdf": b"the second",
            "none/three.pdf": b"the third",
        },
    )
    documents.sync()


def test_a_renamed_correspondent_moves_its_documents(documents: DocumentsRig) -> None:
    acme, *_ = by_correspondent(documents.paperless)
    documents.rules = BY_CORRESPONDENT
    before = {"Acme/one.pdf": b"the first", "Acme/two.pdf": b"the second"}
    after = {"Acme Ltd/one.pdf": b"the first", "Acme Ltd/two.pdf": b"the second"}
    expect(documents, before)
    with documents.live() as live:
        live.until_same()
        documents.paperless.downloads.clear()
        expect(documents, after)
        live.edit(lambda: documents.paperless.rename_in("correspondents", acme, "Acme Ltd"))
    assert not documents.paperless.downloads
    assert documents.counts()["moved"] == 2
    assert not documents.counts()["deleted"]


def test_another_template_moves_all(documents: DocumentsRig) -> None:
    by_correspondent(documents.paperless)
    documents.sync()
    documents.paperless.downloads.clear()
    documents.rules = Rules(template=PathTemplate("{{ created_year }}/{{ doc_pk }}"))
    expect(documents, {"2026/0000001.pdf": b"the first", "2026/0000002.pdf": b"the second"})
    documents.sync()
    assert not documents.paperless.downloads
    assert not documents.counts()["deleted"]


def test_a_correspondent_that_is_new_is_asked_for(documents: DocumentsRig) -> None:
    documents.rules = BY_CORRESPONDENT
    expect(documents, {})
    with documents.live() as live:
        new = documents.paperless.name_in("correspondents", "Newcomer")
        expect(documents, {"Newcomer/a.pdf": b"content"})
        live.edit(lambda: documents.paperless.add("a", b"content", correspondent=new))


def test_a_document_with_a_name_that_may_not_be_seen_is_left_as_it_is(
    documents: DocumentsRig,
) -> None:
    acme, *_ = by_correspondent(documents.paperless)
    documents.rules = BY_CORRESPONDENT
    before = {"Acme/one.pdf": b"the first", "Acme/two.pdf": b"the second"}
    expect(documents, before)
    documents.sync()
    with documents.paperless.lock:
        hidden = documents.paperless.lists["correspondents"].pop()
    documents.once()
    assert documents.place.tree() == before
    assert f"the correspondent {acme}" in documents.quarantined()["Acme/one.pdf"]
    documents.paperless.add("new", b"it is new", correspondent=acme)
    documents.once()
    assert documents.place.tree() == before
    assert "document 3" in documents.quarantined()
    with documents.paperless.lock:
        documents.paperless.lists["correspondents"].append(hidden)
    expect(documents, before | {"Acme/new.pdf": b"it is new"})
    documents.sync()
    assert not documents.quarantined()


def test_only_documents_that_pass_the_filters(documents: DocumentsRig) -> None:
    paperless = documents.paperless
    tax, home = paperless.name_in("tags", "Tax"), paperless.name_in("tags", "Home")
    invoice = paperless.name_in("document_types", "Invoice")
    alice = paperless.name_in("users", "alice")
    passes: dict[str, Any] = {"document_type": invoice, "owner": alice}
    number = paperless.add("passes", b"1", tags=[home, tax], **passes)
    paperless.add("no tag", b"2", **passes)
    paperless.add("another tag", b"3", tags=[home], **passes)
    paperless.add("no type", b"4", tags=[tax], owner=alice)
    paperless.add("no owner", b"5", tags=[tax], document_type=invoice)
    documents.rules = Rules(filters=Filters(frozenset({"Tax"}), frozenset({"Invoice"})))
    expect(documents, {"passes.pdf": b"1", "no owner.pdf": b"5"})
    documents.sync()
    documents.rules = Rules(
        filters=Filters(frozenset({"Tax"}), frozenset({"Invoice"}), frozenset({"alice"}))
    )
    expect(documents, {"passes.pdf": b"1"})
    with documents.live() as live:
        live.until_same()
        expect(documents, {})
        live.edit(lambda: paperless.change(number, tags=[home]))
        expect(documents, {"passes.pdf": b"1"})
        live.edit(lambda: paperless.change(number, tags=[home, tax]))


def test_a_tag_to_filter_by_that_is_gone_changes_nothing(documents: DocumentsRig) -> None:
    tax = documents.paperless.name_in("tags", "Tax")
    documents.paperless.add("a", b"1", tags=[tax])
    documents.rules = Rules(filters=Filters(frozenset({"Tax"})))
    documents.sync()
    documents.paperless.rename_in("tags", tax, "Taxes")
    with pytest.raises(NotAStorageError, match="no tag 'Tax'"):
        documents.once()
    assert documents.place.tree() == {"a.pdf": b"1"}


def test_a_trash_folder_keeps_what_is_in_the_trash(documents: DocumentsRig) -> None:
    paperless = documents.paperless
    number = paperless.add("a", b"content")
    documents.rules = Rules(trash_folder="in the trash")
    documents.sync()
    paperless.downloads.clear()
    with documents.live() as live:
        live.until_same()
        expect(documents, {"in the trash/a.pdf": b"content"})
        live.edit(lambda: paperless.trash(number))
        expect(documents, {"a.pdf": b"content"})
        live.edit(lambda: paperless.trash(number, trashed=False))
        assert documents.counts()["moved"] == 2
        expect(documents, {"in the trash/a.pdf": b"content"})
        live.edit(lambda: paperless.trash(number))
        expect(documents, {})
        live.edit(lambda: paperless.papers.pop(number))
    assert not paperless.downloads


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("archive", {"a.pdf": b"its archive", "b.pdf": b"a letter"}),
        ("original", {"a.png": b"a drawing", "b.pdf": b"a letter"}),
        (
            "both",
            {
                "originals/a.png": b"a drawing",
                "archive/a.pdf": b"its archive",
                "originals/b.pdf": b"a letter",
            },
        ),
    ],
)
def test_which_file_of_a_document(
    documents: DocumentsRig, content: str, expected: dict[str, bytes]
) -> None:
    documents.paperless.add("a", b"a drawing", archive=b"its archive", mime_type="image/png")
    documents.paperless.add("b", b"a letter")
    documents.rules = Rules(content)  # type: ignore[arg-type]  # one of its words
    expect(documents, expected)
    documents.sync()
