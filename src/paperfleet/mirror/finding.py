"""What a look at the whole target found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from paperfleet.model import FileStat, KnownFile


class TargetFinding(NamedTuple):
    """What a check found.

    ``doubtful``: rows that the target contradicts. ``listing``: all files by name when everything
    was listed, else None. ``etags``: folders that were listed, to be trusted once ``doubtful`` is
    in the journal; ``gone``: folders to be trusted no longer. ``strange``: by folder the files in
    listed folders that no row knows. ``whole``: every folder was listed. ``absent``: names in doubt
    of which the listing showed that nothing is at the target. ``unreadable``: what could not be
    listed, with the reason; nothing is known of it and of what is below; None: nobody looked.
    """

    doubtful: list[KnownFile]
    listing: dict[str, FileStat] | None = None
    etags: dict[str, str] = {}  # noqa: RUF012  # a default of a NamedTuple, never changed
    gone: frozenset[str] = frozenset()
    strange: dict[str, frozenset[str]] = {}  # noqa: RUF012  # as above
    whole: bool = False
    absent: frozenset[str] = frozenset()
    unreadable: dict[str, str] | None = None

    @property
    def mixed(self) -> frozenset[str]:
        """The listed folders that have something of others in them."""
        return frozenset(self.strange) | {n.rpartition("/")[0] for n in self.unreadable or ()}

    @property
    def trusted(self) -> dict[str, str]:
        """The etags that say that nothing has changed; not of folders above what is unreadable.

        A server may let it be read without a new etag (seen with Nextcloud 34.0.1).
        """
        unsure = self._unsure
        return {folder: etag for folder, etag in self.etags.items() if folder not in unsure}

    @property
    def distrusted(self) -> frozenset[str]:
        """The folders of which no etag is to be trusted any longer."""
        return self.gone | self._unsure

    @property
    def _unsure(self) -> frozenset[str]:
        unreadable = self.unreadable or {}
        return frozenset(up for name in unreadable for up in ("", *parents(name), name))
