"""What an end of restic means, whichever version says it; a program of ours stands in for it."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from paperfleet import errors
from paperfleet.backup.restic import Restic, restic_of
from paperfleet.errors import (
    ConfigurationError,
    NoRepositoryError,
    RepositoryDamagedError,
    RepositoryError,
    RepositoryFullError,
    RepositoryLockedError,
    WrongKeyError,
)
from paperfleet.secret import Secret
from paperfleet.settings.backup import BackupSettings, settings_in

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "pa55w0rd"


def standing_in(folder: Path, out: str = "", err: str = "", code: int = 0) -> Restic:
    """Return a restic that says this, and keeps what it was given."""
    program = folder / "restic"
    given = folder / "given.json"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        f"open({str(given)!r}, 'w').write(json.dumps([sys.argv, dict(os.environ)]))\n"
        f"sys.stdout.write({out!r}); sys.stderr.write({err!r}); sys.exit({code})\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Restic(str(program), os.environ, "the repository")


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        (12, "Fatal: wrong password or no key found", WrongKeyError),
        (1, "Fatal: wrong password or no key found", WrongKeyError),
        (11, "Fatal: unable to lock", RepositoryLockedError),
        (
            1,
            "unable to create lock in backend: repository is already locked exclusively by PID 7",
            RepositoryLockedError,
        ),
        (10, "Fatal: repository does not exist", NoRepositoryError),
        (
            1,
            "Fatal: unable to open config file: stat /x/config: no such file or directory\n"
            "Is there a repository at the following location?\n/x",
            NoRepositoryError,
        ),
        (1, "Fatal: dial tcp 127.0.0.1:1: connect: connection refused", NoRepositoryError),
        (1, "write /x/data/ab: no space left on device", RepositoryFullError),
        (1, "Load(<data/ab>): ciphertext verification failed", RepositoryDamagedError),
        (1, "Fatal: repository contains errors", RepositoryDamagedError),
        (1, "Fatal: something else", RepositoryError),
        (3, "error: open /x: permission denied", RepositoryError),
    ],
)
def test_an_end_of_restic_is_an_error_of_ours(
    tmp_path: Path, code: int, text: str, error: type[RepositoryError]
) -> None:
    restic = standing_in(tmp_path, err=text, code=code)
    with pytest.raises(error) as caught:
        restic.snapshots()
    assert type(caught.value) is error
    assert "the repository" in caught.value.message
    assert caught.value.hint


def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    text = f"Fatal: Get https://me:{PASSWORD}@backup.example/config: connection refused"
    with pytest.raises(NoRepositoryError) as caught:
        standing_in(tmp_path, err=text, code=1).snapshots()
    assert PASSWORD not in str(caught.value)
    assert "backup.example" in str(caught.value)


def test_secrets_reach_restic_by_the_environment_alone(tmp_path: Path) -> None:
    standing_in(tmp_path, out="restic 0.14.0 compiled with go1.19.8 on linux/amd64")
    address = f"rest:https://me:{PASSWORD}@backup.example/"
    settings = BackupSettings(repository=Secret(address), password=Secret(PASSWORD))
    environ = {
        "PATH": str(tmp_path),
        "RESTIC_PASSWORD_COMMAND": "another",
        "PAPERLESS_SECRET_KEY": "x",
        "AWS_ACCESS_KEY_ID": "kept",
    }
    restic = restic_of(settings, environ, tmp_path / "cache")
    assert PASSWORD not in restic.label
    arguments, given = json.loads((tmp_path / "given.json").read_text())
    assert PASSWORD not in " ".join(arguments)
    assert given["RESTIC_PASSWORD"] == PASSWORD
    assert given["RESTIC_REPOSITORY"] == address
    assert given["AWS_ACCESS_KEY_ID"] == "kept"
    assert not {"RESTIC_PASSWORD_COMMAND", "PAPERLESS_SECRET_KEY"} & given.keys()


def test_a_store_that_is_away_is_told_while_restic_tries_again(tmp_path: Path) -> None:
    (tmp_path / "restic").write_text(
        f"#!{sys.executable}\n"
        "import os, sys, time\n"
        f"sys.stderr.write('Save(<data/6f>) returned error, retrying after 552ms: client.Put:"
        f" Put http://me:{PASSWORD}@backup.example: refused\\n'); sys.stderr.flush()\n"
        "for _ in range(3000):\n"
        f"    if os.path.exists({str(tmp_path / 'told')!r}):\n"
        "        print('[]'); sys.exit(0)\n"
        "    time.sleep(0.01)\n"
        "sys.exit('nobody was told')\n"
    )
    (tmp_path / "restic").chmod(0o700)
    told = []

    def say(text: str) -> None:
        told.append(text)
        (tmp_path / "told").touch()

    restic = Restic(str(tmp_path / "restic"), os.environ, "the repository", say)
    assert restic.snapshots() == []
    (text,) = told
    assert text.startswith("the repository does not answer as it should; restic tries again")
    assert "refused" in text
    assert PASSWORD not in text


@pytest.mark.parametrize("says", ["restic 0.13.1 compiled with go", "rustic 9", ""])
def test_an_older_restic_is_refused(tmp_path: Path, says: str) -> None:
    standing_in(tmp_path, out=says)
    settings = BackupSettings(repository=Secret("/x"), password=Secret("x"))
    with pytest.raises(ConfigurationError, match="too old") as caught:
        restic_of(settings, {"PATH": str(tmp_path)}, tmp_path)
    assert "apt-get install restic" in caught.value.hint


def test_without_restic_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    settings = BackupSettings(repository=Secret("/x"), password=Secret("x"))
    with pytest.raises(ConfigurationError, match="no program restic") as caught:
        restic_of(settings, {"PATH": str(tmp_path)}, tmp_path)
    assert "apt-get install restic" in caught.value.hint


BASE = {"PAPERFLEET_BACKUP_REPOSITORY": "/x", "PAPERFLEET_BACKUP_PASSWORD": PASSWORD}


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"PAPERFLEET_BACKUP_REPOSITORY": ""}, "PAPERFLEET_BACKUP_REPOSITORY"),
        ({"PAPERFLEET_BACKUP_PASSWORD": ""}, "PAPERFLEET_BACKUP_PASSWORD_FILE"),
        ({"PAPERFLEET_BACKUP_PASSWORD_FILE": "/f"}, "PAPERFLEET_BACKUP_PASSWORD_FILE"),
        ({"PAPERFLEET_BACKUP_KEEP_DAILY": "-1"}, "PAPERFLEET_BACKUP_KEEP_DAILY"),
        (
            {f"PAPERFLEET_BACKUP_KEEP_{kind}": "0" for kind in ("DAILY", "WEEKLY", "MONTHLY")},
            "PAPERFLEET_BACKUP_KEEP_WEEKLY",
        ),
    ],
)
def test_settings_that_cannot_be_are_named(more: dict[str, str], names: str) -> None:
    assert settings_in(BASE).keep_daily == 7
    with pytest.raises(ConfigurationError, match=names) as caught:
        settings_in(BASE | more)
    assert PASSWORD not in str(caught.value)


def test_an_error_of_the_repository_is_one_of_a_backup() -> None:
    assert issubclass(errors.RepositoryError, errors.BackupError)
