"""The reference pages of the settings, made from the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperfleet.settings import app, backup, fleet, mirror, options
from paperfleet.settings.config import MOUNT_VARIABLES, SECTION
from paperfleet.settings.environment import CONFIG_VARIABLE
from paperfleet.settings.values import expected

if TYPE_CHECKING:
    from paperfleet.settings.table import Setting

HEAD = f"""\
# Settings

<!-- Made by `make docs` from src/paperfleet/settings/mirror.py; a test compares the two. -->

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

A variable that begins with `PAPERFLEET_` and is neither here nor among those of [the app for
paperless-ngx](paperless-settings.md), of [a fleet](fleet-settings.md) or of [the
backup](backup-settings.md) is an error. So are a key in the file that is not in the table and a
value that its row does not allow: nothing is guessed. A password has no option on the command line,
because everybody on the machine can read the list of processes. `paperfleet settings` shows what is
in force and where each value comes from, without the secrets.

| key | takes | default | option | variable | older name | meaning |
|---|---|---|---|---|---|---|
"""
OPTIONS_HEAD = """
## Options of storages

Commands that name storages, such as `paperfleet migrate`, take what is secret from the environment:
a JSON object such as `{"access_key": "…", "secret_key": "…"}`, or a file with one. The mirror
leaves these variables alone.

| variable | meaning |
|---|---|
"""
APP_HEAD = """\
# Settings of the app for paperless-ngx

<!-- Made by `make docs` from src/paperfleet/settings/app.py; a test compares the two. -->

They stand in the environment of paperless-ngx, beside its own, of which
`PAPERLESS_APPS=paperfleet.paperless` loads the app. An empty variable counts as not set. `manage.py
check` warns of a variable that begins with `PAPERFLEET_` and is of nothing: it may be misspelled.

| variable | takes | default | meaning |
|---|---|---|---|
"""
FLEET_HEAD = """\
# Settings of a fleet

<!-- Made by `make docs` from src/paperfleet/settings/fleet.py; a test compares the two. -->

They are for [`paperfleet run ROLE`](../concepts/fleet.md), and stand in the environment beside
those of paperless-ngx. An empty variable counts as not set.

| variable | takes | default | meaning |
|---|---|---|---|
"""
BACKUP_HEAD = """\
# Settings of the backup

<!-- Made by `make docs` from src/paperfleet/settings/backup.py; a test compares the two. -->

They are for [`paperfleet backup`](../concepts/backup.md), and stand in the environment beside those
of paperless-ngx. An empty variable counts as not set. What restic itself needs to reach a
repository (`AWS_ACCESS_KEY_ID` and its relatives) is handed on to it as it is.

| variable | takes | default | meaning |
|---|---|---|---|
"""
TAIL = f"""
## Others

`TZ` sets the time zone of the log. `LC_ALL` and its relatives change nothing: names are always
UTF-8. `{"`, `".join(MOUNT_VARIABLES)}` are accepted and not
needed, since nothing is mounted.
"""


def settings_page() -> str:
    """Return docs/reference/settings.md."""
    rows = "".join(map(_row, mirror.table().values()))
    others = (f"| `{row.variable}` | {row.about.help} |\n" for row in options.table().values())
    return HEAD + rows + OPTIONS_HEAD + "".join(others) + TAIL


def app_page() -> str:
    """Return docs/reference/paperless-settings.md."""
    return APP_HEAD + "".join(map(_app_row, app.table().values()))


def fleet_page() -> str:
    """Return docs/reference/fleet-settings.md."""
    return FLEET_HEAD + "".join(map(_app_row, fleet.table().values()))


def backup_page() -> str:
    """Return docs/reference/backup-settings.md."""
    return BACKUP_HEAD + "".join(map(_app_row, backup.table().values()))


def _app_row(setting: Setting) -> str:
    cells = [f"`{setting.variable}`", _takes(setting), default_text(setting), setting.about.help]
    return "| " + " | ".join(cells) + " |\n"


def _takes(setting: Setting) -> str:
    return "a secret" if setting.secret else expected(setting)


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
        _takes(setting),
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
