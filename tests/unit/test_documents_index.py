"""The index: what it keeps, what it gives back, and what is told when it cannot be used."""

from __future__ import annotations

import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from paperfleet.documents.index import DocumentIndex, from_text, to_text
from paperfleet.documents.naming import FileKey, Renamed, Wish
from paperfleet.documents.records import DocumentFile, DocumentFiles, ListedDocument, ListedVersion
from paperfleet.documents.rules import Decision, KnownDocument
from paperfleet.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

LISTED = ListedDocument(
    number=1,
    title="Tïtle",
    created="2026-01-01",
    added="2026-01-01T00:00:00+00:00",
    modified="2026-01-01T00:00:00+00:00",
    correspondent=None,
    document_type=2,
    storage_path=None,
    owner=3,
    tags=(4, 5),
    asn=6,
    mime_type="application/pdf",
    page_count=None,
    original_name=None,
    has_archive=True,
    custom_fields=((7, (1, 2)), (8, "x"), (9, None)),
    newest=ListedVersion(2, "2026-01-02T00:00:00+00:00", "ab" * 32),
)
FILE = DocumentFile("a.pdf", 10, "ab" * 32)
DOCUMENT = KnownDocument(LISTED, DocumentFiles(FILE, FILE, "a.pdf"))
KEY = FileKey(1, None)


def numbered(number: int) -> KnownDocument:
    return replace(DOCUMENT, listed=replace(LISTED, number=number))


def all_alike(document: KnownDocument) -> Decision:
    return Decision({FileKey(document.listed.number, None): Wish("same", ".pdf")})


def left_alone(_document: KnownDocument) -> Decision:
    return Decision({}, "it is left alone")


@pytest.mark.parametrize(
    "document",
    [
        DOCUMENT,
        replace(DOCUMENT, hidden=True),
        replace(DOCUMENT, trashed=True),
        KnownDocument(replace(LISTED, newest=None), DocumentFiles(FILE, None, "b")),
    ],
)
def test_a_document_is_the_same_after_a_restart(document: KnownDocument) -> None:
    assert from_text(to_text(document)) == document


def test_documents_names_and_facts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.documents"
    with DocumentIndex(path) as index:
        index.take([numbered(2), numbered(1)], (), all_alike)
        index.set_fact("user", "user 1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with DocumentIndex(path) as index:
        assert index.documents() == {1: numbered(1), 2: numbered(2)}
        assert {one.name: one.key.number for one in index.all_files()} == {
            "same.pdf": 1,
            "same_01.pdf": 2,
        }
        assert index.fact("user") == "user 1"
        assert index.take((), [1], all_alike).renamed == {KEY: Renamed("same.pdf", None)}
    with DocumentIndex(path) as index:
        assert index.documents().keys() == {2}
        assert index.name_of(FileKey(2, None)) == "same_01.pdf"


def test_what_is_left_alone_keeps_its_name(tmp_path: Path) -> None:
    with DocumentIndex(tmp_path / "a.documents") as index:
        index.take([DOCUMENT], (), all_alike)
        assert index.take([replace(DOCUMENT, hidden=True)], (), left_alone) == ({}, {1})
        assert index.troubles() == {1: "it is left alone"}
        assert index.name_of(KEY) == "same.pdf"
        assert index.rename(all_alike) == ({}, {1})
        assert index.rename(all_alike) == ({}, set())
        assert index.troubles() == {}
        index.rename(left_alone)
        index.take((), [1], all_alike)
        assert index.troubles() == {}


def test_names_can_be_swapped_in_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "a.documents"
    first = {1: "a", 2: "b"}
    with DocumentIndex(path) as index:
        for names in (first, {1: "b", 2: "a"}):
            index.take(
                [numbered(1), numbered(2)],
                (),
                lambda one, names=names: Decision(  # type: ignore[misc]  # mypy and defaults
                    {FileKey(one.listed.number, None): Wish(names[one.listed.number], "")}
                ),
            )
    with DocumentIndex(path) as index:
        assert [index.name_of(FileKey(n, None)) for n in (1, 2)] == ["b", "a"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.documents"
    with DocumentIndex(path, keep=False) as index:
        index.take([DOCUMENT], (), all_alike)
    assert not path.exists()
    with DocumentIndex(path) as index:
        index.take([DOCUMENT], (), all_alike)
    before = path.read_bytes()
    with DocumentIndex(path, keep=False) as index:
        assert index.documents() == {1: DOCUMENT}
        index.take((), [1], all_alike)
    assert path.read_bytes() == before


def test_blocks_nest(tmp_path: Path) -> None:
    with DocumentIndex(tmp_path / "a.documents") as index:
        with index:
            index.take([DOCUMENT], (), all_alike)
        index.set_fact("still", "open")


@pytest.mark.parametrize("content", [b"this is no database" * 100, b""])
def test_what_is_no_index_is_told_or_made(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.documents"
    path.write_bytes(content)
    index = DocumentIndex(path)
    if not content:
        with index:
            assert index.documents() == {}
        return
    with pytest.raises(JournalError, match="Remove it: it is made anew"):
        index.__enter__()


def test_one_of_another_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.documents"
    with DocumentIndex(path) as index:
        index.set_fact("format", 99)
    with pytest.raises(JournalError, match="another version"):
        DocumentIndex(path).__enter__()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="cannot be opened"):
        DocumentIndex(tmp_path / "file" / "a.documents").__enter__()
