"""Decide for one name, from source, journal and target, what it needs. Pure."""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from paperfleet.mirror.planning.view import Unseen
from paperfleet.model import ABSENT, KnownFile, Precondition, Put

if TYPE_CHECKING:
    from paperfleet.mirror.planning.view import View
    from paperfleet.model import Capabilities, FileStat

_LONGEST = 227
"""Bytes of a name that the mirror makes itself: any target takes so many in every request."""

_LONGEST_EXTENSION = 20
"""Bytes after the last dot that are kept when a name has to be cut."""


@dataclass(frozen=True, slots=True)
class Equal:
    """Nothing to send; ``row`` is the journal's new row, ``adopted`` that it was found there."""

    row: KnownFile
    adopted: bool


@dataclass(frozen=True, slots=True)
class Vanished:
    """Gone from the source, and the target still has what the mirror put there."""

    known: KnownFile


@dataclass(frozen=True, slots=True)
class Forget:
    """Gone from the source; the target has nothing of ours. ``foreign``: it has somebody else's."""

    name: str
    foreign: bool


Need = Put | Equal | Vanished | Forget | None


def target_name_of(name: str, capabilities: Capabilities) -> str:
    """Return the name that the target will use for a source name."""
    form = capabilities.unicode_form
    return unicodedata.normalize(form, name) if form else name


def row_of(source: FileStat, target_name: str, target_etag: str | None) -> KnownFile:
    """Return the journal row of a file that is at the target as it is at the source."""
    return KnownFile(
        name=source.name,
        target_name=target_name,
        size=source.size,
        sha256=source.sha256 or "",
        modified_ns=source.modified_ns,
        file_id=source.file_id,
        version=source.etag,
        target_etag=target_etag,
    )


def classify(name: str, view: View) -> Need:
    """Say what one name needs: a send, a journal row, a removal, or nothing (None)."""
    source, known = view.source.get(name), view.known.get(name)
    if source is None:
        return _gone(known, view) if known else None
    if known is None:
        return _new(source, view)
    return _both(source, known, view)


def _gone(known: KnownFile, view: View) -> Need:
    seen = view.seen(known.target_name)
    if seen is None:
        return Forget(known.name, foreign=False)
    if isinstance(seen, Unseen):
        return Vanished(known)
    if seen.sha256 and seen.sha256 in {known.sha256, known.intended_sha256}:
        return Vanished(_proven(known, seen))
    return (
        Vanished(known)
        if is_ours(seen, known, versioned=False)
        else Forget(known.name, foreign=True)
    )


def _proven(known: KnownFile, seen: FileStat) -> KnownFile:
    """Return the row without doubt, of which the bytes at the target were seen to be ours."""
    return known._replace(
        size=seen.size,
        sha256=seen.sha256 or "",
        target_etag=seen.etag,
        sure=True,
        intended_sha256=None,
    )


def arrived(known: KnownFile, seen: FileStat | None) -> KnownFile | None:
    """Return the row of what a send of ours in doubt was seen to have brought; None for all else.

    To be written down before other content is sent there: the doubt about that would take the place
    of the one before. Of which state of the source file it is, nobody knows.
    """
    if known.sure or seen is None or not seen.sha256 or seen.sha256 != known.intended_sha256:
        return None
    return _proven(known, seen)._replace(modified_ns=None, file_id=None, version=None)


def _new(source: FileStat, view: View) -> Need:
    target_name = target_name_of(source.name, view.capabilities)
    seen = view.seen(target_name)
    if seen is None or isinstance(seen, Unseen):
        return Put(source, target_name, "created", ABSENT)
    if same_content(seen, source):
        return Equal(row_of(source, target_name, seen.etag), adopted=True)
    return _replace(source, target_name, seen, "updated", view, ours=False)


