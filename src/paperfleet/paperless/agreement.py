"""What all hosts of a fleet must have alike: the database keeps it, and each start compares.

Hosts with different secret keys cannot read each other's tasks, hosts with different prefixes have
different queues, and two kinds of media lock keep nobody out. Nothing would say so before a
document is missing. So the first process of a fleet writes down what it was told, in the row of
``Installation``, and every other one compares before it touches a document.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import socket
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import transaction

from paperfleet.errors import ConfigurationError
from paperfleet.locks.registry import open_lease_store
from paperfleet.paperless import recorded
from paperfleet.paperless.models import Installation, Work
from paperfleet.paperless.ownership import Fault
from paperfleet.running.rolelease import PREFIX_VARIABLE, place_of_leases, settings_in
from paperfleet.settings import app, fleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from paperfleet.paperless.config import AppConfiguration

_ROUNDS = 100_000
"""Of PBKDF2: a weak key must not be found out by whoever can read the database."""
ACCEPT = "manage.py paperfleet_fleet --accept"


class Fact(NamedTuple):
    """One thing that all must have alike; ``secret`` when ``value`` tells nothing to people."""

    name: str
    variable: str
    value: str
    secret: bool = False

    @property
    def shown(self) -> str:
        """The value for people."""
        return "a secret" if self.secret else repr(self.value)


class Known(NamedTuple):
    """What the fleet agreed on: the value, and who said so when."""

    value: str
    host: str
    since: str


class Difference(NamedTuple):
    """A fact of this process that is not the fleet's."""

    fact: Fact
    known: Known

    @property
    def fault(self) -> Fault:
        """What is said when a process is refused for it."""
        here = "" if self.fact.secret else f": here {self.fact.shown}, there {self.known.value!r}"
        return Fault(
            f"{self.fact.name} ({self.fact.variable}) is not that of the fleet{here}. The fleet has"
            f" its own since {self.known.since}, from the host {self.known.host}",
            f"Give all hosts the same {self.fact.variable}. To change it for all: stop every"
            f" process, run `{ACCEPT}` with the new one, start them again",
        )


def facts(configuration: AppConfiguration) -> list[Fact]:
    """Return what this process was told; raise ``ConfigurationError``."""
    found, lock = configuration.settings, app.table()["media_lock_seconds"]
    silence = app.table()["task_silence_seconds"]
    roles, role_seconds = fleet.table()["role_lease"], fleet.table()["role_lease_seconds"]
    seconds = settings_in(os.environ).role_lease_seconds
    return [
        Fact("the secret key", "PAPERLESS_SECRET_KEY", _fingerprint(), secret=True),
        Fact("the prefix in Redis", PREFIX_VARIABLE, os.environ.get(PREFIX_VARIABLE, "")),
        Fact("the media lock", app.MEDIA_LOCK, _lock(configuration.lock_kind)),
        Fact("the time of the media lock", lock.variable, f"{found.media_lock_seconds} s"),
        Fact("the lease of roles", roles.variable, place_of_leases(os.environ)),
        Fact("the time of the lease of roles", role_seconds.variable, f"{seconds} s"),
        # A worker beats so often in it, and the sweeper takes what was silent for so long.
        Fact("the silence of a task", silence.variable, f"{found.task_silence_seconds} s"),
        Fact("what is kept of an emptied trash", _TRASH, "its originals" if _has_trash() else ""),
    ]


_TRASH = "PAPERLESS_EMPTY_TRASH_DIR"


def _has_trash() -> bool:
    return getattr(settings, "EMPTY_TRASH_DIR", None) is not None


def _lock(kind: str) -> str:
    """Return a kind of media lock without what is secret in an address."""
    if ":" not in kind:
        return kind
    with open_lease_store(kind) as store:
        return store.label


def _fingerprint() -> str:
    """Return what tells two secret keys apart, and neither key: PBKDF2 (RFC 8018) with a salt."""
    salt = recorded.installation().identity.bytes
    return hashlib.pbkdf2_hmac("sha256", settings.SECRET_KEY.encode(), salt, _ROUNDS).hex()


