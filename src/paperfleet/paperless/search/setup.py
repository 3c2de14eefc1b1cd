"""Putting the search index of a fleet to work in a process."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from paperfleet.paperless.search import own, stream, writers
from paperfleet.running import searchstate

MIDDLEWARE = "paperfleet.paperless.search.follower.follow_index"


def install() -> None:
    """Let searches find the index of this host once there is one; web servers follow the stream.

    The seams are installed with all others. To be called from ``ready()``.
    """
    folder = Path(settings.DATA_DIR) / searchstate.FOLDER
    settings.INDEX_DIR = folder / writers.NOWHERE
    settings.MIDDLEWARE.insert(0, MIDDLEWARE)
    stream.listen_with(own.edited)
