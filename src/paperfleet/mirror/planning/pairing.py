"""Pair what vanished with what appeared: a rename stays a rename. Pure.

Two files are one that moved when their content is the same (size and SHA-256); the inode decides
between several of the same content, and alone lets a name that is still there give its old content
away (a swap). An equal inode with other content is no proof: filesystems use inodes again at once.
Where an id lasts, it is: such a file is renamed with the content that it had, and looked at again.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from paperfleet.mirror.planning.classify import target_name_of
from paperfleet.model import ABSENT, KnownFile, Move, MoveFolder, Put, moved_row
from paperfleet.storage.names import is_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from paperfleet.mirror.planning.view import View

Pairs = dict[str, tuple[KnownFile, Put]]
"""New name → the row that moves there, and the send that it saves."""


def find_moves(
    puts: dict[str, Put], vanished: dict[str, KnownFile], view: View
) -> tuple[list[tuple[KnownFile, str]], list[Move | MoveFolder]]:
    """Take out of ``puts`` and ``vanished`` what is a move; return (renamed rows, moves).

    A renamed row is a rename that the target does not see (it folds both names into one); with it
    comes the old name. A name that gives its content away and gets new content stays in ``puts``,
    as a creation.
    """
    pairs = _without_occupied(_match(puts, vanished, view), view)
    folders = _folder_moves(pairs, view)
    inside = {move.new_name for folder in folders for move in folder.members}
    singles = [
        _move(known, put, view)
        for name, (known, put) in sorted(pairs.items())
        if name not in inside
    ]
    _consume(pairs, puts, vanished)
    renamed = [m for m in singles if m.known.target_name == m.target_name]
    moves: list[Move | MoveFolder] = [*folders, *(m for m in singles if m not in renamed)]
    return [(_renamed(m), m.known.name) for m in renamed], moves


def _match(puts: dict[str, Put], vanished: dict[str, KnownFile], view: View) -> Pairs:
    by_content: dict[tuple[str, int], list[KnownFile]] = defaultdict(list)
    for known in _displaced(puts, vanished, view):
        by_content[known.sha256, known.size].append(known)
    pairs: Pairs = {}
    used: set[str] = set()
    for exact in (True, False):
        for name, put in sorted(puts.items()):
            if name in pairs or not _may_be_moved_to(put, view):
                continue
            free = [
                known
                for known in by_content.get((put.source.sha256 or "", put.source.size), ())
                if known.name not in used
                and (_same_inode(known, put) or (not exact and known.name in vanished))
            ]
            if free:
                best = min(free, key=lambda known: _distance(known, put))
                pairs[name] = (best, put)
                used.add(best.name)
    return (_by_id(puts, vanished, view, pairs) if view.lasting_ids else {}) | pairs


def _by_id(
    puts: Mapping[str, Put], vanished: Mapping[str, KnownFile], view: View, paired: Pairs
) -> Pairs:
    """Pair what is left by the id alone: the content that is there moves, whatever is to come."""
    used = {known.name for known, _ in paired.values()}
    left = {
        known.file_id: known
        for known in vanished.values()
        if known.file_id and known.sure and known.sha256 and known.name not in used
    }
    found = ((name, left.get(put.source.file_id or ""), put) for name, put in puts.items())
    return {
        name: (known, put)
        for name, known, put in found
        if known and name not in paired and _may_be_moved_to(put, view)
    }


def _displaced(
    puts: dict[str, Put], vanished: dict[str, KnownFile], view: View
) -> Iterator[KnownFile]:
    """Yield the rows whose content is no longer under their name at the source."""
    yield from (known for known in vanished.values() if known.sure)
    for name in puts:
        known = view.known.get(name)
        if known and known.sure and known.sha256 != view.source[name].sha256:
            yield known


def _may_be_moved_to(put: Put, view: View) -> bool:
    """Say whether nothing foreign and nothing in doubt stands under the new name."""
    known = view.known.get(put.source.name)
    if known is None or put.expect.exists is False:
        return put.expect.exists is False and put.aside is None
    return known.sure and put.why == "updated" and put.aside is None


def _same_inode(known: KnownFile, put: Put) -> bool:
    return known.file_id is not None and known.file_id == put.source.file_id


def _distance(known: KnownFile, put: Put) -> tuple[bool, bool, bool, str]:
    old_folder, _, old_base = known.name.rpartition("/")
    new_folder, _, new_base = put.source.name.rpartition("/")
    return (not _same_inode(known, put), old_base != new_base, old_folder != new_folder, known.name)


def _without_occupied(pairs: Pairs, view: View) -> Pairs:
    """Leave out moves onto a name whose own content stays: that is an update and a delete."""
    while True:
        leaving = {known.name for known, _ in pairs.values()}
        kept = {
            name: pair
            for name, pair in pairs.items()
            if name not in view.known or name in leaving or pair[1].expect.exists is False
        }
        if len(kept) == len(pairs):
            return kept
        pairs = kept


def _consume(pairs: Pairs, puts: dict[str, Put], vanished: dict[str, KnownFile]) -> None:
    for name in pairs:
        del puts[name]
    for known, _ in pairs.values():
        vanished.pop(known.name, None)
        left = puts.get(known.name)
        if left is not None:
            puts[known.name] = Put(left.source, left.target_name, "created", ABSENT)


def _move(known: KnownFile, put: Put, view: View) -> Move:
    target_name = target_name_of(put.source.name, view.capabilities)
    source = put.source if known.sha256 == put.source.sha256 else None
    return Move(known, put.source.name, target_name, source)


def _renamed(move: Move) -> KnownFile:
    return moved_row(move.known, move.source, move.new_name, move.target_name)


def _folder_moves(pairs: Pairs, view: View) -> list[MoveFolder]:
    """Return the largest folders of which every file moved to the same place in a new folder."""
    candidates = _candidates(pairs)
    sound = {
        (old, new): moves
        for (old, new), moves in candidates.items()
        if _all_moved(old, new, moves, view)
    }
    sound = _without_taken(sound, view)
    chosen: list[MoveFolder] = []
    covered: set[str] = set()
    for (old, new), names in sorted(
        sound.items(), key=lambda item: (item[0][0].count("/"), item[0])
    ):
        if any(name in covered for name in names):
            continue
        covered.update(names)
        members = tuple(_move(*pairs[name], view) for name in sorted(names))
        targets = (target_name_of(old, view.capabilities), target_name_of(new, view.capabilities))
        chosen.append(MoveFolder(old, new, *targets, members))
    return chosen


def _candidates(pairs: Pairs) -> dict[tuple[str, str], list[str]]:
    """Return for each pair of folders the new names that moved from one to the other."""
    candidates: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, (known, _) in pairs.items():
        for folders in _common_tails(known.name, name):
            candidates[folders].append(name)
    return candidates


def _common_tails(old: str, new: str) -> Iterable[tuple[str, str]]:
    """Yield the folder pairs below which both names are alike: a/x/f, b/x/f: (a/x, b/x), (a, b)."""
    while True:
        old, _, old_base = old.rpartition("/")
        new, _, new_base = new.rpartition("/")
        if not old or not new or old_base != new_base or old == new:
            return
        yield old, new


def _all_moved(old: str, new: str, names: list[str], view: View) -> bool:
    apart = not is_below(old, new) and not is_below(new, old)
    enough = len(names) > 1 or (old, new) in view.renamed
    return apart and enough and view.known_below(old) == len(names)


def _without_taken(
    sound: dict[tuple[str, str], list[str]], view: View
) -> dict[tuple[str, str], list[str]]:
    """Leave out moves onto a folder that has files of ours, unless all of it moves away too."""
    while True:
        leaving = {old for old, _ in sound}
        kept = {
            pair: names
            for pair, names in sound.items()
            if view.known_below(pair[1]) == 0 or pair[1] in leaving
        }
        if len(kept) == len(sound):
            return kept
        sound = kept
