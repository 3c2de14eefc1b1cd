"""What cannot work in a fleet, found at a start: before a document is touched, and by ``check``."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.core.cache import caches

from paperfleet.errors import ConfigurationError
from paperfleet.paperless import ownership
from paperfleet.paperless.activation import documents
from paperfleet.paperless.ownership import Fault
from paperfleet.running.rolelease import launched, lease_of
from paperfleet.settings import app, fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.paperless.config import AppConfiguration

_CHANNELS_OF_ONE_PROCESS = "InMemoryChannelLayer"
_LEASES_OF_ONE_HOST = ("file:", "memory:")
_HARM = {
    "scheduler": "two of them would start every task twice",
    "consumer": "two of them would take each file of a consume folder twice",
}


def is_fleet(configuration: AppConfiguration | None) -> bool:
    """Say whether this process is one of a fleet."""
    return configuration is not None and configuration.settings.fleet


def after_migrate(**_signal: object) -> None:
    """Let the first ``migrate`` of a fleet say what all of its hosts must have alike."""
    found = documents.configuration
    if is_fleet(found) and ownership.has_tables():
        from paperfleet.paperless import agreement  # noqa: PLC0415  # in a fleet alone

        agreement.faults(found)  # what differs refuses those that touch documents, not this one


def faults(configuration: AppConfiguration | None) -> list[Fault]:
    """Return why this process must touch no document; the tables have to be there."""
    from paperfleet.paperless import agreement  # noqa: PLC0415  # not at each start

    found = agreement.faults(configuration)
    if configuration is not None and configuration.settings.fleet:
        found += [*_unshared(), *_leases(configuration)]
    return found


class OfHost(NamedTuple):
    """What is wrong with a host, and what deserves a word and refuses nothing."""

    faults: list[Fault]
    warnings: list[Fault]


def of_host(configuration: AppConfiguration | None) -> OfHost:
    """Return what ``check`` and ``paperfleet_check`` look at beside: tables, connections, Redis."""
    from paperfleet.paperless import connections, schema  # noqa: PLC0415  # for ``check`` alone

    newer = [Fault(text, schema.NEWER_HINT)] if (text := schema.newer()) else []
    if not is_fleet(configuration):
        return OfHost([], newer)
    found = OfHost(newer, [])
    if looked := connections.fault(os.environ):
        fault, is_sure = looked
        (found.faults if is_sure else found.warnings).append(fault)
    from paperfleet.paperless.delivery import onebroker  # noqa: PLC0415  # in a fleet alone

    if other := onebroker.fault():
        found.faults.append(other)
    found.warnings.extend(_llm_index())
    return found


def notes(configuration: AppConfiguration | None, looked: OfHost) -> list[str]:
    """Return what ``paperfleet_check`` tells beside the faults."""
    from paperfleet.paperless import connections  # noqa: PLC0415  # for a command alone

    counted = [connections.summary(os.environ)] if is_fleet(configuration) else []
    return [*counted, *map(str, looked.warnings)]


def fault_of_consumer(configuration: AppConfiguration | None) -> list[Fault]:
    """Return that the consumer of a fleet was started without what keeps a second one away."""
    try:
        require_lease(configuration, "consumer")
    except ConfigurationError as error:
        return [Fault(error.message, error.hint)]
    return []


def require_lease(configuration: AppConfiguration | None, role: str) -> None:
    """Raise ``ConfigurationError`` in a fleet's role that was started past the launcher."""
    if not is_fleet(configuration) or launched(os.environ) is not None:
        return
    raise ConfigurationError(
        f"of a fleet's {role} one works, under a lease, and this one was started without:"
        f" {_HARM[role]}",
        hint=f"Start it by `paperfleet run {role}`",
    )


def _unshared() -> Iterator[Fault]:
    from django.core.cache.backends.dummy import DummyCache  # noqa: PLC0415  # in a fleet alone
    from django.core.cache.backends.filebased import FileBasedCache  # noqa: PLC0415  # as above
    from django.core.cache.backends.locmem import LocMemCache  # noqa: PLC0415  # as above

    for alias in settings.CACHES:
        cache = caches[alias]
        if isinstance(cache, (LocMemCache, FileBasedCache, DummyCache)):
            yield Fault(
                f"the cache {alias!r} is {type(cache).__name__}, which other hosts do not see",
                "Take PAPERLESS_CACHE_BACKEND and PAPERLESS_DEBUG out: paperless-ngx's own choice"
                " is Redis",
            )
    layers = getattr(settings, "CHANNEL_LAYERS", {})
    if str(layers.get("default", {}).get("BACKEND")).endswith(_CHANNELS_OF_ONE_PROCESS):
        yield Fault(
            "the channel layer is in memory: browsers would hear of what their own host does alone",
            "Take PAPERLESS_CHANNELS_BACKEND out: paperless-ngx's own choice is Redis",
        )


def _leases(configuration: AppConfiguration) -> Iterator[Fault]:
    kind = configuration.lock_kind
    if kind == "file" or kind.startswith(_LEASES_OF_ONE_HOST):
        yield Fault(
            f"{app.MEDIA_LOCK} keeps out the processes of this host alone",
            f"Leave {app.MEDIA_LOCK} out, or set it to redis or postgres",
        )
    with suppress(ConfigurationError):  # which the comparison with the fleet has told
        if lease_of("scheduler", os.environ).address.reveal().startswith(_LEASES_OF_ONE_HOST):
            variable = fleet.table()["role_lease"].variable
            yield Fault(
                f"{variable} keeps out the processes of this host alone",
                f"Leave {variable} out, or set it to postgres or redis",
            )


def _llm_index() -> Iterator[Fault]:
    try:
        from paperless.config import AIConfig  # noqa: PLC0415  # paperless-ngx 3
    except ImportError:
        return
    if AIConfig().llm_index_enabled:
        yield Fault(
            "the LLM index is on, and lies on one host: each worker writes the one in its own data"
            " folder, and web answers from that in its own",
            "Run one worker, and web on the same host and data folder as it; or turn it off",
        )
