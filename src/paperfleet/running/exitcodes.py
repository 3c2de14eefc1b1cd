"""Every exit code of every command, once: ``--help`` and the reference page are made from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FINE: Final = 0
WRONG: Final = 1
REFUSED: Final = 2
FAILED: Final = 3
UNFINISHED: Final = 4

MEANINGS: Final[Mapping[int, str]] = {
    FINE: "what was asked for is done, to its end",
    WRONG: "the command line, a setting or the credentials are wrong, or a storage or the journal "
    "cannot be used; standard error says what, where and what to do",
    REFUSED: "the guard refused something",
    FAILED: "some files could not be dealt with",
    UNFINISHED: "it ended before its end: by a signal, or with nothing to judge",
}

_UNUSABLE = "a setting is wrong, or the storage cannot be used"
COMMANDS: Final[Mapping[str, Mapping[int, str]]] = {
    "mirror": {
        FINE: "source and target agree; without --once: stopped by a signal, as asked",
        WRONG: "a setting or the credentials are wrong, or the storage or journal cannot be used",
        REFUSED: "with --once: the guard holds something back (paperfleet status, approve)",
        FAILED: "with --once: some files could not be brought over (paperfleet status)",
        UNFINISHED: "with --once: stopped before source and target agreed; run it again to go on",
    },
    "status": {
        FINE: "it is shown, whatever it says",
        WRONG: "there is no journal to read, nor a folder of backups",
    },
    "approve": {
        FINE: "approved, or nothing is held back",
        WRONG: "there is no journal, nobody to ask, or the answer was no",
    },
    "adopt": {FINE: "done, or nothing was chosen", WRONG: "a setting or a name is wrong"},
    "prune": {
        FINE: "done, or nothing was chosen",
        WRONG: "a setting or a name is wrong, or the storage or journal cannot be used",
        REFUSED: "the guard refused: so many need --approve NUMBER",
        FAILED: "some files were left, since they changed or are needed by now",
    },
    "health": {
        FINE: "source and target were in sync not long ago",
        WRONG: "they were not, or nobody knows",
    },
    "doctor": {
        FINE: "no problem was found; there may be warnings, and what was not tried",
        WRONG: "there is a problem, or a setting is wrong",
        UNFINISHED: "no problem was found, and something could not be found out",
    },
    "migrate": {
        FINE: "every file is at the target, proven by its bytes",
        WRONG: "a setting is wrong, or a storage cannot be used",
        FAILED: "some files failed or had to be left out",
        UNFINISHED: "it was interrupted, or a storage failed as a whole; run it again to go on",
    },
    "verify": {
        FINE: "every file of the receipt is there, byte for byte",
        WRONG: "the receipt or the storage cannot be used",
        FAILED: "some files are missing, changed or unreadable",
        UNFINISHED: "the receipt names no file, so nothing was checked",
    },
    "backup run": {
        FINE: "a backup of everything is in the repository",
        WRONG: "a setting is wrong, the repository or the installation cannot be used, or another "
        "backup is at work; nothing was added, and old backups are as they were",
        FAILED: "a backup is in the repository, and some files are missing or differ from the "
        "database, or old backups could not be let go of; older complete backups are kept",
        UNFINISHED: "it was interrupted; run it again",
    },
    "backup list": {FINE: "they are shown", WRONG: "the repository cannot be used"},
    "backup restore": {
        FINE: "everything of the backup is there, proven by its bytes",
        WRONG: "a setting is wrong, the installation is not empty or of another version, or the "
        "backup is damaged",
        FAILED: "all of the backup, or what was asked for, is there; some files were missing or "
        "damaged when it was made",
        UNFINISHED: "it was interrupted; run it again to go on",
    },
    "backup verify": {
        FINE: "what was looked at is whole",
        WRONG: "the repository cannot be used, or is damaged",
        FAILED: "the backup lacks files that its manifest names, names faults or has other bytes, "
        "or files of the tree on this host are damaged",
        UNFINISHED: "it was interrupted",
    },
    "backup drill": {
        FINE: "green: the backup was restored into a throw-away installation, and all that was "
        "looked at is as it was",
        WRONG: "a setting is wrong, the repository cannot be used, or another drill is at work",
        FAILED: "red: the backup could not be restored, or is not what it says; nothing was "
        "compared or searched counts as that too",
        UNFINISHED: "it was interrupted: neither green nor red",
    },
    "backup unlock": {
        FINE: "locks of dead processes are gone",
        WRONG: "the repository cannot be used",
    },
    "repair": {FINE: "nothing that is older than that is left over", WRONG: _UNUSABLE},
    "run": {
        FINE: "migrate: the tables are up to date; a role that was waiting: stopped by a signal, "
        "as asked; else the code is that of the role's program; with --check: yes",
        WRONG: "a setting is wrong, or what the role needs was not there in time or failed; with "
        "--check: no",
    },
    "manage": {
        FINE: "the command says so: the code is the command's",
        WRONG: "a setting is wrong, or the command says so",
    },
    "settings": {FINE: "they are shown", WRONG: "one of them is wrong"},
    "demo": {FINE: "it was shown", WRONG: "something of it failed"},
    "manage.py migrate_storage": {
        FINE: "every document is in the storage, proven by its bytes",
        WRONG: "something failed, was interrupted or differs from the database; run it again",
    },
    "manage.py paperfleet_backup": {
        FINE: "what was asked for is done",
        WRONG: "it is not; standard error says why",
    },
    "manage.py paperfleet_drill": {
        FINE: "what was asked for is done; the answer lies in the folder",
        WRONG: "it is not; standard error says why",
    },
    "manage.py paperfleet_check": {
        FINE: "database, storage and checksums agree",
        WRONG: "they do not, or it could not be found out",
    },
    "manage.py paperfleet_fleet": {
        FINE: "this process has what all hosts of the fleet have",
        WRONG: "it has something else, or work that waits forbids the change",
    },
    "manage.py paperfleet_schema": {
        FINE: "the tables are those of this version",
        WRONG: "it could not be found out",
        FAILED: "they are those of a newer version",
        UNFINISHED: "migrations are missing",
    },
    "manage.py paperfleet_tasks": {
        FINE: "no task has failed, or what was asked for is done",
        WRONG: "a task has failed, or what was asked for could not be done",
    },
    "manage.py paperfleet_index": {
        FINE: "every host's search index is current, or the triggers are gone as asked",
        WRONG: "one is behind, no host has told of its own, or there is no fleet",
    },
    "manage.py paperfleet_events": {
        FINE: "all is printed, or it was stopped by a signal, as asked",
        WRONG: "the outbox is off, or the database does not answer",
        REFUSED: "with --mirror --once: as paperfleet mirror",
        FAILED: "with --mirror --once: as paperfleet mirror",
        UNFINISHED: "with --mirror --once: as paperfleet mirror",
    },
}


def help_text(command: str) -> str:
    """Return the paragraph of ``--help``; click leaves its lines as they are."""
    rows = (f"  {code}  {text}" for code, text in COMMANDS[command].items())
    return "\n".join(["", "\b", "Exit codes:", *rows]) + "\n"


def exit_codes_page() -> str:
    """Return docs/reference/exit-codes.md."""
    lines = [
        "# Exit codes",
        "",
        "<!-- Made by `make docs` from paperfleet/running/exitcodes.py; a test compares both. -->",
        "",
        "| code | means everywhere |",
        "|---|---|",
        *(f"| {code} | {text} |" for code, text in MEANINGS.items()),
        "",
        "A process that a signal ended at once has no code of ours: a shell shows 128 and the",
        "signal's number, such as 143.",
        "",
        "| command | code | means |",
        "|---|---|---|",
    ]
    for command, rows in COMMANDS.items():
        name = command if command.startswith("manage.py") else f"paperfleet {command}"
        lines += [f"| `{name}` | {code} | {text} |" for code, text in rows.items()]
    return "\n".join(lines) + "\n"
