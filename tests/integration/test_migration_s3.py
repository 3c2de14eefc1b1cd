"""From local disk to a bucket and back, as the README tells it, on a real S3 server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.s3 import S3Bypass, new_location
from tests.trees import read_tree
from tests.wide import first_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.s3 import S3Server


@pytest.fixture(scope="module", params=first_of(["moto", "rclone"]))
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    with (moto_server if request.param == "moto" else rclone_s3_server)() as running:
        yield running


def test_to_a_bucket_and_back(server: S3Server, tmp_path: Path) -> None:
    source, back = tmp_path / "documents", tmp_path / "back"
    for number in range(40):
        path = source / f"20{number % 5}/Ärzte & Co/doc {number}.pdf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 700))
    files = read_tree(source)
    bucket = f"s3://{server.bucket}/{new_location()}?endpoint_url={server.endpoint_url}"
    keys = json.dumps(
        {
            "access_key": server.access_key,
            "secret_key": server.secret_key,
            "region_name": server.region,
        }
    )
    receipt = str(tmp_path / "documents.receipt")

    def paperfleet(*arguments: str) -> str:
        variables = ("PAPERFLEET_SOURCE_OPTIONS", "PAPERFLEET_TARGET_OPTIONS")
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}
        one = variables[arguments[1].startswith("/")] if arguments[0] == "migrate" else ""
        done = subprocess.run(
            [sys.executable, "-m", "paperfleet", *arguments],
            env=os.environ | state | {one or "PAPERFLEET_STORAGE_OPTIONS": keys},
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stderr
        assert server.secret_key not in done.stdout + done.stderr
        return done.stdout

    paperfleet("migrate", str(source), bucket, "--dry-run")
    assert S3Bypass(server, "").names() == set(), "a dry run writes nothing"
    paperfleet("migrate", str(source), bucket, "--receipt", receipt)
    again = paperfleet("migrate", str(source), bucket, "--receipt", receipt, "--delete-source")
    assert f"{len(files)} verified before" in again
    assert read_tree(source) == {}
    paperfleet("verify", receipt, bucket)
    paperfleet("migrate", bucket, str(back))
    assert read_tree(back) == files


def refused(base: Path, source: Path, target: str, keys: dict[str, str]) -> str:
    """Run a migration that cannot be; return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "paperfleet", "migrate", str(source), target],
        env=os.environ
        | {"XDG_STATE_HOME": str(base / "state"), "PAPERFLEET_TARGET_OPTIONS": json.dumps(keys)},
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def test_wrong_places_and_keys_are_told_by_name(server: S3Server, tmp_path: Path) -> None:
    keys = {"access_key": server.access_key, "secret_key": server.secret_key}
    source = tmp_path / "documents"
    source.mkdir()
    (source / "a.pdf").write_bytes(b"a")
    bucket = f"s3://{server.bucket}/place?endpoint_url={server.endpoint_url}"
    said = refused(tmp_path, source, bucket.replace(server.bucket, "nowhere"), keys)
    assert "s3://nowhere/place" in said
    assert "no such bucket" in said
    said = refused(tmp_path, source, bucket, keys | {"regio_name": "eu-north-1"})
    assert "PAPERFLEET_TARGET_OPTIONS" in said
    assert "Did you mean 'region_name'?" in said
    said = refused(tmp_path, source, "s3://documents?endpoint_url=http://127.0.0.1:9", keys)
    assert "refused" in said
    if server.access_key == "rclone-key":  # moto looks at no keys
        said = refused(tmp_path, source, bucket, keys | {"secret_key": "not this one"})
        assert "the secret key does not fit" in said
        assert "not this one" not in said
        said = refused(tmp_path, source, bucket, keys | {"access_key": "nobody"})
        assert "does not know this access key" in said
