"""Files of models, such as the logo: seams in Django's own storage, and the trial of them.

``FileSystemStorage`` (``django/core/files/storage/filesystem.py``) opens with ``open``, which is a
seam of its own, and writes and removes with ``os``.
"""

from __future__ import annotations

import functools
import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage

from paperfleet.paperless.documents import active
from paperfleet.paperless.documents.paths import StoragePath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from paperfleet.paperless.documents.mounts import Place


_TRIES = 5
"""Names that are tried when others take them at the same moment."""


def _place(storage: Any, name: str) -> Place | None:  # noqa: ANN401  # a FileSystemStorage
    """Return where a file of Django's storage lies, None for one of the local disk."""
    return active.mounts.find(posixpath.join(storage.location, name))


def path(original: Callable[..., Any]) -> Callable[..., Any]:
    """Give a path that C libraries can read: that of a local copy."""

    @functools.wraps(original)
    def new(self: Any, name: str) -> str:  # noqa: ANN401  # a FileSystemStorage
        return os.fspath(Path(str(original(self, name))))

    return new


def save(original: Callable[..., Any]) -> Callable[..., Any]:
    """Save a file of a model, such as the logo, under a name that nobody has."""

    @functools.wraps(original)
    def new(self: Any, name: str, content: Any) -> str:  # noqa: ANN401  # a FileSystemStorage, a File
        if _place(self, name) is None:
            return str(original(self, name, content))
        for left in reversed(range(_TRIES)):
            try:
                with StoragePath(posixpath.join(self.location, name)).open("xb") as target:
                    for chunk in content.chunks():
                        target.write(chunk.encode() if isinstance(chunk, str) else chunk)
                break
            except FileExistsError:
                if not left:
                    raise
                name = self.get_available_name(name)
        return name.replace("\\", "/")

    return new


def delete(original: Callable[..., Any]) -> Callable[..., Any]:
    """Delete a file of a model; one that is gone is no error, as on a disk."""

    @functools.wraps(original)
    def new(self: Any, name: str) -> None:  # noqa: ANN401  # a FileSystemStorage
        place = _place(self, name) if name else None
        if place is None or not place.name:
            original(self, name)
        else:
            StoragePath(place.path).unlink(missing_ok=True)

    return new


def tried(location: Path) -> Iterator[str]:
    """Save, read and delete a file below a folder; yield its name while it is there.

    Raises ``AssertionError`` that says what is wrong, or what Django raises.
    """
    name, content = "logo/a.svg", b"<svg/>"
    storage = FileSystemStorage(location=str(location))
    _require(storage.save(name, ContentFile(content)) == name, "a logo has another name")
    _require((location / name).read_bytes() == content, "a logo is not saved")
    other = storage.save(name, ContentFile(b"other"))
    _require(other != name and storage.exists(other), "a logo takes another one's name")
    path = storage.path(name)
    _require(os.path.isfile(path), "a logo has no real path")  # noqa: PTH113  # what C code sees
    with storage.open(name) as stream:
        _require(stream.read() == content, "a logo reads otherwise")
    yield name
    for one in (name, other):
        storage.delete(one)
        _require(not storage.exists(one), "a logo is not deleted")


def _require(held: object, what: str) -> None:
    if not held:
        raise AssertionError(what)
