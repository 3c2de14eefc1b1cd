"""Two addresses of one place are found out, whatever they look like; strangers pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from os import utime
from typing import TYPE_CHECKING

import pytest
from tests.servers.moto_server import moto_server
from tests.servers.s3 import S3Bypass, new_location
from tests.servers.wsgidav_server import wsgidav_server

from paperfleet.errors import ConfigurationError, FileAccessError, StorageError
from paperfleet.model import Capabilities
from paperfleet.secret import Secret
from paperfleet.storage.apartness import (
    PROBE_PREFIX,
    find_inside,
    find_overlap,
    require_apart,
    require_local_apart,
)
from paperfleet.storage.dav.webdav import WebDavBackend
from paperfleet.storage.local.backend import LocalBackend
from paperfleet.storage.memory.backend import MemoryBackend
from paperfleet.storage.wrappers.prefixed import Prefixed
from paperfleet.storage.wrappers.retrying import Retrying
from paperfleet.testing.faults import FaultyStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.base import WebDavServer
    from tests.servers.s3 import S3Server

    from paperfleet.model import FileStat
    from paperfleet.storage.protocol import DocumentStorage


@pytest.fixture(scope="module")
def dav() -> Iterator[WebDavServer]:
    with wsgidav_server() as server:
        yield server


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Server]:
    with moto_server() as server:
        yield server


@pytest.fixture
def tree(dav: WebDavServer) -> Path:
    dav.clear()
    for name in ("2024/a.pdf", "2024/b.pdf", "2025/acme/c.pdf", "d.pdf"):
        dav.write(name, name.encode())
    return dav.root


def over(server: WebDavServer, path: str = "") -> WebDavBackend:
    return WebDavBackend(
        server.url + path,
        username=server.user,
        password=Secret(server.password),
        allow_plain_http=True,
    )


def overlap(source: DocumentStorage, target: DocumentStorage) -> bool:
    """Say whether the two were found to overlap; no probe may stay."""
    try:
        with source, target:
            require_apart(source, target)
    except ConfigurationError:
        return True
    finally:
        with source, target:
            names = [*source.list_files(), *target.list_files()]
            assert not [name for name in names if PROBE_PREFIX in name]
    return False


def test_a_server_over_the_same_folder_is_the_same_place(dav: WebDavServer, tree: Path) -> None:
    assert overlap(LocalBackend(tree), over(dav))
    assert overlap(over(dav), LocalBackend(tree))


def test_a_target_inside_the_source_is_found(dav: WebDavServer, tree: Path) -> None:
    assert overlap(LocalBackend(tree), over(dav, "2025/acme/"))
    assert overlap(LocalBackend(tree), over(dav, "new/"))
    assert overlap(over(dav), LocalBackend(tree / "2025"))


def test_a_source_inside_the_target_is_found(dav: WebDavServer, tree: Path) -> None:
    assert overlap(LocalBackend(tree / "2025"), over(dav))
    assert overlap(over(dav, "2024/"), LocalBackend(tree))


def test_other_folders_with_the_same_documents_are_apart(
    dav: WebDavServer, tree: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree, tmp_path / "copy/below")
    assert not overlap(LocalBackend(tmp_path / "copy/below"), over(dav))
    assert not overlap(LocalBackend(tmp_path / "copy"), over(dav))
    assert not overlap(over(dav), LocalBackend(tmp_path / "copy"))
    assert not overlap(over(dav, "2024/"), over(dav, "2025/"))


def test_one_bucket_by_two_host_names(bucket: S3Server) -> None:
    place = new_location()
    S3Bypass(bucket, place).write("2024/a.pdf", b"a")
    other = bucket.endpoint_url.replace("127.0.0.1", "localhost")

    def source(location: str) -> DocumentStorage:
        return bucket.backend(location=location, endpoint_url=other)

    def target(location: str) -> DocumentStorage:
        return bucket.backend(location=location)

    assert overlap(source(place), target(place))
    assert overlap(source(place), target(f"{place}/2024"))
    assert overlap(source(f"{place}/2024"), target(place))
    assert not overlap(source(place), target(f"{place}0"))


def test_a_bind_mount_is_known_by_its_inode(tmp_path: Path) -> None:
    """In a mount namespace of its own: nothing is left mounted."""
    program = """if True:
    import subprocess, sys
    from pathlib import Path
    from paperfleet.errors import ConfigurationError
    from paperfleet.storage.apartness import require_local_apart
    from paperfleet.storage.local.backend import LocalBackend
    base = Path(sys.argv[1])
    def overlap(source, target):
        try:
            require_local_apart(LocalBackend(base / source), LocalBackend(base / target))
        except ConfigurationError as error:
            return str(error)
    for folder in ("docs/2024/acme", "same", "part", "apart"):
        (base / folder).mkdir(parents=True)
    for what, where in (("docs", "same"), ("docs/2024", "part")):
        subprocess.run(["mount", "--bind", base / what, base / where], check=True)
    assert "share 3 folders" in overlap("docs", "same")
    assert "share 2 folders" in overlap("docs", "part")
    assert "share 2 folders" in overlap("part", "docs")
    assert "share 1 folder" in overlap("docs", "part/acme")
    assert "share 2 folders" in overlap("docs", "same/2024")
    assert overlap("docs", "apart") is None
    assert overlap("docs", "missing") is None
    """
    command = ["unshare", "--mount", "--map-root-user", "--user"]
    if shutil.which("unshare") is None or subprocess.run([*command, "true"]).returncode:
        pytest.skip("no mount namespace can be made here")
    done = subprocess.run(
        [*command, sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_links_and_wrapped_folders_are_seen_through(tmp_path: Path) -> None:
    (tmp_path / "docs/2024").mkdir(parents=True)
    (tmp_path / "link").symlink_to("docs")
    wrapped = Retrying(Prefixed(LocalBackend(tmp_path / "docs"), "2024"))
    for target in (LocalBackend(tmp_path / "link"), LocalBackend(tmp_path / "docs")):
        with pytest.raises(ConfigurationError, match="lie in one another"):
            require_local_apart(wrapped, target)
    require_local_apart(wrapped, LocalBackend(tmp_path / "other"))


def test_a_target_that_takes_no_file_proves_nothing(tmp_path: Path) -> None:
    source = MemoryBackend()
    with source, LocalBackend(tmp_path, read_only=True) as target:
        with pytest.raises(FileAccessError):
            require_apart(source, target)
        with pytest.raises(FileAccessError):
            find_overlap(target, source)


class Forgetful(MemoryBackend):
    """Answers that it took a file, and has none."""

    def save(self, name: str, content: object) -> str:  # noqa: ARG002
        return name


def test_a_probe_that_does_not_arrive_proves_nothing() -> None:
    source, target = MemoryBackend(), Forgetful(capabilities=Capabilities())
    with source, target, pytest.raises(StorageError):
        require_apart(source, target)


class Lagging(MemoryBackend):
    """Lists what there was at the beginning."""

    before: tuple[FileStat, ...] = ()

    def survey(self, prefix: str = "") -> Iterator[FileStat]:  # noqa: ARG002
        return iter(self.before)


def test_a_listing_that_lags_behind_hides_no_overlap() -> None:
    source = Lagging()
    source.files.update({"2024/a.pdf": b"a", "sub/2024/a.pdf": b"a"})
    with source:
        source.before = tuple(source.list_stats())
        assert find_overlap(source, source)
        found = find_overlap(Prefixed(source, "sub"), source)
    assert found is not None
    assert found.seen == f"sub/{found.written}"


def test_the_place_that_is_looked_at_is_never_written_to() -> None:
    files = {"2024/a.pdf": b"a", "d.pdf": b"d"}
    source, target = FaultyStorage(MemoryBackend()), MemoryBackend()
    source.inner.files.update(files)  # type: ignore[attr-defined]
    target.files.update({f"old/{name}": content for name, content in files.items()})
    with source, target:
        assert find_overlap(target, source) is None
        assert find_inside(target, source) is None
    assert {call.operation for call in source.calls} <= {
        *("enter", "exit", "open", "survey", "list_stats"),
    }


def test_probes_that_a_kill_left_behind_are_removed(tmp_path: Path) -> None:
    left = tmp_path / f"{PROBE_PREFIX}{'0' * 32}.txt"
    young = tmp_path / f"{PROBE_PREFIX}{'1' * 32}.txt"
    for path in (left, young):
        path.write_bytes(b"a probe")
    utime(left, (0, time.time() - 4000))
    with MemoryBackend() as source, LocalBackend(tmp_path) as target:
        require_apart(source, target)
    assert [path.name for path in tmp_path.iterdir()] == [young.name]
