"""What a table of settings is: a dataclass whose fields say key, type, default, help and bounds.

Each component has one: the mirror, the commands that name storages, the app for paperless-ngx. The
variable, the key in the TOML file, the option of the command line, the reference page and the check
for unknown names all come from it.
"""

from __future__ import annotations

import dataclasses
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args, get_origin, get_type_hints

from paperfleet.secret import Secret

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PREFIX = "PAPERFLEET_"
FILE = "_FILE"
"""What a variable that names a file with the value ends in."""


class About(NamedTuple):
    """What a field says beside its name, type and default.

    ``minimum`` and ``maximum`` bound a number. ``legacy`` is an older name of the variable.
    ``flag`` replaces the option of the command line; '' means that there is none: for a secret,
    because everybody can read the list of processes, and for what is given by its position.
    ``unset`` tells what holds without a value. ``variable`` replaces the name that the key gives.
    """

    help: str
    minimum: float | None = None
    maximum: float | None = None
    legacy: str = ""
    flag: str | None = None
    unset: str = ""
    variable: str = ""


DAY = 86_400
WEEK = 7 * DAY


class Setting(NamedTuple):
    """One row of the table.

    ``kind`` is bool, int, float, str, Path or Secret; ``choices`` are the only words of a str, if
    there are any. ``flag`` is '' where the command line has no option.
    """

    key: str
    kind: type
    choices: tuple[str, ...]
    default: object
    required: bool
    about: About

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.about.variable or PREFIX + self.key.upper()

    @property
    def flag(self) -> str:
        """The option of the command line, '' for none."""
        return "--" + self.key.replace("_", "-") if self.about.flag is None else self.about.flag

    @property
    def secret(self) -> bool:
        """Whether the value must not be shown."""
        return self.kind is Secret


def rows_of(component: type[DataclassInstance]) -> dict[str, Setting]:
    """Return every setting of a component by its key, in the order of its page."""
    hints = get_type_hints(component, include_extras=True)
    return {field.name: _row(field, hints[field.name]) for field in dataclasses.fields(component)}


def _row(field: dataclasses.Field[object], hint: object) -> Setting:
    annotated, about = get_args(hint)
    choices = get_args(annotated) if get_origin(annotated) is Literal else ()
    required = field.default is dataclasses.MISSING
    default = None if required else field.default
    kind = str if choices else _without_none(annotated)
    return Setting(field.name, kind, choices, default, required, about)


def _without_none(hint: object) -> type:
    if isinstance(hint, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    return cast("type", hint)
