"""Names by paperless-ngx's format: the same context, filters and cleaning as its own.

The end-to-end test compares them with what a real one renders (``test_e2e_mirror.py``).
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from paperfleet.documents.lists import CustomField, NamedPath, NameLists
from paperfleet.documents.records import DocumentFile, DocumentFiles, ListedDocument
from paperfleet.documents.templates import PathTemplate
from paperfleet.errors import ConfigurationError

ORIGINAL = DocumentFile("2026/upload.png", 7, "a" * 64)
ARCHIVE = DocumentFile("2026/upload.pdf", 9, "b" * 64)
FILES = DocumentFiles(ORIGINAL, ARCHIVE, ORIGINAL.name)
DOCUMENT = ListedDocument(
    number=42,
    title="Invoice: May / June",
    created="2026-05-01",
    added="2026-06-01T00:30:00+02:00",
    modified="2026-06-02T00:30:00+02:00",
    correspondent=1,
    document_type=2,
    storage_path=3,
    owner=4,
    tags=(5, 6),
    asn=17,
    mime_type="image/png",
    page_count=3,
    original_name="scan 1.png",
    has_archive=True,
    custom_fields=((7, "EUR12.50"), (8, "id-no"), (9, "2026-01-31"), (10, (1, 2)), (11, None)),
    newest=None,
)
LISTS = NameLists(
    tags={5: "Tax", 6: "Home"},
    correspondents={1: "Mu\u0308ller"},
    document_types={2: "Bill?"},
    storage_paths={3: NamedPath("shelf", "{{ title }}")},
    custom_fields={
        7: CustomField("Sum", "monetary", {}),
        8: CustomField("Paid", "select", MappingProxyType({"id-yes": "Yes", "id-no": "No"})),
        9: CustomField("Due", "date", {}),
        10: CustomField("Others", "documentlink", {}),
        11: CustomField("Empty", "string", {}),
    },
    users={4: "alice"},
)
BARE = replace(
    DOCUMENT,
    correspondent=None,
    document_type=None,
    storage_path=None,
    owner=None,
    tags=(),
    asn=None,
    original_name=None,
    custom_fields=(),
)

RENDERED = {
    "{{ title }}": "Invoice- May - June",
    "{title}": "Invoice- May - June",
    "{{ created_year }}/{{ created_month_name_short }}/{{ created_day }}": "2026/May/01",
    "{{ added }}/{{ added_month }}": "2026-06-01/06",
    "{{ correspondent }} / {{ document_type }}": "M\u00fcller/Bill-",
    "{{ asn }}/{{ doc_pk }}/{{ owner_username }}": "17/0000042/alice",
    "{{ original_name }}": "scan 1",
    "{{ tag_list }}": "Home,Tax",
    "{% for tag in tag_name_list %}{{ tag }}-{% endfor %}": "Home-Tax-",
    "{{ document.tags[0].name }}{{ document.tags[0].id }}": "Home6",
    "{{ document.correspondent }} {{ document.correspondent.id }}": "M\u00fcller 1",
    "{{ document.storage_path.name }}": "shelf",
    "{{ document.owner.username }}": "alice",
    "{{ document.checksum[:4] }}{{ document.archive_checksum[:4] }}": "aaaabbbb",
    "{{ custom_fields|get_cf_value('Sum') }}": "EUR12.50",
    "{{ custom_fields.Paid.value }}": "No",
    "{{ custom_fields.Due.value.year }} {{ custom_fields.Due.type }}": "2026 date",
    "{{ custom_fields.Others.value }}": "[1, 2]",
    "{{ custom_fields|get_cf_value('Empty', 'nothing') }}": "nothing",
    "{{ document.created|datetime('%d.%m.') }}": "01.05.",
    "{{ document.created|localize_date('MMMM', 'de_DE') }}": "Mai",
    "{{ title|slugify }}": "invoice-may-june",
    "a\n b /\n  c": "a b/c",
    "/{{ title }}/": "Invoice- May - June",
    "a//./b": "a/b",
}


@pytest.mark.parametrize("template", RENDERED)
def test_a_template_is_rendered_as_in_paperless(template: str) -> None:
    assert PathTemplate(template).render(DOCUMENT, FILES, LISTS) == RENDERED[template]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ correspondent }}/{{ document_type }}/{{ asn }}", "none/none/none"),
        ("{% if correspondent %}yes{% else %}no{% endif %}", "no"),
        ("{% if correspondent == 'none' %}equal{% endif %}", "equal"),
        ("{{ tag_list }}x{{ owner_username }}{{ original_name }}", "xnonenone"),
        ("{{ document.correspondent }}", "None"),
    ],
)
def test_what_is_empty(template: str, expected: str) -> None:
    assert PathTemplate(template).render(BARE, FILES, NameLists()) == expected


@pytest.mark.parametrize(
    "template",
    [
        "../{{ title }}",
        "{{ custom_fields['of none'].value }}",
        "{{ title.nothing }}",
        "{{ title|datetime('%Y') }}",
        "{{ document.created|localize_date('MMMM', 'nowhere') }}",
        "{{ ''.__class__.__mro__ }}",
        "{% if false %}x{% endif %}",
    ],
)
def test_what_paperless_names_by_the_number(template: str) -> None:
    assert PathTemplate(template).render(DOCUMENT, FILES, LISTS) is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ title", "unexpected"),
        ("{{ titel }}", "there is no 'titel'"),
        ("{{ title|upcase }}", "No filter named 'upcase'"),
        ("{{ document.content }}", "the text of a document"),
        ("{{ document['content'] }}", "the text of a document"),
    ],
)
def test_what_can_be_no_template(template: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        PathTemplate(template)


@pytest.mark.parametrize(
    ("template", "needs"),
    [
        ("{{ title }}/{{ created_year }}", ()),
        ("{{ correspondent }}", ("correspondents",)),
        ("{{ document_type }}{{ tag_list }}", ("tags", "document_types")),
        ("{{ custom_fields|get_cf_value('Sum') }}", ("custom_fields",)),
        ("{{ document.storage_path }}{{ owner_username }}", ("storage_paths", "users")),
    ],
)
def test_only_the_lists_that_a_template_names_are_asked_for(
    template: str, needs: tuple[str, ...]
) -> None:
    assert PathTemplate(template).needs == needs
