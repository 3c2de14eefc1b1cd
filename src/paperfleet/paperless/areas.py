"""The areas of documents, one row each: what paperless-ngx keeps in one folder. Pure.

An area is a folder of the storage, and its key the folder's name there. The settings are those of
``paperless/settings``, the fields those of ``documents.models.Document``.
"""

from __future__ import annotations

from typing import NamedTuple


class Area(NamedTuple):
    """An area of documents.

    ``setting`` names its local folder, or with ``below`` the one above it; ``field`` is where a
    document's row has the file's name, empty where it has none. An ``optional`` area is in the
    storage only if the operator chose it, or in a fleet; ``mirrored`` are those whose changes are
    told. Of one that is not ``named`` no row of the database knows the files.
    """

    key: str
    setting: str
    field: str = ""
    optional: bool = True
    mirrored: bool = False
    below: str = ""
    named: bool = True

    def folder(self, settings: object) -> str:
        """Return its local folder, '' where the settings have none."""
        root = getattr(settings, self.setting, None)
        return f"{root}/{self.below}".rstrip("/") if root else ""


ORIGINALS = "originals"
ARCHIVE = "archive"
THUMBNAILS = "thumbnails"
BUNDLES = "share_link_bundles"
LOGO = "logo"
TRASH = "trash"
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
        Area(LOGO, "MEDIA_ROOT", below="logo"),  # paperless/models.py: upload_to
        Area(TRASH, "EMPTY_TRASH_DIR", named=False),
    )
}
"""The areas whose files are of lasting worth, by key."""

ALWAYS = tuple(area.key for area in AREAS.values() if not area.optional)
"""The keys of the areas that every storage has."""

NOTED = frozenset({ORIGINALS, ARCHIVE, THUMBNAILS})
"""The keys of the areas whose files each belong to one document, by a name that its row tells."""

MIRRORED = frozenset(area.key for area in AREAS.values() if area.mirrored)
"""The keys of the areas whose changes are told; thumbnails can be made again."""

FIELDS = {area.field: area for area in AREAS.values() if area.field}
"""The areas by the field of a document that names their files."""

CACHED = frozenset({CLASSIFIER, LOGO, THUMBNAILS})
"""The keys of the areas whose files are read whole, again and again."""

OPTIONAL = (*(area.key for area in AREAS.values() if area.optional), CLASSIFIER)
"""The keys that may be chosen; the classifier is one file, which is made again when it is lost."""