def _both(source: FileStat, known: KnownFile, view: View) -> Need:
    changed = source.sha256 != known.sha256
    seen = view.seen(known.target_name)
    if isinstance(seen, Unseen) or (seen and known.sure and matches(seen, known)):
        if changed:
            expect = Precondition(etag=known.target_etag)
            return Put(source, known.target_name, "updated", expect)
        row = row_of(source, known.target_name, known.target_etag)
        return None if row == known else Equal(row, adopted=False)
    if seen is None:
        why: Literal["created", "restored"] = "restored" if known.sha256 else "created"
        return Put(source, known.target_name, why, ABSENT)
    if same_content(seen, source):
        return Equal(row_of(source, known.target_name, seen.etag), adopted=True)
    why_over: Literal["updated", "restored"] = "updated" if changed else "restored"
    ours = is_ours(seen, known, versioned=known.target_name in view.versioned)
    return _replace(source, known.target_name, seen, why_over, view, ours=ours)


def _replace(
    source: FileStat,
    target_name: str,
    seen: FileStat,
    why: Literal["updated", "restored"],
    view: View,
    *,
    ours: bool,
) -> Put:
    keep = not ours and view.set_aside and target_name not in view.versioned
    expect = ABSENT if keep else Precondition(etag=seen.etag)
    aside = aside_name(target_name, seen) if keep else None
    return Put(source, target_name, why, expect, aside)


def same_content(seen: FileStat, source: FileStat) -> bool:
    """Say whether the target's bytes were compared and found equal to the source's."""
    return seen.size == source.size and seen.sha256 is not None and seen.sha256 == source.sha256


def matches(seen: FileStat, known: KnownFile) -> bool:
    """Say whether the target looks as the mirror left it: size and etag, as far as both are known.

    The etag is unknown between the two halves of a move through a passing name, where the etags of
    the target do not stay with a move.
    """
    if seen.sha256 is not None and seen.sha256 != known.sha256:
        return False
    etag_agrees = known.target_etag is None or seen.etag == known.target_etag
    return seen.size == known.size and etag_agrees


def is_ours(seen: FileStat, known: KnownFile, *, versioned: bool) -> bool:
    """Say whether the mirror wrote what is there, finished or not.

    An overwrite that was cut off leaves the old etag with other bytes on Nextcloud, so an equal
    etag makes such a file ours. So does somebody else's write in the same second: where nothing was
    being written, other bytes are ours only as long as they are kept as a version (``versioned``).
    """
    if seen.sha256 is not None and seen.sha256 in {known.sha256, known.intended_sha256}:
        return True
    if seen.etag is not None and known.target_etag is not None:
        other_bytes = seen.sha256 is not None or seen.size != known.size
        explained = versioned or known.intended_sha256 is not None
        return seen.etag == known.target_etag and (explained or not other_bytes)
    return seen.size == known.size and known.sure


def aside_name(target_name: str, seen: FileStat) -> str:
    """Return the name under which somebody else's file is kept: 'a (kept 1f0c2d3e).pdf'.

    The same file gives the same name, so that a second try finds the first one's work.
    """
    folder, slash, base = target_name.rpartition("/")
    return _marked(folder + slash, base, "kept", f"{seen.size}-{seen.modified_ns}-{seen.etag}")


def passing_name(target_name: str) -> str:
    """Return the name that a swap or a case-only rename to ``target_name`` passes through.

    It lies in the root, where no folder can be in the way. It is an ordinary, visible name: cut off
    in the middle, the file is found there and moved on.
    """
    return _marked("", target_name.rpartition("/")[2], "moving", target_name)


def _marked(folder: str, base: str, word: str, text: str) -> str:
    stem, dot, extension = base.rpartition(".")
    if not stem or len(extension.encode("utf-8", "surrogatepass")) > _LONGEST_EXTENSION:
        stem, dot, extension = base, "", ""
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    ending = f" ({word} {mark}){dot}{extension}"
    room = _LONGEST - len(ending.encode("utf-8", "surrogatepass"))
    return folder + _first_bytes(stem, room) + ending


def _first_bytes(text: str, most: int) -> str:
    """Return as many of the first characters as fit into so many bytes."""
    whole = text.encode("utf-8", "surrogatepass")
    if len(whole) <= most:
        return text
    return whole[:most].decode("utf-8", "ignore")
