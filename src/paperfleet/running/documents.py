"""Construct the documents of a paperless-ngx from the settings of a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.documents.address import server_address
from paperfleet.documents.api import PaperlessApi
from paperfleet.documents.client import Connection, PaperlessClient
from paperfleet.documents.index import INDEX_SUFFIX, DocumentIndex
from paperfleet.documents.rules import Filters, Rules, names_in
from paperfleet.documents.source import POLL_SECONDS, documents_of
from paperfleet.errors import ConfigurationError, InvalidNameError
from paperfleet.storage.names import check_prefix

if TYPE_CHECKING:
    from paperfleet.documents.source import PaperlessDocuments
    from paperfleet.settings.mirror import MirrorSettings


def api_named_by(settings: MirrorSettings) -> PaperlessApi:
    """Return the paperless-ngx that the settings name; raise ``ConfigurationError``."""
    connection = Connection(
        verify=str(settings.ca_file) if settings.ca_file else True,
        certificate=str(settings.client_certificate) if settings.client_certificate else None,
        timeout=settings.timeout_seconds,
        lowest_rate=settings.lowest_rate,
        connections=settings.connections,
    )
    address = server_address(str(settings.paperless), allow_plain_http=settings.allow_plain_http)
    if settings.paperless_token is None:
        raise ConfigurationError("no token for paperless-ngx is given")
    return PaperlessApi(PaperlessClient(address, settings.paperless_token, connection))


def documents_named_by(settings: MirrorSettings, *, keep: bool) -> PaperlessDocuments:
    """Return the documents of the paperless-ngx that the settings name; nothing is asked yet.

    ``keep`` False writes nothing to the index. Raises ``ConfigurationError``.
    """
    return documents_of(
        api_named_by(settings),
        DocumentIndex(settings.journal.with_suffix(INDEX_SUFFIX), keep=keep),
        rules_of(settings),
        poll_seconds=settings.poll_seconds or POLL_SECONDS,
    )


def rules_of(settings: MirrorSettings) -> Rules:
    """Return what of a paperless-ngx is mirrored; raise ``ConfigurationError``."""
    template = None
    if settings.document_path:
        try:
            from paperfleet.documents.templates import PathTemplate  # noqa: PLC0415  # an extra
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"a template of names needs {error.name}",
                hint="Install it: pip install 'paperfleet[templates]'",
            ) from error
        template = PathTemplate(settings.document_path)
    filters = Filters(
        names_in(settings.only_tags), names_in(settings.only_types), names_in(settings.only_owners)
    )
    return Rules(settings.content, template, filters, _folder(settings.trash_folder or ""))


def _folder(name: str) -> str:
    try:
        return check_prefix(name)
    except InvalidNameError as error:
        raise ConfigurationError(
            f"trash_folder: {error.reason}", hint="It lies in the target, such as trash"
        ) from None