def known() -> dict[str, Known]:
    """Return by name what the fleet agreed on; nothing where there is no fleet."""
    return _parsed(Installation.objects.values_list("agreed", flat=True).first() or "")


def _parsed(text: str) -> dict[str, Known]:
    return {name: Known(**row) for name, row in json.loads(text or "{}").items()}


def agree(mine: Sequence[Fact]) -> list[Difference]:
    """Write down what the fleet has not agreed on yet; return where this process differs.

    Of several that start at once, one word wins.
    """
    agreed = known()
    if any(fact.name not in agreed for fact in mine):
        with transaction.atomic():
            row = Installation.objects.select_for_update().get(pk=recorded.installation().pk)
            agreed = {**_as_known(mine), **_parsed(row.agreed)}
            _write(row, agreed)
    return differences(mine, agreed)


def differences(mine: Sequence[Fact], agreed: Mapping[str, Known]) -> list[Difference]:
    """Return where the facts of a process are not those of the fleet. Pure."""
    return [
        Difference(fact, agreed[fact.name])
        for fact in mine
        if fact.name in agreed and fact.value != agreed[fact.name].value
    ]


def accept(mine: Sequence[Fact]) -> None:
    """Let the fleet have what this process has; without facts there is no fleet any more.

    Raises ``ConfigurationError`` where work would be lost that waits.
    """
    with transaction.atomic():
        row = Installation.objects.select_for_update().get(pk=recorded.installation().pk)
        agreed = _parsed(row.agreed)
        changed = differences(mine, agreed)
        if agreed and not mine:
            require_no_work("the fleet does not end")
        if any(one.fact.secret for one in changed):
            require_no_work("the secret key, which has signed them, does not change")
        new = {one.fact.name for one in changed}
        kept = {one.name: agreed[one.name] for one in mine if one.name in agreed}
        kept = {name: value for name, value in kept.items() if name not in new}
        _write(row, _as_known(mine) | kept)


def _as_known(mine: Sequence[Fact]) -> dict[str, Known]:
    since = dt.datetime.now(dt.UTC).isoformat(sep=" ", timespec="seconds")
    return {fact.name: Known(fact.value, socket.gethostname(), since) for fact in mine}


def _write(row: Installation, agreed: Mapping[str, Known]) -> None:
    row.agreed = json.dumps({name: one._asdict() for name, one in agreed.items()}, indent=1)
    row.save(update_fields=["agreed"])


def faults(configuration: AppConfiguration | None) -> list[Fault]:
    """Return why this process must not work beside the others; the tables have to be there."""
    if configuration is not None and configuration.settings.fleet:
        try:
            return [one.fault for one in agree(facts(configuration))]
        except ConfigurationError as error:
            return [Fault(error.message, error.hint)]
    agreed = known()
    if not agreed:
        return []
    one = next(iter(agreed.values()))
    waits = f", and {text}" if (text := waiting()) else ""
    return [
        Fault(
            f"this database is that of a fleet (since {one.since}, from the host {one.host}), and"
            f" this process has {app.FLEET} off{waits}",
            f"Set {app.FLEET}=true, as all of them. To end the fleet: let"
            " `manage.py paperfleet_tasks` be empty, stop every process, and run"
            f" `{ACCEPT}` without it",
        )
    ]


def waiting() -> str:
    """Say how many tasks wait, run or have failed; empty for none."""
    from paperfleet.paperless.delivery.states import DONE  # noqa: PLC0415  # seldom asked

    count = Work.objects.exclude(state=DONE).count()
    verb = "task waits, runs or has" if count == 1 else "tasks wait, run or have"
    return f"{count:,} {verb} failed" if count else ""


def require_no_work(what: str) -> None:
    """Raise ``ConfigurationError`` while the files of tasks lie in the storage, as no documents."""
    if text := waiting():
        raise ConfigurationError(
            f"{text}: {what}",
            hint="`manage.py paperfleet_tasks` lists them. Let workers end what waits; of what has"
            " failed, decide with --retry, --save or --discard",
        )
