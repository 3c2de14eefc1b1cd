"""Renames at the target: of what is still ours alone, known again under its new name."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from paperfleet.errors import AlreadyExistsError, NotFoundError, PreconditionFailedError
from paperfleet.mirror.planning.classify import matches
from paperfleet.model import Obstacle, moved_row

if TYPE_CHECKING:
    from paperfleet.model import KnownFile, Move, MoveFolder
    from paperfleet.storage.full import FullStorage


class FolderHasOthersError(PreconditionFailedError):
    """The folder at the target is not, file for file, what the mirror put there."""


class Renames:
    """Renames files and folders; safe to use from many threads."""

    def __init__(self, target: FullStorage) -> None:
        self._target = target
        self._can = target.capabilities

    def move(self, move: Move) -> KnownFile:
        """Rename one file; return its row. Raises as ``DocumentStorage.move`` does.

        And ``PreconditionFailedError`` where others changed it, before or right after.
        """
        new = move.target_name
        try:
            self._rename(move)
        except NotFoundError:
            if not self._arrived(move):
                raise
        etag = move.known.target_etag if self._can.folder_etags else self._moved_etag(move)
        return moved_row(move.known, move.source, move.new_name, new)._replace(target_etag=etag)

    def _rename(self, move: Move) -> None:
        """Rename what is still ours; what others put in its place would count as ours from now on.

        Where etags stay with a move, the next look at the target tells that it was not ours.
        """
        old, new, known = move.known.target_name, move.target_name, move.known
        if self._can.folder_etags:
            self._target.move(old, new)
            return
        if move.second_half:
            known = known._replace(target_etag=None)
        self._target.move_unchanged(old, new, lambda seen: matches(seen, known))

    def _arrived(self, move: Move) -> bool:
        """Say whether a move that finds nothing to move was done before."""
        there = self._target.find(move.target_name)
        if there is None or there.size != move.known.size:
            return False
        return self._target.content_sha256(move.target_name) == move.known.sha256

    def _moved_etag(self, move: Move) -> str | None:
        """Return the etag under the new name; raise where somebody has written there already."""
        known, name = move.known._replace(target_etag=None), move.target_name
        if not matches(seen := self._target.stat(name), known):
            raise self._changed_since(name)
        return seen.etag

    def move_folder(self, move: MoveFolder, trusted: str | None) -> tuple[KnownFile, ...]:
        """Rename a folder; return the rows of its files.

        ``trusted`` is the state of a folder in which everything was seen to be the mirror's. Raises
        ``FolderHasOthersError``, and then its files have to be moved one by one.
        """
        if not self._can.move_folder:
            raise FolderHasOthersError("folders cannot be moved here", name=move.old_target)
        try:
            self._rename_folder(move, trusted)
        except (PreconditionFailedError, AlreadyExistsError) as error:
            raise FolderHasOthersError(error.reason, name=move.old_target) from error
        etags = self._moved_etags(move)
        return tuple(
            moved_row(m.known, m.source, m.new_name, m.target_name)._replace(
                target_etag=etags.get(m.target_name)
            )
            for m in move.members
        )

    def _moved_etags(self, move: MoveFolder) -> dict[str, str | None]:
        """Return the etags by new name; raise where somebody has written there already.

        Without them nobody could tell from now on whether what is there is still ours.
        """
        if self._can.folder_etags:
            return {m.target_name: m.known.target_etag for m in move.members}
        ours = {m.target_name: m.known._replace(target_etag=None) for m in move.members}
        found: dict[str, str | None] = {}
        for seen in self._target.list_stats(move.new_target):
            if seen.name in ours and not matches(seen, ours[seen.name]):
                raise self._changed_since(seen.name)
            found[seen.name] = seen.etag
        return found

    def _changed_since(self, name: str) -> PreconditionFailedError:
        label = self._target.label
        reason = "somebody changed it since it was moved"
        return PreconditionFailedError(reason, operation="move", name=name, storage=label)

    def _rename_folder(self, move: MoveFolder, trusted: str | None) -> None:
        """Move it in the trusted state; in any other one look at every file first."""
        if trusted is not None:
            with contextlib.suppress(PreconditionFailedError):
                self._target.move_folder(move.old_target, move.new_target, trusted)
                return
        etag = None
        if self._can.folder_etags:
            etag = self._target.folder_etag(move.old_target)
        self._check_folder(move)
        self._target.move_folder(move.old_target, move.new_target, etag)

    def _check_folder(self, move: MoveFolder) -> None:
        """Raise unless the folder holds what the mirror put there and nothing else."""
        expected = {member.known.target_name: member.known for member in move.members}
        for seen in self._target.survey(move.old_target):
            if isinstance(seen, Obstacle):
                if seen.below:
                    reason = f"{seen.name!r} cannot be read: {seen.reason}"
                    raise FolderHasOthersError(reason, name=move.old_target)
                continue
            known = expected.pop(seen.name, None)
            if known is None or not matches(seen, known):
                raise FolderHasOthersError(f"{seen.name!r} is not ours", name=move.old_target)
        if expected:
            raise FolderHasOthersError(f"{min(expected)!r} is not there", name=move.old_target)
