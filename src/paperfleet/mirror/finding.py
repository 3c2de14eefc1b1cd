"""What a look at the whole target found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from paperfleet.storage.names import parents

if TYPE_CHECKING:
    from paperfleet.mirror.busy import TouchedNames
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

    def without(self, touched: TouchedNames) -> tuple[TargetFinding, list[KnownFile]]:
        """Return what is left of a finding beside which the mirror touched these names.

        And the rows of touched names that the target contradicts: each counts once nothing is under
        way for its name, if the row is still the same on the target's side.

        What was listed under a touched name is from before or after, and so are the etags of all
        folders above it and of what lies below it. What an operation has proven meanwhile is newer
        than the listing, or as old. A listing of everything is none any longer.
        """
        if not touched:
            return self, []
        doubtful = [row for row in self.doubtful if not _is_touched(row, touched)]
        unclear = [
            row
            for row in self.doubtful
            if _is_touched(row, touched) and row.name not in touched.proven
        ]
        strange = {
            folder: left
            for folder, names in self.strange.items()
            if (left := frozenset(name for name in names if not touched.touches(name)))
        }
        finding = self._replace(
            doubtful=doubtful,
            listing=None,
            etags={f: etag for f, etag in self.etags.items() if not touched.touches(f)},
            strange=strange,
            absent=frozenset(name for name in self.absent if not touched.touches(name))
            & {row.name for row in doubtful},
        )
        return finding, unclear


def still_contradicted(row: KnownFile, now: KnownFile | None) -> bool:
    """Say whether a row that the target contradicted says the same of the target now."""
    return now is not None and _there(now) == _there(row)


def _there(row: KnownFile) -> tuple[object, ...]:
    return row.target_name, row.size, row.sha256, row.target_etag, row.sure


def _is_touched(row: KnownFile, touched: TouchedNames) -> bool:
    return touched.touches(row.name) or touched.touches(row.target_name)
