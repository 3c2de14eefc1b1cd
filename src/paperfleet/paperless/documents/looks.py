"""What was seen of files a moment ago, so that no file is looked at twice."""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from paperfleet.errors import NotFoundError
from paperfleet.model import FileStat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.model import BegunMove
    from paperfleet.paperless.documents.mounts import Place
    from paperfleet.storage.full import FullStorage

Key = tuple[str, str]
_log = logging.getLogger("paperfleet.paperless")


@dataclass
class Looks:
    """What one request, or the holder of the media lock, has seen."""

    files: dict[Key, FileStat | None] = field(default_factory=dict)
    no_folders: set[Key] = field(default_factory=set)
    """Names below which there was nothing."""
    free: dict[str, str] = field(default_factory=dict)
    """By the root of a mount the free name that was looked for there, and is not used yet."""
    begun: tuple[Place, BegunMove] | None = None
    """The move that a look has begun."""
    alone: bool = False
    """Whether nobody else may change files meanwhile."""

    def clear(self) -> None:
        """Forget all."""
        self.files.clear()
        self.no_folders.clear()
        self.free.clear()
        self.leave()

    def leave(self) -> None:
        """Let go of the move that was begun, if it was not ended."""
        if self.begun is None:
            return
        (place, begun), self.begun = self.begun, None
        storage = place.mount.storage
        if not storage.capabilities.move_in_two:
            return
        try:
            storage.leave_move(begun)
        except OSError as error:
            _log.warning("the claim of a move of %s stays for a while: %s", place.path, error)

    def changed(self, place: Place) -> None:
        """Forget what a change of this file makes untrue."""
        self.files.pop(place.key, None)
        self.free.pop(place.key[0], None)
        if self.begun and self.begun[0].key == place.key:
            self.leave()
        self.may_be_folder(place)

    def may_be_folder(self, place: Place) -> None:
        """Forget that nothing was below this name, and those above it."""
        root, name = place.key
        while name:
            self.no_folders.discard((root, name))
            name = name.rpartition("/")[0]


_looks: ContextVar[Looks | None] = ContextVar("looks", default=None)


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Within this block no file is looked at twice; for one request, whose answer is one moment."""
    token = _looks.set(Looks())
    try:
        yield
    finally:
        _looks.reset(token)


def forget() -> None:
    """Look again from now on: somebody else may have been at work."""
    if looks := _looks.get():
        looks.clear()


@contextlib.contextmanager
def remembering_alone() -> Iterator[None]:
    """Within this block, in which nobody else may change files, no file is looked at twice.

    What was seen before is forgotten, and what is seen in it stays known to a request around it.
    """
    forget()
    with contextlib.ExitStack() as stack:
        if _looks.get() is None:
            stack.enter_context(remembering())
        if looks := _looks.get():
            looks.alone = True
            stack.callback(_no_longer_alone, looks)
        yield


def _no_longer_alone(looks: Looks) -> None:
    looks.alone = False
    looks.free.clear()
    looks.leave()


def find(place: Place) -> FileStat | None:
    """Return what is known of a file, None where there is none; one request at the most.

    Who has just looked for a free name, alone, is about to give it to a file: the look at that one
    begins its move (``SupportsMoveInTwo``).
    """
    looks = _looks.get()
    if looks is not None and place.key in looks.files:
        return looks.files[place.key]
    storage = place.mount.storage
    able = storage.capabilities.move_in_two
    if looks is not None and looks.alone and able and (new_name := looks.free.get(place.key[0])):
        found = _begun(looks, storage, place, new_name)
    else:
        found = storage.find(place.name)
    remember(place, found)
    return found


def _begun(looks: Looks, storage: FullStorage, place: Place, new_name: str) -> FileStat | None:
    looks.leave()  # one move at a time
    try:
        begun = storage.begin_move(place.name, new_name)
    except NotFoundError:
        return None
    looks.begun = place, begun
    return begun.file


def entry(place: Place) -> FileStat | bool:
    """Return the file of this name, else whether there are files below it."""
    looks = _looks.get()
    known = looks.files.get(place.key) if looks else None
    if known is not None:
        return known
    if looks and place.key in looks.files and place.key in looks.no_folders:
        return False
    found = place.mount.storage.entry(place.name)
    remember(place, found if isinstance(found, FileStat) else None)
    if looks and found is False:
        looks.no_folders.add(place.key)
        if looks.alone:
            looks.free[place.key[0]] = place.name
    return found


def is_no_folder(place: Place) -> bool:
    """Say whether it was seen that nothing lies below a name."""
    looks = _looks.get()
    return looks is not None and place.key in looks.no_folders


def remember(place: Place, found: FileStat | None) -> None:
    """Note what was seen."""
    if looks := _looks.get():
        looks.files[place.key] = found


def changed(place: Place) -> None:
    """Forget what a change of this file makes untrue."""
    if looks := _looks.get():
        looks.changed(place)


def made_folder(place: Place) -> None:
    """Forget that there was no such folder."""
    if looks := _looks.get():
        looks.may_be_folder(place)


def taken_move(old: Place, new: Place) -> BegunMove | None:
    """Return the move of this file to this name that was begun, once."""
    looks = _looks.get()
    if looks is None or looks.begun is None:
        return None
    place, begun = looks.begun
    if (place.key, begun.new_name) != (old.key, new.name):
        return None
    looks.begun = None
    return begun
