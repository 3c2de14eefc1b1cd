"""The documents of a paperless-ngx as a source: can they be seen, and will changes be noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.diagnosis import Check, ok
from paperfleet.doctor.source import SourceContent
from paperfleet.documents.diagnosis import PaperlessApiChecks
from paperfleet.running.documents import api_named_by, documents_named_by, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.diagnosis import CheckResult
    from paperfleet.settings.mirror import MirrorSettings
    from paperfleet.storage.protocol import DocumentStorage

ADDRESS = "address"


class DocumentsChecks:
    """The checks of one paperless-ngx; ``storage`` is known after the first.

    ``content`` stays unknown: to list it takes a request for each document.
    """

    def __init__(self, settings: MirrorSettings) -> None:
        self._settings = settings
        self._api: PaperlessApiChecks | None = None
        self.content = SourceContent()
        self.storage: DocumentStorage | None = None

    def checks(self) -> Iterator[Check]:
        """Yield them, in this order; each once the one before was made."""
        yield Check(ADDRESS, self.address)
        if self._api is not None:
            yield from self._api.checks()

    def address(self) -> Iterator[CheckResult]:
        """Read address, token, template and filters; asks nothing."""
        self._api = PaperlessApiChecks(api_named_by(self._settings), rules_of(self._settings))
        self.storage = documents_named_by(self._settings, keep=False).storage
        yield ok("it can be used")
