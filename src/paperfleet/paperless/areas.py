"""The areas of documents, one row each: what paperless-ngx keeps in one folder. Pure.

An area is a folder of the storage, and its key the folder's name there. The settings are those of
``paperless/settings``, the fields those of ``documents.models.Document``.
"""

from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """An area of documents.

    ``setting`` names its local folder; ``field`` is where a document's row has the file's name,
    empty where it has none. An ``optional`` area is in the storage only if the operator chose it;
    ``mirrored`` are those whose changes are told.
    """

    key: str
    setting: str
    field: str = ""
    optional: bool = True
    mirrored: bool = False


ORIGINALS = "originals"
ARCHIVE = "archive"
THUMBNAILS = "thumbnails"
BUNDLES = "share_link_bundles"
CLASSIFIER = "classifier"
STAGING = "staging"
"""The folder of files that one host gives another to work on; no area of documents."""

AREAS = {
    area.key: area
    for area in (
        Area(ORIGINALS, "ORIGINALS_DIR", "filename", optional=False, mirrored=True),
        Area(ARCHIVE, "ARCHIVE_DIR", "archive_filename", optional=False, mirrored=True),
        Area(THUMBNAILS, "THUMBNAIL_DIR"),
        Area(BUNDLES, "SHARE_LINK_BUNDLE_DIR"),
    )
}
"""The areas whose files the database names, by key."""

ALWAYS = tuple(area.key for area in AREAS.values() if not area.optional)
"""The keys of the areas that every storage has."""

MIRRORED = frozenset(area.key for area in AREAS.values() if area.mirrored)
"""The keys of the areas whose changes are told; thumbnails can be made again."""

FIELDS = {area.field: area for area in AREAS.values() if area.field}
"""The areas by the field of a document that names their files."""

OPTIONAL = (*(area.key for area in AREAS.values() if area.optional), CLASSIFIER)
"""The keys that may be chosen; no row of the database names the file of the classifier."""
