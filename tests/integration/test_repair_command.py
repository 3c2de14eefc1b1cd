"""`paperfleet repair` finishes or undoes what was cut off, on a bucket and on a disk."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.s3 import S3Bypass

from paperfleet.cli.entry import main
from paperfleet.errors import UnavailableError
from paperfleet.storage.bucket import settling
from paperfleet.storage.bucket.client import ObjectClient
from paperfleet.storage.local.root import SAVING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Server

CONTENT = b"a document"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto_server() as running:
        yield running


@pytest.fixture
def bypass(server: S3Server, location: str) -> S3Bypass:
    return S3Bypass(server, location)


@pytest.fixture
def repair(
    server: S3Server,
    location: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    monkeypatch.setenv("PAPERFLEET_STORAGE_OPTIONS", json.dumps(keys))
    monkeypatch.setenv("AWS_REGION", server.region)

    def run(*options: str) -> str:
        address = f"s3://{server.bucket}/{location}?endpoint_url={server.endpoint_url}"
        assert main(["repair", *options, address]) == 0
        told = capsys.readouterr()
        assert server.secret_key not in told.out + told.err
        return told.out

    return run


def cut_off_a_move(server: S3Server, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a document under both names, as a move does that is killed before it deletes."""
    backend = server.backend(location=location)
    backend.save("old.pdf", io.BytesIO(CONTENT))

    delete = ObjectClient.delete

    def cut(client: ObjectClient, key: str, operation: str, name: str) -> None:
        if key.endswith("old.pdf"):
            raise UnavailableError("killed here")
        delete(client, key, operation, name)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectClient, "delete", cut)
        with pytest.raises(UnavailableError):
            backend.move("old.pdf", "new.pdf")


def documents(bypass: S3Bypass) -> set[str]:
    return {name for name in bypass.names() if not name.startswith(".paperfleet")}


def test_a_move_that_was_cut_off_is_finished(
    server: S3Server,
    location: str,
    bypass: S3Bypass,
    repair: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_off_a_move(server, location, monkeypatch)
    assert documents(bypass) == {"old.pdf", "new.pdf"}
    assert "nothing older than 1d settled" in repair()
    assert "nothing older than 0s settled" in repair("--older-than", "0s"), "it may be under way"
    assert documents(bypass) == {"old.pdf", "new.pdf"}
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    assert "older than 0s settled" in repair("--older-than", "0s")
    assert documents(bypass) == {"new.pdf"} == bypass.names()
    assert bypass.read("new.pdf") == CONTENT
    assert "nothing older than 0s settled" in repair("--older-than", "0s")


def test_a_move_whose_copy_is_another_file_is_undone(
    server: S3Server,
    location: str,
    bypass: S3Bypass,
    repair: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut_off_a_move(server, location, monkeypatch)
    bypass.write("new.pdf", b"somebody's other document")
    monkeypatch.setattr(settling, "LEAST_SECONDS", -1000.0)
    repair("--older-than", "0s")
    assert bypass.names() == {"old.pdf", "new.pdf"}


def test_on_a_disk_temporary_files_go_and_documents_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept.pdf").write_bytes(CONTENT)
    (tmp_path / f"{SAVING_PREFIX}cut").write_bytes(b"a pa")
    assert main(["repair", str(tmp_path)]) == 0
    assert (tmp_path / f"{SAVING_PREFIX}cut").exists(), "it is young"
    assert main(["repair", "--older-than", "0s", str(tmp_path)]) == 0
    assert "1 leftover older than 0s settled" in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["kept.pdf"]  # noqa: PTH208  # hidden ones too


def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["repair", "--older-than", "soon", str(tmp_path)]) == 1
    assert "90s, 10m, 2h or 1d" in capsys.readouterr().err
    assert main(["repair", str(tmp_path / "missing")]) == 1
    assert "Check that the folder exists" in capsys.readouterr().err
    assert not (tmp_path / "missing").exists()
