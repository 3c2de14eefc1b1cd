"""Settings in the environment, of every component: none is a mistake for another one."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.errors import ConfigurationError
from paperfleet.settings.table import PREFIX
from paperfleet.settings.values import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from paperfleet.settings.table import Setting

CONFIG_VARIABLE = PREFIX + "CONFIG"
TEST_PREFIX = PREFIX + "TEST_"
# What Kubernetes and Docker links put into every container for a service that is called paperfleet.
SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT(_\d+_(TCP|UDP)\w*)?)$")
_LINK = re.compile(r"(tcp|udp|sctp)://")
"""How such a value of ``…_PORT`` begins: a service that is called paperfleet-metrics sets one."""


class FoundSetting(NamedTuple):
    """A value, and where it stood, in words for an error message."""

    value: object
    origin: str


def variables() -> frozenset[str]:
    """Return the variables of every component."""
    # A component that reads its own alone does without the others' tables.
    from paperfleet.settings import app, backup, fleet, mirror, options  # noqa: PLC0415

    tables = (mirror.table(), options.table(), app.table(), fleet.table(), backup.table())
    rows = (row for table in tables for row in table.values())
    return frozenset(row.variable for row in rows) | {
        CONFIG_VARIABLE,
        fleet.LAUNCHED,
        fleet.STARTING,
        fleet.LOOKING,
    }


def set_in(table: Mapping[str, Setting], environ: Mapping[str, str]) -> dict[str, FoundSetting]:
    """Return by key the texts that are set; an empty one counts as not set."""
    return {
        key: FoundSetting(environ[row.variable], row.variable)
        for key, row in table.items()
        if environ.get(row.variable)
    }


def values_of(table: Mapping[str, Setting], environ: Mapping[str, str]) -> dict[str, object]:
    """Return by key the values that are set, for a component that reads its environment alone.

    Spaces around them do not count, nor does what a service puts in the place of a number. Raises
    ``ConfigurationError`` that names the variable.
    """
    stripped = {name: text.strip() for name, text in environ.items()}
    return {
        key: parse(table[key], *raw)
        for key, raw in set_in(table, stripped).items()
        if not (table[key].kind is int and _LINK.match(str(raw.value)))
    }


def mistake(environ: Mapping[str, str]) -> ConfigurationError | None:
    """Return what is to be said of variables that look like ours and are of no component."""
    known = variables()
    ours = (name for name in environ if name.startswith(PREFIX))
    unknown = [name for name in ours if not (name in known or _is_of_others(name))]
    return unknown_names(unknown, known, "no setting has the variable")


def _is_of_others(name: str) -> bool:
    return name.startswith(TEST_PREFIX) or bool(SERVICE_LINK.search(name))


def unknown_names(unknown: list[str], valid: Iterable[str], what: str) -> ConfigurationError | None:
    """Return an error that names what was probably meant; None for no unknown names."""
    if not unknown:
        return None
    stems = {name.removeprefix(PREFIX): name for name in sorted(valid)}
    near = get_close_matches(unknown[0].removeprefix(PREFIX), stems, n=1)
    hint = (
        f"Did you mean {stems[near[0]]}?"
        if near
        else "See docs/reference/settings.md for all of them"
    )
    return ConfigurationError(f"{what} {', '.join(unknown)}", hint=hint)
