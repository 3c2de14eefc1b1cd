"""Workflows whose conditions a new document meets."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any


def consumable_document_matches_workflow(document: Any, trigger: Any) -> tuple[bool, str]:
    """Compare where a file lay with what a workflow asks for (``documents/matching.py``)."""
    match_against = document.original_path
    if match_against is None:
        match_against = document.original_file
    if not fnmatch(match_against, trigger.filter_path):
        return False, f"Document path {document.original_file} does not match {trigger.filter_path}"
    return True, ""
