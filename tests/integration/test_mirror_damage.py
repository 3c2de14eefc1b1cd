"""A byte that changes on the way is found: it is sent again, or rests in quarantine, never in sync.

Between the mirror and a real server stands a proxy that changes one byte of an upload, or that
shows etags which are no MD5, as a bucket with KMS encryption does.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.integration.mirror_kit import Rig
from tests.integration.mirror_places import BucketPlace, ServerPlace, storage_on
from tests.servers.damaging import Damage, damaging
from tests.servers.moto_server import moto_server
from tests.servers.nextcloud_double import nextcloud_double
from tests.servers.wsgidav_server import wsgidav_server

from paperfleet.journal.journal import Journal
from paperfleet.mirror.proof import EVERY, FIRST, Proof
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.transfer.bandwidth import Bandwidth
from paperfleet.transfer.migrate import FileEvent, Migration, MigrationPlanned, MigrationResult
from paperfleet.transfer.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Server

    from paperfleet.storage.protocol import DocumentStorage

FILES = {"2024/a.pdf": b"aaaa", "2024/b.pdf": b"bbbb", "c.pdf": b"cccc", "empty.pdf": b""}


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[S3Server, S3Server, Damage]]:
    """Return the server, the server as it is seen with KMS, and the switchboard."""
    with moto_server() as server, damaging(server.endpoint_url) as (url, damage):
        damage.other_etags = True
        yield server, replace(server, endpoint_url=url, _clients=[]), damage


@pytest.fixture(params=["webdav", "kms"])
def between(
    request: pytest.FixtureRequest, bucket: tuple[S3Server, S3Server, Damage], tmp_path: Path
) -> Iterator[tuple[Rig, Damage]]:
    if request.param == "webdav":
        with wsgidav_server() as server, damaging(server.url) as (url, damage):
            webdav = ServerPlace(server)
            yield Rig(tmp_path, webdav, storage=storage_on(server, url=url)), damage
    else:
        real, seen, damage = bucket
        damage.left = 0
        damage.done.clear()
        place = BucketPlace(real)
        storage = seen.backend(location=place.location, part_size=5 << 20)
        yield Rig(tmp_path, place, storage=storage), damage


def uploads(rig: Rig) -> dict[str, int]:
    with Journal.read(rig.journal) as view:
        told = view.get_fact("uploads")
    assert isinstance(told, dict)
    return {key: int(str(count)) for key, count in told.items()}


def test_a_byte_that_changed_on_the_way_is_sent_again(between: tuple[Rig, Damage]) -> None:
    rig, damage = between
    rig.options["connections"] = 1  # what is sent after the damage is known is read back
    rig.write(FILES)
    damage.left = 1
    rig.sync()
    assert len(damage.done) == 1
    assert rig.place.tree() == FILES
    assert uploads(rig) == {"read": len(FILES)}, damage.done


def test_what_always_arrives_damaged_rests_in_quarantine(between: tuple[Rig, Damage]) -> None:
    rig, damage = between
    rig.write({"a.pdf": b"aaaa"})
    damage.left = 1000
    outcome = rig.once()
    damage.left = 0
    assert outcome.failed == 1
    assert "other bytes than were sent" in rig.quarantined()["a.pdf"]
    assert rig.place.tree() == {}, "no damaged document is shown"
    rig.sync()
    assert rig.place.tree() == {"a.pdf": b"aaaa"}


def test_a_version_that_arrives_damaged_is_replaced(between: tuple[Rig, Damage]) -> None:
    rig, damage = between
    rig.write({"a.pdf": b"aaaa"})
    rig.sync()
    rig.write({"a.pdf": b"bbbb"})
    damage.left = 1
    rig.sync()
    assert rig.place.tree() == {"a.pdf": b"bbbb"}


@pytest.mark.parametrize(("verify", "read"), [("read", 30), ("sample", 4), ("size", 0)])
def test_as_many_are_read_back_as_was_asked_for(
    between: tuple[Rig, Damage], verify: str, read: int
) -> None:
    rig, _ = between
    rig.options["verify"] = verify
    files = {f"{number:02}.pdf": b"content %d" % number for number in range(30)}
    rig.write(files)
    rig.sync()
    counts = uploads(rig)
    assert counts.get("read", 0) == read
    assert counts.get("size", 0) == 30 - read
    assert "hash" not in counts


def test_the_word_of_a_nextcloud_is_a_hash_and_nothing_is_read_back(tmp_path: Path) -> None:
    with nextcloud_double() as server:
        rig = Rig(tmp_path, ServerPlace(server))
        rig.write(FILES)
        rig.sync()
        assert uploads(rig) == {"hash": len(FILES)}
        assert not [
            name for method, name in server.requests.pairs() if method == "GET" and ".pdf" in name
        ]


def test_a_bucket_with_real_etags_proves_by_hash(
    bucket: tuple[S3Server, S3Server, Damage], tmp_path: Path
) -> None:
    real, _, _ = bucket
    rig = Rig(tmp_path, BucketPlace(real))
    rig.write(FILES)
    rig.sync()
    assert uploads(rig) == {"hash": len(FILES)}


def test_the_first_and_then_some_are_read_until_one_was_damaged() -> None:
    proof = Proof("sample")
    wanted = [number for number in range(1, 3 * EVERY + 1) if proof.wanted()]
    assert wanted == [*range(1, FIRST + 1), EVERY, 2 * EVERY, 3 * EVERY]
    proof.damaged()
    assert all(proof.wanted() for _ in range(EVERY))
    only_size = Proof("size")
    only_size.damaged()
    assert not only_size.wanted()


def test_counts_go_on_after_a_restart(between: tuple[Rig, Damage]) -> None:
    rig, _ = between
    rig.write({"a.pdf": b"a"})
    rig.sync()
    rig.write({"b.pdf": b"b"})
    rig.sync()
    assert uploads(rig) == {"read": 2}


def listen(event: FileEvent | MigrationPlanned) -> None:
    """Take no notice."""


def migrate(target: DocumentStorage, base: Path) -> MigrationResult:
    source = MemoryBackend()
    source.files.update(FILES)
    with source, target, Progress(base / "progress.jsonl") as progress:
        migration = Migration(source, target, progress, Bandwidth(None), listen, threads=2)
        account = migration.copy(*migration.plan())
        migration.let_go(account)
    assert account.complete == (not source.files)
    return account


def test_a_migration_proves_every_byte(between: tuple[Rig, Damage], tmp_path: Path) -> None:
    rig, damage = between
    target = rig.tap
    damage.left = 1000
    account = migrate(target, tmp_path)
    assert sorted(account.failures) == [name for name in FILES if FILES[name]]
    assert all("other bytes" in reason for reason in account.failures.values())
    damage.left = 1
    account = migrate(target, tmp_path)
    assert account.complete, "it is sent once more"
    assert damage.left == 0
    assert rig.place.tree() == FILES
    assert {entry.proven for entry in account.entries} == {"read"}


def test_bytes_that_rot_at_the_target_are_not_present(
    between: tuple[Rig, Damage], tmp_path: Path
) -> None:
    rig, _ = between
    target = rig.tap
    rig.place.write("2024/a.pdf", b"aaab")
    migrate(target, tmp_path)
    assert rig.place.tree() == FILES


def test_the_status_says_what_was_proven_and_how(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in ("a.pdf", "b.pdf", "c.pdf", "d.pdf", "e.pdf"):
        (source / name).write_bytes(hashlib.sha256(name.encode()).digest())
    environ = os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")}
    target.mkdir()

    def paperfleet(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "paperfleet", *arguments, str(source), str(target)],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    paperfleet("mirror", "--once", "--connections", "1")
    assert "3 read back, 2 known by their size alone" in paperfleet("status")
    told = json.loads(paperfleet("status", "--json"))
    assert told["uploads"] == {"read": 3, "size": 2}
