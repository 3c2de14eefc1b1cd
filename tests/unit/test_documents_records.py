"""What paperless-ngx tells, and what is refused as an answer that nobody knows."""

from __future__ import annotations

from typing import Any

import pytest

from paperfleet.documents import records
from paperfleet.documents.lists import CustomField, NamedPath, NameLists, list_of
from paperfleet.documents.records import DocumentFile, ListedVersion
from paperfleet.errors import NotAStorageError

SHA, MD5 = "ab" * 32, "cd" * 16
ROW: dict[str, Any] = {
    "id": 7,
    "title": "A title",
    "created": "2026-01-31",
    "added": "2026-02-01T10:00:00.123456+01:00",
    "modified": "2026-02-02T10:00:00+01:00",
    "correspondent": 1,
    "document_type": None,
    "storage_path": None,
    "owner": 3,
    "tags": [9, 2],
    "archive_serial_number": None,
    "mime_type": "application/pdf",
    "page_count": 2,
    "original_file_name": "scan.pdf",
    "archived_file_name": None,
    "custom_fields": [{"field": 4, "value": [1, 2]}],
    "versions": [
        {"id": 8, "added": "2026-02-03T10:00:00+01:00", "checksum": SHA, "is_root": False},
        {"id": 7, "added": "2026-02-01T10:00:00+01:00", "checksum": SHA, "is_root": True},
    ],
}
METADATA: dict[str, Any] = {
    "original_checksum": SHA,
    "original_size": 10,
    "media_filename": "a_v1.pdf",
    "has_archive_version": True,
    "archive_checksum": SHA.upper(),
    "archive_media_filename": "a_v1.pdf",
    "archive_size": 12,
}


def test_a_document_of_a_list() -> None:
    found = records.listed(ROW)
    assert (found.number, found.tags, found.has_archive) == (7, (2, 9), False)
    assert found.newest == ListedVersion(8, "2026-02-03T10:00:00+01:00", SHA)
    assert found.custom_fields == ((4, (1, 2)),)
    assert found.arrived_ns == 1770109200 * 10**9


def test_version_2_has_no_versions() -> None:
    found = records.listed({key: value for key, value in ROW.items() if key != "versions"})
    assert found.newest is None
    assert found.arrived_ns == 1769936400 * 10**9 + 123456000


@pytest.mark.parametrize(
    "change",
    [
        {"modified": "2026-02-02T10:00:01+01:00"},
        {"archived_file_name": "A title.pdf"},
        {"versions": ROW["versions"][1:]},
    ],
)
def test_what_tells_of_other_files(change: dict[str, Any]) -> None:
    assert not records.listed(ROW | change).has_files_of(records.listed(ROW))


def test_a_title_that_changed_by_itself_tells_of_no_other_files() -> None:
    assert records.listed(ROW | {"title": "Another"}).has_files_of(records.listed(ROW))


def test_files_and_the_name_of_the_first_version() -> None:
    found = records.files(METADATA, METADATA | {"media_filename": "a.pdf"})
    assert found.name == "a.pdf"
    assert found.original == DocumentFile("a_v1.pdf", 10, SHA)
    assert found.archive == DocumentFile("a_v1.pdf", 12, SHA)
    assert found.original.sha256 == SHA


def test_an_md5_is_no_sha256() -> None:
    assert records.files(METADATA | {"original_checksum": MD5}).original.sha256 is None


def test_a_file_that_is_missing_has_no_size() -> None:
    found = records.files(METADATA | {"original_size": None, "has_archive_version": False})
    assert found.original.size == -1
    assert found.archive is None


ODD_ROWS: list[object] = [
    None,
    [],
    ROW | {"id": "7"},
    ROW | {"id": True},
    ROW | {"title": None},
    ROW | {"modified": "yesterday"},
    ROW | {"tags": None},
    ROW | {"tags": ["one"]},
    ROW | {"versions": [{}]},
    ROW | {"custom_fields": [3]},
]


@pytest.mark.parametrize("row", ODD_ROWS, ids=range(len(ODD_ROWS)))
def test_what_is_no_document(row: object) -> None:
    with pytest.raises(NotAStorageError, match="in a way that is not known"):
        records.listed(row)


ODD_METADATA: list[object] = [
    "text",
    METADATA | {"original_checksum": "abc"},
    METADATA | {"original_checksum": "x" * 64},
    METADATA | {"archive_media_filename": None},
    METADATA | {"has_archive_version": 1},
    METADATA | {"original_size": "10"},
]


@pytest.mark.parametrize("told", ODD_METADATA, ids=range(len(ODD_METADATA)))
def test_what_is_no_metadata(told: object) -> None:
    with pytest.raises(NotAStorageError, match="in a way that is not known"):
        records.files(told)


def test_lists_of_names() -> None:
    nested = [{"id": 1, "name": "Above", "children": [{"id": 2, "name": "Below", "children": []}]}]
    assert list_of("tags", nested) == {1: "Above", 2: "Below"}
    assert list_of("users", [{"id": 3, "username": "alice"}]) == {3: "alice"}
    paths = [{"id": 4, "name": "shelf", "path": "{{ title }}"}]
    assert list_of("storage_paths", paths) == {4: NamedPath("shelf", "{{ title }}")}
    options = {"select_options": [{"id": "a", "label": "Yes"}]}
    field = {"id": 5, "name": "Paid", "data_type": "select", "extra_data": options}
    assert list_of("custom_fields", [field]) == {5: CustomField("Paid", "select", {"a": "Yes"})}


@pytest.mark.parametrize("told", [None, [None], [{"id": 1}], [{"name": "x"}], "text"])
def test_what_is_no_list_of_names(told: object) -> None:
    with pytest.raises(NotAStorageError):
        list_of("tags", told)


def test_a_name_that_is_in_no_list_is_named() -> None:
    document = records.listed(ROW)
    lists = NameLists(tags={2: "a"}, correspondents={1: "b"})
    assert lists.unknown(document, ()) == ""
    assert lists.unknown(document, ("correspondents",)) == ""
    assert lists.unknown(document, ("correspondents", "tags")) == "tag 9"
    assert lists.unknown(document, ("users",)) == "user 3"
    assert lists.unknown(document, ("custom_fields",)) == "custom field 4"
    assert lists.unknown(document, ("document_types", "storage_paths")) == ""
