"""The tables whose rows make the entries of a search index, and their documents. Pure.

A test compares them with a checkout.
"""

from __future__ import annotations

from typing import Final, NamedTuple

EVENTS: Final = {
    "INSERT": "NEW TABLE AS changed",
    "UPDATE": "OLD TABLE AS before NEW TABLE AS changed",
    "DELETE": "OLD TABLE AS changed",
}
"""Each event, and what a trigger calls the rows that it is about (CREATE TRIGGER, REFERENCING)."""


class Watched(NamedTuple):
    """A table, and the query for the documents that a change of it concerns.

    ``columns`` must be there, in some versions they are not. In the query ``%1$I`` is the schema.
    """

    table: str
    query: str
    columns: tuple[str, ...] = ()
    events: tuple[str, ...] = tuple(EVENTS)


_OF_DOCUMENT: Final = "SELECT document_id FROM changed"
_GRANTED: Final = (
    "SELECT p.object_pk::bigint FROM changed p"
    " JOIN %1$I.django_content_type c ON c.id = p.content_type_id"
    " WHERE c.app_label = 'documents' AND c.model = 'document'"
)


def _renamed(table: str, key: str, *, owner: str = "documents_document", of: str = "id") -> Watched:
    """Return the row for a table whose names are in the entries of its documents."""
    query = (
        f"SELECT d.{of} FROM %1$I.{owner} d JOIN changed n ON n.id = d.{key}"  # noqa: S608  # no value
        " JOIN before o ON o.id = n.id WHERE n.name IS DISTINCT FROM o.name"
    )
    return Watched(table, query, events=("UPDATE",))


WATCHED: Final = (
    Watched("documents_document", "SELECT id FROM changed"),
    # The entry of a document has the text of its newest version.
    Watched(
        "documents_document",
        "SELECT root_document_id FROM changed",
        columns=("root_document_id",),
    ),
    Watched("documents_document_tags", _OF_DOCUMENT),
    Watched("documents_note", _OF_DOCUMENT),
    Watched("documents_customfieldinstance", _OF_DOCUMENT),
    Watched("guardian_userobjectpermission", _GRANTED),
    Watched("guardian_groupobjectpermission", _GRANTED),
    _renamed("documents_tag", "tag_id", owner="documents_document_tags", of="document_id"),
    _renamed("documents_correspondent", "correspondent_id"),
    _renamed("documents_documenttype", "document_type_id"),
    _renamed("documents_storagepath", "storage_path_id"),
    _renamed(
        "documents_customfield", "field_id", owner="documents_customfieldinstance", of="document_id"
    ),
)
"""What an entry of the index is made of (``documents/search/_backend.py``, ``documents/index.py``).

Not watched are names of users, which paperless-ngx does not follow either."""
