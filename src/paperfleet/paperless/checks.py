"""What ``manage.py check`` says of the document storage."""

from __future__ import annotations

import sys
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning

from paperfleet.paperless import config, incidents, seams
from paperfleet.paperless.activation import documents

_HINT = "Run `manage.py paperfleet_check`, which looks at it again"


@register()
def document_storage(**_: Any) -> list[CheckMessage]:  # noqa: ANN401  # Django's signature
    """Report seams that are not in place and, for ``check`` itself, what forbids the storage.

    Django runs its checks before most commands, also before those that mend the storage; only
    ``check`` itself asks it.
    """
    found: list[CheckMessage] = [
        Error(text, hint="Another app must not replace it", id="paperfleet.E001")
        for text in seams.faults()
    ]
    configuration = documents.configuration
    if configuration and documents.roots and configuration.lock_fault:
        found.append(
            CheckWarning(configuration.lock_fault, hint=config.LOCK_HINT, id="paperfleet.W101")
        )
    if sys.argv[1:2] == ["check"]:
        found += [
            Error(fault.reason, hint=fault.hint, id="paperfleet.E002")
            for fault in documents.faults() or []
        ]
        found += [
            CheckWarning(incidents.told(one), hint=_HINT, id="paperfleet.W102")
            for one in incidents.known()
        ]
    return found
