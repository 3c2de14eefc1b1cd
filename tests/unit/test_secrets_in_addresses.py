"""An address with a secret in it is refused wherever a person gives one, and is not shown."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.servers.machines import machines_missing

from paperfleet.cli import main
from paperfleet.errors import ConfigurationError
from paperfleet.paperless import config
from paperfleet.private import open_text, shared_text
from paperfleet.settings.app import BACKEND
from paperfleet.storage.registry import open_storage, secret_in

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "T0pS3cret"
WITH = {
    f"https://u:{SECRET}@h/dav": "password",
    f"webdavs://u:{SECRET}@h/dav": "password",
    f"nextclouds://u:{SECRET}@h/Archive": "password",
    f"sftp://u:{SECRET}@h/srv": "password",
    f"smb://u:{SECRET}@h/share": "password",
    f"s3://k:{SECRET}@bucket/prefix": "password",
    f"fsspec+ftp://u:{SECRET}@h/": "password",
    f"webdavs://u@h/dav?password={SECRET}": "password",
    f"s3://bucket/a?secret_key={SECRET}": "secret_key",
    f"s3://bucket/a?access_key=A&session_token={SECRET}": "session_token",
    f"s3://bucket?endpoint_url=https://u:{SECRET}@s3.example": "password",
    f"s3://bucket?endpoint_url=https%3A%2F%2Fu%3A{SECRET}%40s3.example": "password",
    f"az://container?account_key={SECRET}": "account_key",
    f"az://container?sas_key={SECRET}": "sas_key",
    f"gs://bucket?token={SECRET}": "token",
    f"sftp://h/srv?passphrase={SECRET}": "passphrase",
    f"fsspec+dropbox://h/?token={SECRET}": "token",
    f"nosuch://h/?api-key={SECRET}": "api-key",
    f"nosuch://h/?api_key={SECRET}": "api_key",
}
WITHOUT = [
    "/srv/a:b@c?secret=d",
    "./password",
    "file:///srv/password",
    "https://u@h/remote.php/dav/files/u",
    "nextclouds://u@h/Archive?bulk=off",
    "s3://bucket/a?endpoint_url=https://s3.example&region_name=eu",
    "s3://bucket?access_key=AKID",
    "sftp://u@h/srv?key_filename=/home/u/.ssh/id",
    "memory:",
    "paperfleet.S3CompatibleBackend",
]


@pytest.mark.parametrize(("spec", "name"), WITH.items())
def test_a_secret_is_found(spec: str, name: str) -> None:
    assert secret_in(spec) == name


@pytest.mark.parametrize("spec", WITH)
def test_a_library_opens_none_with_a_secret_either(spec: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_storage(spec)
    assert f"the URL has a {WITH[spec]} in it" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("spec", WITHOUT)
def test_other_addresses_pass(spec: str) -> None:
    assert secret_in(spec) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("mirror", "--once", "SOURCE", "SPEC"),
        ("mirror", "--dry-run", "SPEC", "SOURCE"),
        ("migrate", "SOURCE", "SPEC"),
        ("migrate", "SPEC", "SOURCE"),
        ("verify", "RECEIPT", "SPEC"),
        ("repair", "SPEC"),
        ("prune", "SOURCE", "SPEC"),
        ("adopt", "SOURCE", "SPEC"),
    ],
)
@pytest.mark.parametrize("spec", [f"s3://b/a?secret_key={SECRET}", f"webdavs://u:{SECRET}@h/"])
def test_every_command_refuses_it(
    arguments: tuple[str, ...],
    spec: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    receipt = tmp_path / "receipt"
    receipt.write_text(
        '{"paperfleet_receipt": 1, "created": "", "source": "", "target": ""}\n'
        '{"files": 0, "bytes": 0, "sha256": '
        '"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}\n'
    )
    given = {"SOURCE": str(tmp_path), "SPEC": spec, "RECEIPT": str(receipt)}
    assert main([given.get(word, word) for word in arguments]) == 1
    said = capsys.readouterr()
    assert "in it, where others can read it" in said.err
    assert SECRET not in said.out + said.err


@pytest.mark.parametrize("spec", [f"s3://b/a?secret_key={SECRET}", f"webdavs://u:{SECRET}@h/"])
def test_paperless_refuses_it(spec: str) -> None:
    with pytest.raises(ConfigurationError, match="in it, where others can read it") as caught:
        config.read({BACKEND: spec})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("where", ["config", "password file"])
def test_a_file_with_a_secret_that_all_can_read_is_warned_of(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("paperfleet.private.filesystem_type", lambda _: "ext4")
    file = tmp_path / "file"
    if where == "config":
        file.write_text(f'[mirror]\npassword = "{SECRET}"\n')
        arguments = ["settings", "--config", str(file)]
    else:
        file.write_text(SECRET)
        arguments = ["settings", "--password-file", str(file)]
    for mode, warned in ((0o644, True), (0o604, True), (0o640, False), (0o600, False)):
        file.chmod(mode)
        assert main(arguments) == 0
        said = capsys.readouterr().out
        assert ("every user of this machine can read it: chmod 600" in said) is warned, oct(mode)
        assert SECRET not in said


def test_a_config_without_a_secret_may_be_read_by_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "paperfleet.toml"
    file.write_text("[mirror]\nconnections = 4\n")
    file.chmod(0o644)
    assert main(["settings", "--config", str(file)]) == 0
    assert "chmod" not in capsys.readouterr().out


def test_a_secret_of_a_container_engine_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o644)
    monkeypatch.setattr("paperfleet.private.filesystem_type", lambda _: "tmpfs")
    assert shared_text(file) == ""
    monkeypatch.setattr("paperfleet.private.filesystem_type", lambda _: "ext4")
    assert shared_text(file) != ""


@pytest.mark.skipif(bool(machines_missing()), reason=str(machines_missing()))
def test_a_secret_that_is_mounted_by_itself_passes(tmp_path: Path) -> None:
    (tmp_path / "container").mkdir()
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o644)
    program = (
        "import pathlib, sys; from paperfleet import private\n"
        "private.filesystem_type = lambda _: 'ext4'\n"
        "print(*(bool(private.shared_text(pathlib.Path(name))) for name in sys.argv[1:]))"
    )
    mounts = (
        "mount -t tmpfs none container && touch container/secret container/other && "
        "mount --bind secret container/secret && chmod 644 container/other && "
        '"$0" -c "$1" secret container/other container/secret'
    )
    command = ["unshare", "--mount", "sh", "-ec", mounts, sys.executable, program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "True", "False"], done.stderr


def test_a_private_file_that_had_more_rights_loses_them(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    file.write_text("old\n")
    file.chmod(0o644)
    with open_text(file, "a") as stream:
        stream.write("new\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "old\nnew\n"
