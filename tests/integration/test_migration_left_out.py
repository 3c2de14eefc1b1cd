"""What a migration cannot bring over is told by name, and nothing is let go of then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.servers.dialect_server import Hiding, dialect_server
from tests.servers.wsgidav_server import wsgidav_server

from paperfleet.cli import main
from paperfleet.running.exitcodes import FAILED, FINE, WRONG
from paperfleet.secret import Secret
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.fsspec_backend import FsspecBackend
from paperfleet.storage.full import full
from paperfleet.storage.names import readable
from paperfleet.transfer.listing import listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from paperfleet.storage.protocol import DocumentStorage


def paperfleet(
    *arguments: object, base: Path, before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, sys.executable, "-m", "paperfleet", *map(str, arguments)],
        env=os.environ | {"XDG_STATE_HOME": str(base / "state")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def not_text(folder: Path) -> str:
    (folder / os.fsdecode(b"m\xfcller.pdf")).write_bytes(b"latin")
    return r"m\udcfcller.pdf"


def link(folder: Path) -> str:
    (folder / "link.pdf").symlink_to("good.pdf")
    return "link.pdf"


def linked_folder(folder: Path) -> str:
    (folder / "elsewhere").symlink_to(folder.parent)
    return "elsewhere"


def ours(folder: Path) -> str:
    (folder / ".paperfleet-put-6a1b2c3d-0123456789abcdef").write_bytes(b"a document")
    return ".paperfleet-put-6a1b2c3d-0123456789abcdef"


def ours_folder(folder: Path) -> str:
    (folder / ".paperfleet-old").mkdir()
    (folder / ".paperfleet-old/a.pdf").write_bytes(b"a document")
    return ".paperfleet-old"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return "pipe"


KINDS = [not_text, link, linked_folder, ours, ours_folder, pipe]


def test_everything_else_arrives_and_each_is_told(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "good.pdf").write_bytes(b"good")
    names = [make(source) for make in KINDS]
    receipt, report = tmp_path / "r", tmp_path / "report.json"
    done = paperfleet(
        *("migrate", "--delete-source", source, target, "--receipt", receipt, "--report", report),
        base=tmp_path,
    )
    assert done.returncode == 3
    assert [path.name for path in target.iterdir()] == ["good.pdf"]
    assert len(list(source.iterdir())) == len(KINDS) + 1, "nothing is deleted"
    assert f"{len(KINDS)} left out" in done.stdout
    assert "Nothing was deleted" in done.stderr
    told = json.loads(report.read_text())
    assert told["complete"] is False
    assert sorted(told["left_out"]) == sorted(names)
    on_receipt = [json.loads(line) for line in receipt.read_text().splitlines()]
    assert sorted(row["left_out"] for row in on_receipt[1:-1] if "left_out" in row) == sorted(names)
    assert on_receipt[-1]["files"] == 1
    for name in names:
        assert f"left out: {name}: " in done.stderr
    checked = paperfleet("verify", receipt, target, base=tmp_path)
    assert checked.returncode == 0
    assert "was never brought over: pipe" in checked.stdout


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "closed").mkdir(parents=True)
    (source / "good.pdf").write_bytes(b"good")
    (source / "closed/hidden.pdf").write_bytes(b"hidden")
    (source / "closed").chmod(0)
    nobody = ["unshare", "--user"]  # without the rights of root, which reads every folder
    if shutil.which("unshare") is None or subprocess.run([*nobody, "true"]).returncode:
        pytest.skip("no user namespace can be made here")
    try:
        command = ("migrate", "--delete-source", source, target)
        done = paperfleet(*command, base=tmp_path, before=nobody)
    finally:
        (source / "closed").chmod(0o755)
    assert done.returncode == 3
    assert "left out: closed" in done.stderr
    assert [path.name for path in target.iterdir()] == ["good.pdf"]
    assert (source / "good.pdf").exists()


def test_a_dry_run_tells_them_too(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    name = link(source)
    done = paperfleet("migrate", "--dry-run", source, tmp_path / "target", base=tmp_path)
    assert f"left out: {name}" in done.stdout + done.stderr
    assert done.returncode == 3


def test_receipts_and_progress_only_grow(tmp_path: Path) -> None:
    source, target, receipt = tmp_path / "source", tmp_path / "target", tmp_path / "r"
    source.mkdir()
    for number in range(3):
        (source / f"{number}.pdf").write_bytes(os.urandom(50))
    command = ("migrate", "--delete-source", source, target)
    assert paperfleet(*command, "--receipt", receipt, base=tmp_path).returncode == 0
    whole = receipt.read_text()
    (source / "later.pdf").write_bytes(b"later")
    done = paperfleet(*command, "--receipt", receipt, base=tmp_path)
    assert done.returncode == 0
    assert "3 files at the target from earlier runs" in done.stdout
    assert receipt.stat().st_mode & 0o077 == 0
    rows = [json.loads(line) for line in receipt.read_text().splitlines()[1:-1]]
    assert [row["name"] for row in rows] == ["0.pdf", "1.pdf", "2.pdf", "later.pdf"]
    assert set(whole.splitlines()[1:-1]) < set(receipt.read_text().splitlines())
    other = tmp_path / "other receipt"
    assert paperfleet(*command, "--receipt", other, base=tmp_path).returncode == 0
    assert other.read_text().splitlines()[1:] == receipt.read_text().splitlines()[1:]
    (target / "0.pdf").unlink()
    paperfleet(*command, "--receipt", receipt, base=tmp_path)
    checked = paperfleet("verify", receipt, target, base=tmp_path)
    assert checked.returncode == 3
    assert "missing: 0.pdf" in checked.stdout


def test_the_receipt_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    source, receipt = tmp_path / "source", tmp_path / "r"
    source.mkdir()
    (source / "a.pdf").write_bytes(b"a")
    paperfleet("migrate", source, tmp_path / "one", "--receipt", receipt, base=tmp_path)
    before = receipt.read_text()
    done = paperfleet("migrate", source, tmp_path / "two", "--receipt", receipt, base=tmp_path)
    assert done.returncode == 0
    assert "stays as it is: it is the receipt of another target" in done.stderr
    assert receipt.read_text() == before
    assert paperfleet("verify", f"{receipt}.2", tmp_path / "two", base=tmp_path).returncode == 0
    receipt.write_text(before[:-20])
    done = paperfleet("migrate", source, tmp_path / "one", "--receipt", receipt, base=tmp_path)
    assert "the receipt is damaged" in done.stderr
    assert receipt.read_text() == before[:-20]


def test_verifying_nothing_is_no_success(tmp_path: Path) -> None:
    source, target, receipt = tmp_path / "source", tmp_path / "target", tmp_path / "r"
    source.mkdir()
    done = paperfleet("migrate", source, target, "--receipt", receipt, base=tmp_path)
    assert done.returncode == 0
    assert not receipt.exists()
    assert "no receipt" in done.stderr
    link(source)
    paperfleet("migrate", source, target, "--receipt", receipt, base=tmp_path)
    checked = paperfleet("verify", receipt, target, base=tmp_path)
    assert checked.returncode == 4
    assert "nothing was proven" in checked.stderr


@pytest.mark.parametrize("kind", ["webdav", "fsspec"])
def test_every_kind_of_source_tells_what_it_hides(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "good.pdf").write_bytes(b"good")
    (source / ".paperfleet-mine.pdf").write_bytes(b"a document")
    (source / os.fsdecode(b"m\xfcller.pdf")).write_bytes(b"latin")
    with wsgidav_server(source) as server:
        storage: DocumentStorage = FsspecBackend(f"file://{source}")
        if kind == "webdav":
            (source / os.fsdecode(b"m\xfcller.pdf")).unlink()  # WsgiDAV cannot list it
            secret = Secret(server.password)
            storage = WebDavBackend(server.url, username=server.user, password=secret)
        with storage:
            files, obstacles = listed(full(storage))
    assert [stat.name for stat in files] == ["good.pdf"]
    names = {readable(obstacle.name) for obstacle in obstacles}
    assert names - {r"m\udcfcller.pdf"} == {".paperfleet-mine.pdf"}
    assert len(names) == (1 if kind == "webdav" else 2)


@pytest.mark.parametrize(
    "how",
    [Hiding(), Hiding(member=403), Hiding(member=500, in_propstat=True)],
    ids=str,
)
def test_a_folder_that_a_server_refuses_to_list_stops_it(
    tmp_path: Path, how: Hiding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mirror goes on beside it; who brings all over, or proves all, must not."""
    target, receipt = tmp_path / "target", tmp_path / "receipt"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with dialect_server() as server:
        monkeypatch.setenv("PAPERFLEET_PASSWORD", server.password)
        monkeypatch.setenv("PAPERFLEET_SOURCE_PASSWORD", server.password)
        address = server.url.replace("http://", f"webdav://{server.user}@")
        for name in ("a.pdf", "folder/b.pdf", "folder/deep/c.pdf"):
            server.write(name, name.encode())
        assert main(["migrate", address, str(target), "--receipt", str(receipt)]) == FINE
        assert main(["verify", str(receipt), address]) == FINE
        server.dialect.hidden["folder/deep"] = how
        shutil.rmtree(target)
        capsys.readouterr()
        assert main(["migrate", address, str(target), "--delete-source"]) == WRONG
        assert "folder/deep" in capsys.readouterr().err
        assert not target.exists() or not list(target.iterdir())
        assert main(["verify", str(receipt), address]) == WRONG
        assert "folder/deep" in capsys.readouterr().err
        assert server.read("folder/deep/c.pdf") == b"folder/deep/c.pdf"


def test_what_a_server_lists_and_does_not_find_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with dialect_server() as server:
        monkeypatch.setenv("PAPERFLEET_PASSWORD", server.password)
        monkeypatch.setenv("PAPERFLEET_SOURCE_PASSWORD", server.password)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        server.write("a.pdf", b"a")
        server.write("folder/b.pdf", b"b")
        server.dialect.hidden["folder"] = Hiding(member=404, below=404)
        address = server.url.replace("http://", f"webdav://{server.user}@")
        assert main(["migrate", address, str(tmp_path / "target")]) == FAILED
    assert "left out: folder" in capsys.readouterr().err
