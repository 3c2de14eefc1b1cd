"""The reference page of the settings, made from the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.settings.config import CONFIG_VARIABLE, MOUNT_VARIABLES, SECTION
from paperfleet.settings.settings import table
from paperfleet.settings.values import expected

if TYPE_CHECKING:
    from paperfleet.settings.settings import Setting

HEAD = f"""\
# Settings

<!-- Made by `make docs` from src/paperfleet/settings/settings.py; a test compares the two. -->

Every setting can stand in four places. The first that has it wins:

1. the command line, such as `paperfleet mirror --poll 30 /srv/documents https://cloud.example/…`
2. the environment, as the variable in the table; an empty variable counts as not set
3. the environment under the older name, where the table has one, so that the settings of a davfs2
   container go on working
4. a TOML file, named by `--config FILE` or `{CONFIG_VARIABLE}`, with the key of the table in
   `[{SECTION}]`:

```toml
[{SECTION}]
source = "/srv/paperless/media/documents"
target = "nextclouds://alice@cloud.example/Archive"
password_file = "/run/secrets/nextcloud"
```

A variable that begins with `PAPERFLEET_`, or a key in the file, that is not in the table is an
error, and so is a value that its row does not allow: nothing is guessed. A password has no option
on the command line, because everybody on the machine can read the list of processes. `paperfleet
settings` shows what is in force and where each value comes from, without the secrets.

| key | takes | default | option | variable | older name | meaning |
|---|---|---|---|---|---|---|
"""
TAIL = f"""
`TZ` sets the time zone of the log. `LC_ALL` and its relatives change nothing: names are always
UTF-8. `{"`, `".join(MOUNT_VARIABLES)}` are accepted and not
needed, since nothing is mounted.
"""


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    return HEAD + "".join(_row(setting) for setting in table().values()) + TAIL


def default_text(setting: Setting) -> str:
    """Say what holds when the setting is not given; '' for nothing at all."""
    if setting.about.unset:
        return setting.about.unset
    if setting.default in (None, ""):
        return ""
    if isinstance(setting.default, bool):
        return str(setting.default).lower()
    number = isinstance(setting.default, (int, float))
    return f"{setting.default:g}" if number else str(setting.default)


def _row(setting: Setting) -> str:
    cells = [
        f"`{setting.key}`",
        "a secret" if setting.secret else expected(setting),
        default_text(setting),
        _option(setting),
        f"`{setting.variable}`",
        f"`{setting.about.legacy}`" if setting.about.legacy else "",
        setting.about.help,
    ]
    return "| " + " | ".join(cells) + " |\n"


def _option(setting: Setting) -> str:
    if setting.flag:
        return f"`{setting.flag}`"
    return "" if setting.secret else f"`{setting.key.upper()}`"
