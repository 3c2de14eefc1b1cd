"""Removing temporary files: of a save that failed, and those that a cut-off one left behind."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from paperfleet.errors import (
    CredentialsError,
    IntegrityError,
    StorageError,
    UnavailableError,
)
from paperfleet.storage.dav.client import Request
from paperfleet.storage.dav.temporary import age, trial_above
from paperfleet.storage.unfinished import IN_USE

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from paperfleet.storage.dav.client import DavClient
    from paperfleet.storage.dav.listing import DavListing

logger = logging.getLogger(__name__)
TIMEOUT = 10.0
_AFTER_A_CUT = (0.05, 0.2, 0.5)
"""Seconds to wait for the file of an upload that was cut: the server may be about to make it."""

_GONE = {200, 202, 204, 400, 404, 409}


class Temporaries:
    """Removes temporary files of one storage."""

    def __init__(self, client: DavClient, listing: DavListing) -> None:
        self._client = client
        self._listing = listing
        self._stayed: set[str] = set()

    @contextlib.contextmanager
    def removing(
        self, temporary: str, kept: Callable[[BaseException], bool] = lambda _: False
    ) -> Iterator[None]:
        """Remove a temporary file when the block fails, unless ``kept`` says that it is needed."""
        with IN_USE.holding(temporary):
            try:
                yield
            except CredentialsError:
                raise  # no request is answered now; a sweep finds what there may be
            except BaseException as error:
                if kept(error):
                    raise
                refused = isinstance(error, StorageError)
                cut = not refused or isinstance(error, IntegrityError | UnavailableError)
                self.discard(temporary, pauses=_AFTER_A_CUT if cut else ())
                raise

    def discard(self, temporary: str, *, pauses: Sequence[float] = ()) -> bool:
        """Remove a temporary file; say whether it is gone. Storage errors are logged only.

        Where there is none, it is looked for again after each of the ``pauses``.
        """
        path = self._client.root.path_of(temporary, folder=bool(trial_above(temporary)))
        request = Request("DELETE", path, operation="tidy", timeout=TIMEOUT)
        try:
            for pause in pauses:
                if self._client.ask(request, accept=_GONE).is_done:
                    return True
                time.sleep(pause)
            self._client.ask(request, accept=_GONE)
        except StorageError as error:
            logger.warning("a temporary file stays at %s until the next sweep: %s", path, error)
            self._stayed.add(temporary)
            return False
        self._stayed.discard(temporary)
        return True

    def sweep(self, older_than: float, needed: Container[str] = ()) -> int:
        """Remove temporary files that were made more than so many seconds ago; return how many.

        Those that are ``needed`` stay, and those that this process is at work on.
        Raises ``UnavailableError`` when some of them stay.
        """
        now = time.time()
        # A listing need not show what this process knows to have left (names with a dot).
        left = {*self._listing.temporaries(), *self._stayed}
        old = [n for n in sorted(left) if (age(n, now) or 0) > older_than]
        # Asked for each right before: work may have begun on it, or ended, since it was listed.
        swept = [self.discard(n) for n in old if n not in IN_USE and n not in needed]
        stay = swept.count(False)
        if stay:
            raise UnavailableError(
                f"{stay} of {len(swept)} could not be removed",
                operation="sweep",
                storage=self._client.root.url,
            )
        return len(swept)
