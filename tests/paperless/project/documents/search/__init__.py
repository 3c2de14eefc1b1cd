"""The search index, under the names of paperless-ngx 3 (``documents/search``)."""

from documents.search._backend import TantivyBackend, WriteBatch, get_backend, reset_backend
from documents.search._schema import needs_rebuild, wipe_index

__all__ = [
    "TantivyBackend",
    "WriteBatch",
    "get_backend",
    "needs_rebuild",
    "reset_backend",
    "wipe_index",
]
