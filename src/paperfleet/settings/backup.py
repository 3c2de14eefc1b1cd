"""The settings of the backup: the fields of ``BackupSettings`` are the table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from paperfleet.errors import ConfigurationError
from paperfleet.secret import Secret
from paperfleet.settings.environment import values_of
from paperfleet.settings.places import state_folder
from paperfleet.settings.table import PREFIX, About, Setting, rows_of

_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """What ``paperfleet backup`` is told."""

    repository: Annotated[
        Secret | None,
        About(
            "Where restic keeps the backups: a folder, or an address of restic's such as "
            "`s3:https://s3.example/backups` or `rest:https://user:password@backup.example/`"
        ),
    ] = None
    repository_file: Annotated[Path | None, About("A file with that address")] = None
    password: Annotated[
        Secret | None,
        About("The password of the repository. Without it nobody can ever read a backup"),
    ] = None
    password_file: Annotated[
        Path | None, About("A file with that password; a newline at its end is no part")
    ] = None
    plain: Annotated[
        str,
        About(
            "Another storage, such as `s3://backups?endpoint_url=https://s3.example` or a folder, "
            "for a backup without restic. Nothing in it is encrypted, passwords of mail accounts "
            "neither"
        ),
    ] = ""
    plain_options: Annotated[Secret | None, About("Options of that storage, as a JSON object")] = (
        None
    )
    plain_options_file: Annotated[Path | None, About("File with these options")] = None
    folder: Annotated[
        Path | None,
        About(
            "Where the plain tree of documents lies that restic takes, and what a backup needs "
            "beside; it has room for all documents",
            unset="`backup` in the folder of the state, such as `~/.local/state/paperfleet`",
        ),
    ] = None
    name: Annotated[
        str,
        About("What this installation is called among those that share a repository"),
    ] = "paperless"
    keep_daily: Annotated[
        int,
        About("Of so many days the last complete backup is kept", minimum=0, maximum=_MOST_KEPT),
    ] = 7
    keep_weekly: Annotated[
        int,
        About("Of so many weeks the last complete backup is kept", minimum=0, maximum=_MOST_KEPT),
    ] = 5
    keep_monthly: Annotated[
        int,
        About("Of so many months the last complete backup is kept", minimum=0, maximum=_MOST_KEPT),
    ] = 12
    init: Annotated[
        bool,
        About(
            "Make the repository where there is none, as `--init` does, for where nobody can give "
            "an option. Take it away then: a folder that is not mounted would get a new one"
        ),
    ] = False
    thumbnails: Annotated[
        bool,
        About("Back up thumbnails too. They can be made again, which takes long"),
    ] = True
    restic: Annotated[
        str,
        About("The program restic, where it is not on the `PATH`"),
    ] = "restic"
    heartbeat_url: Annotated[
        Secret | None,
        About(
            "Asked at each `paperfleet backup run`, as healthchecks.io has it: with `/start` after "
            "it at the start, as it is when all went well, with `/fail` when not"
        ),
    ] = None
    heartbeat_url_file: Annotated[Path | None, About("A file with that address")] = None
    drill_heartbeat_url: Annotated[
        Secret | None, About("The same for each `paperfleet backup drill`")
    ] = None
    drill_heartbeat_url_file: Annotated[Path | None, About("A file with that address")] = None


@cache
def table() -> dict[str, Setting]:
    """Return every setting by its key, in the order of the reference page."""
    return {
        key: row._replace(about=row.about._replace(variable=f"{PREFIX}BACKUP_{key.upper()}"))
        for key, row in rows_of(BackupSettings).items()
    }


def settings_in(environ: Mapping[str, str]) -> BackupSettings:
    """Return the settings; raise ``ConfigurationError`` that names the variable."""
    found = BackupSettings(**values_of(table(), environ))  # type: ignore[arg-type]  # parsed
    needed = () if found.plain else ("repository", "password")
    for key in (*needed, "heartbeat_url", "drill_heartbeat_url"):
        row, file = table()[key], table()[f"{key}_file"]
        text, path = getattr(found, key), getattr(found, f"{key}_file")
        if text and path:
            raise ConfigurationError(
                f"{row.variable} and {file.variable} are both set", hint="Keep one"
            )
        if key in needed and not (text or path):
            raise ConfigurationError(
                f"neither {row.variable} nor {file.variable} is set",
                hint=f"It says: {row.about.help.replace('`', '')}",
            )
    if found.plain and (found.repository or found.repository_file):
        raise ConfigurationError(
            f"{table()['plain'].variable} and {table()['repository'].variable} are both set",
            hint="Keep one. To have both, back up twice, with two folders",
        )
    if not (found.keep_daily or found.keep_weekly or found.keep_monthly):
        names = ", ".join(table()[key].variable for key in found.__slots__ if "keep_" in key)
        raise ConfigurationError(f"{names} are all 0: no backup would be kept")
    return found


def folder_in(environ: Mapping[str, str]) -> Path:
    """Return the folder of the backup, also where nothing else of it is set.

    Raises ``ConfigurationError`` where there is neither a setting nor a home folder.
    """
    given = environ.get(table()["folder"].variable, "").strip()
    return Path(given or state_folder(environ) / "backup").absolute()
