"""Downloads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.http import FileResponse, JsonResponse
from django.shortcuts import get_object_or_404

from documents import tasks
from documents.models import Document

if TYPE_CHECKING:
    from django.http import HttpRequest


def download(request: HttpRequest, pk: int) -> FileResponse:  # noqa: ARG001
    document = get_object_or_404(Document, pk=pk)
    return FileResponse(document.source_file, content_type=document.mime_type)


def empty_trash(request: HttpRequest) -> JsonResponse:
    """Answer OK to whatever returns, as paperless-ngx does (documents/views.py)."""
    numbers = json.loads(request.body)["documents"]
    tasks.empty_trash(doc_ids=numbers)
    return JsonResponse({"result": "OK", "doc_ids": numbers})


def metadata(request: HttpRequest, pk: int) -> JsonResponse:  # noqa: ARG001
    document = get_object_or_404(Document, pk=pk)
    path = document.source_path
    there = path.is_file()
    size = path.stat().st_size if there and path.exists() else None
    return JsonResponse({"there": there, "size": size, "name": document.filename})
