"""What ``manage.py check`` says of the document storage, and before commands of paperless-ngx."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.management import get_commands
from django.db import transaction

from paperfleet.paperless import activation, config, ownership, recorded, starts, versions
from paperfleet.paperless.activation import documents
from paperfleet.paperless.documents import incidents
from paperfleet.paperless.seams import table as seams
from paperfleet.settings.environment import mistake
from paperfleet.settings.fleet import CHECK_TAG, LOOKING, NO_ANSWER

_HINT = "Run `manage.py paperfleet_check`, which looks at it again"
_PAPERLESS = ("documents", "paperless")
"""How the names of paperless-ngx's own apps begin."""
_WITHOUT_DOCUMENTS = frozenset({"manage_superuser", "convert_mariadb_uuid", "prune_audit_logs"})


@register(CHECK_TAG)
def document_storage(**_: Any) -> list[CheckMessage]:  # noqa: ANN401  # Django's signature
    """Report seams that are not in place and, where documents are concerned, a wrong storage.

    Django runs its checks before most commands, also before those that mend the storage; only
    ``check`` itself and the commands of paperless-ngx that work on documents ask it. For who only
    looks, nothing of what is found out stays written (``ownership.write_mark`` writes nothing).
    """
    if not os.environ.get(LOOKING):
        return _messages()
    with transaction.atomic():
        found = _messages()
        transaction.set_rollback(True)
    return found


def _messages() -> list[CheckMessage]:
    found: list[CheckMessage] = [
        Error(text, hint="Another app must not replace it", id="paperfleet.E001")
        for text in seams.faults()
    ]
    configuration = documents.configuration
    if configuration and documents.roots and configuration.lock_fault:
        found.append(
            CheckWarning(configuration.lock_fault, hint=config.LOCK_HINT, id="paperfleet.W101")
        )
    if text := versions.warning(documents.version) if documents.version else "":
        found.append(CheckWarning(text, hint=activation.UNTESTED_HINT, id="paperfleet.W103"))
    if asks_the_storage(*sys.argv[1:2]):
        found += _of_storage_and_fleet()
    if error := mistake(os.environ):
        found.append(CheckWarning(error.message, hint=error.hint, id="paperfleet.W105"))
    if sys.argv[1:2] == ["check"]:
        if ownership.has_tables() and (
            text := versions.downgrade(documents.version, recorded.newest_version())
        ):
            found.append(CheckWarning(text, id="paperfleet.W104"))
        found += [
            CheckWarning(incidents.told(one), hint=_HINT, id="paperfleet.W102")
            for one in incidents.known()
        ]
    return found


def _of_storage_and_fleet() -> list[CheckMessage]:
    """Look at the storage, and in a fleet at what its hosts need to work beside each other."""
    faults = documents.faults()
    found: list[CheckMessage] = [
        Error(one.reason, hint=one.hint, id=NO_ANSWER if one.passes else "paperfleet.E002")
        for one in faults or []
    ]
    if not ownership.has_tables():  # of this release
        return found
    configuration = documents.configuration
    wrong = starts.faults(configuration)
    doubtful: list[ownership.Fault] = []
    if sys.argv[1:2] == ["check"]:
        looked = starts.of_host(configuration)
        wrong, doubtful = [*wrong, *looked.faults], looked.warnings
    elif activation.is_consumer():
        wrong += starts.fault_of_consumer(configuration)
    found += [Error(one.reason, hint=one.hint, id="paperfleet.E003") for one in wrong]
    found += [CheckWarning(one.reason, hint=one.hint, id="paperfleet.W106") for one in doubtful]
    return found


def asks_the_storage(command: str = "") -> bool:
    """Say whether a command of ``manage.py`` needs the right documents."""
    if command == "check":
        return True
    app = get_commands().get(command, "")
    return str(app).startswith(_PAPERLESS) and command not in _WITHOUT_DOCUMENTS
