"""A mirror of the documents of a paperless-ngx, told with the same rig as one of a folder."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.integration.mirror_kit import Rig
from tests.servers.paperless_double import TOKEN

from paperfleet.documents.address import server_address
from paperfleet.documents.api import PaperlessApi
from paperfleet.documents.client import Connection, PaperlessClient
from paperfleet.documents.index import DocumentIndex
from paperfleet.documents.rules import Rules
from paperfleet.documents.source import documents_of
from paperfleet.journal.journal import Journal
from paperfleet.mirror.engine import Mirror
from paperfleet.mirror.options import Options
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.mirror_places import Files, Place
    from tests.servers.paperless_double import PaperlessDouble


class DocumentsRig(Rig):
    """The source is the double of a paperless-ngx; ``hidden`` documents stay as they were."""

    def __init__(
        self,
        base: Path,
        place: Place,
        paperless: PaperlessDouble,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(base, place, **options)
        self.paperless = paperless
        self.rules = Rules()
        self.token = TOKEN
        self.stays: Files = {}
        self.wanted: Callable[[], Files] = paperless.effective

    def source_tree(self) -> Files:
        """Return what has to be at the target."""
        return self.wanted() | self.stays

    @contextmanager
    def mirror(self) -> Iterator[Mirror]:
        """Yield a mirror that is ready to run."""
        self.tap.calls.clear()
        self.events.clear()
        client = PaperlessClient(
            server_address(self.paperless.url), Secret(self.token), Connection(timeout=10.0)
        )
        index = DocumentIndex(self.journal.with_suffix(".documents"))
        found = documents_of(
            PaperlessApi(client), index, self.rules, poll_seconds=0.1, missing_seconds=0.2
        )
        label = found.storage.label
        with (
            Journal.open(self.journal, source=label, target=self.tap.label) as journal,
            Mirror(
                found.storage,
                self.tap,
                journal,
                found.watcher,
                Options(**self.options),
                self.report,
                disk=found.disk,
            ) as mirror,
        ):
            yield mirror
