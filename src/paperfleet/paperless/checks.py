"""What ``manage.py check`` says of the document storage."""

from __future__ import annotations

import sys
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from paperfleet.paperless import config, seams
from paperfleet.paperless.activation import documents


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
            Warning(configuration.lock_fault, hint=config.LOCK_HINT, id="paperfleet.W101")
        )
    if sys.argv[1:2] == ["check"]:
        found += [
            Error(fault.reason, hint=fault.hint, id="paperfleet.E002")
            for fault in documents.faults() or []
        ]
    return found
