"""The Compose file of the mirror alone, which takes the place of a davfs2 container."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.deploy.engine.cloud import ADDRESS, PASSWORD, USER, cloud
from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.project import COMPOSE, install_compose

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
MOVE_TIMEOUT = 120.0
FILE, NETWORK = "deploy/compose/mirror.yaml", "clouds"


def test_it_brings_an_archive_to_a_cloud_and_says_so(images: Images, tmp_path: Path) -> None:
    """What is given are the folder and the address, which the file leaves to its user."""
    try:
        install_compose(images)
    except UnavailableError as error:
        pytest.skip(str(error))
    assert images.mirror
    shutil.copytree(COMPOSE, tmp_path / "deploy" / "compose")
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "letter.pdf").write_bytes(b"%PDF-1.7 a letter")
    (tmp_path / "deploy" / "compose" / "nextcloud-app-password").write_text(PASSWORD)
    told = {"WEBDRIVE_URL": f"http://{ADDRESS}/Archive", "PAPERFLEET_ALLOW_PLAIN_HTTP": "true"}
    given = {
        "services": {
            "mirror": {"environment": told, "volumes": [f"{archive}:/mnt/source:ro"]},
        },
        "networks": {"default": {"name": NETWORK, "external": True}},
    }
    (tmp_path / "given.yaml").write_text(yaml.safe_dump(given))
    up, status = re.findall(
        r"^#   (docker compose .*)$", (COMPOSE / "mirror.yaml").read_text(), re.MULTILINE
    )
    assert USER in (COMPOSE / "mirror.yaml").read_text()
    engine = images.engine

    def run(command: str) -> str:
        words = command.replace(FILE, f"{FILE} --file given.yaml").split()
        return engine.docker(*words[1:], timeout=300, cwd=tmp_path)

    engine.docker("network", "create", NETWORK)
    try:
        with cloud(images, NETWORK) as files:
            run(f"{up} --wait")
            assert files() == ["/Archive/letter.pdf"]
            assert "1 file, seen to have arrived" in run(status.replace(" exec ", " exec -T "))
            (archive / "letter.pdf").rename(archive / "moved.pdf")
            deadline = time.monotonic() + MOVE_TIMEOUT
            while files() != ["/Archive/moved.pdf"]:
                assert time.monotonic() < deadline, engine.docker("ps", "--all")
                time.sleep(0.5)
    finally:
        run(f"docker compose --file {FILE} down --volumes")
        engine.docker("network", "rm", NETWORK)
