"""From the text of a setting to its value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret

if TYPE_CHECKING:
    from paperfleet.settings.table import Setting

YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")


def parse(setting: Setting, raw: object, origin: str) -> object:
    """Return the value that ``raw`` (text, or what TOML made of it) means for this setting.

    Raises ``ConfigurationError`` that names ``origin`` and what is allowed; it never quotes a
    secret.
    """
    if isinstance(raw, (dict, list)) or not _fits(setting.kind, raw):
        raise _wrong(setting, raw, origin)
    if setting.kind is bool:
        return _yes_or_no(setting, raw, origin)
    if setting.kind in (int, float):
        return _number(setting, raw, origin)
    text = str(raw)
    if not text or (setting.choices and text not in setting.choices) or "\0" in text:
        raise _wrong(setting, raw, origin)
    if setting.kind is Path:
        return _path(text)
    return Secret(text) if setting.secret else text


def expected(setting: Setting) -> str:
    """Say in words what the setting takes: 'a whole number from 1 to 64'."""
    if setting.kind is bool:
        return "true or false"
    if setting.choices:
        return " or ".join(setting.choices)
    if setting.kind in (int, float):
        number = "a whole number" if setting.kind is int else "a number"
        return f"{number} from {setting.about.minimum:,.12g} to {setting.about.maximum:,.12g}"
    return "a path" if setting.kind is Path else "a text"


def _fits(kind: type, raw: object) -> bool:
    """Say whether a TOML value is of the setting's own type; text is always parsed."""
    if isinstance(raw, str):
        return True
    if isinstance(raw, bool):
        return kind is bool
    return kind is not bool and isinstance(raw, (int, float)) and kind in (int, float)


def _yes_or_no(setting: Setting, raw: object, origin: str) -> bool:
    word = str(raw).strip().lower()
    if word not in YES + NO:
        raise _wrong(setting, raw, origin)
    return word in YES


def _number(setting: Setting, raw: object, origin: str) -> int | float:
    try:
        number = setting.kind(str(raw).strip())
    except ValueError:
        raise _wrong(setting, raw, origin) from None
    low = -math.inf if setting.about.minimum is None else setting.about.minimum
    high = math.inf if setting.about.maximum is None else setting.about.maximum
    if not low <= number <= high:
        raise _wrong(setting, raw, origin)
    return number  # type: ignore[no-any-return]  # setting.kind is int or float here


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no home is known for this user
        return Path(text)


def _wrong(setting: Setting, raw: object, origin: str) -> ConfigurationError:
    what = "this" if setting.secret else repr(raw)
    return ConfigurationError(
        f"{origin}: {what} is not {expected(setting)}",
        hint=f"It sets: {setting.about.help.replace('`', '')}",
    )
