"""Where a checkout of paperless-ngx writes its search index, beside the seams that keep it off."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.paperless.test_delivery_tasks import modules

from paperfleet.paperless.search.watched import WATCHED

if TYPE_CHECKING:
    from pathlib import Path

TANTIVY = {
    # What makes a writer, or an index: a seam stands at each, or it is ours to call.
    "documents.search._backend": {"writer", "open_or_rebuild_index", "wipe_index", "Index"},
    "documents.search._schema": {"wipe_index", "Index", "open"},
    "documents.management.commands.document_index": {"wipe_index", "rebuild"},
}
WHOOSH = {
    "documents.index": {"AsyncWriter", "open_index", "create_in", "open_dir", "rmtree"},
    "documents.tasks": {"AsyncWriter", "open_index"},
    "documents.views": {"open_index"},
}
WRITING = {
    *("writer", "AsyncWriter", "open_or_rebuild_index", "wipe_index", "rebuild", "create_in"),
    *("open_dir", "open_index", "SegmentWriter", "BufferedWriter"),
}


def called(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            names.add(getattr(function, "attr", getattr(function, "id", "")))
    return names


def test_the_index_is_written_where_the_seams_are_and_nowhere_else(source: Path) -> None:
    is_tantivy = (source / "documents" / "search").is_dir()
    expected = TANTIVY if is_tantivy else WHOOSH
    found = {
        module: names
        for module, tree in modules(source)
        if not module.startswith("paperless_ai") and (names := called(tree) & WRITING)
    }
    assert found == {
        module: names & WRITING for module, names in expected.items() if names & WRITING
    }


def test_every_column_that_an_entry_is_made_of_is_in_a_watched_table(source: Path) -> None:
    """A new relation of a document shows here, as its entry may depend on it."""
    (tree,) = [tree for module, tree in modules(source) if module == "documents.models"]
    related = {
        f"documents_{node.name.lower()}"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for one in ast.walk(node)
        if isinstance(one, ast.Call)
        and getattr(one.func, "attr", "") in {"ForeignKey", "OneToOneField", "ManyToManyField"}
        and one.args
        and getattr(one.args[0], "id", getattr(one.args[0], "value", "")) in {"Document", "self"}
    }
    not_indexed = {"documents_sharelink", "documents_sharelinkbundle", "documents_workflowrun"}
    watched = {one.table for one in WATCHED}
    assert related - watched - not_indexed == set()
