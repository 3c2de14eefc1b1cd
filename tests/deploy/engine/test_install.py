"""An installation of one container that gets the app and a bucket, by the commands of the how-to.

The stand-in for the official image has no ``/init``, which starts a container of it: the commands
beside it are what is run.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest
from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.project import Project, install_compose
from tests.deploy.engine.wheels import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]
PAGE = (ROOT / "docs" / "how-to" / "install-in-paperless.md").read_text("utf-8")
COMPOSE = """
services:
  webserver:
    image: paperless-paperfleet
    env_file: docker-compose.env
    volumes:
      - data:/usr/src/paperless/data
      - media:/usr/src/paperless/media
      - {secret}:/run/secrets/document-storage:ro
networks:
  default: {{name: paperless_inside, external: true}}
volumes:
  data:
  media:
"""
SETTINGS = (
    "PAPERLESS_REDIS=redis://broker:6379\nPAPERLESS_SCRATCH_DIR=/tmp/paperless\n"
    "PAPERLESS_SECRET_KEY=of-this-test\n"
)
TEXT = "a letter that was there before"
CONSUME = f"""
from pathlib import Path
from django.conf import settings
from documents import data_models
from documents.tasks import consume_file
path = Path(settings.SCRATCH_DIR, "before.txt")
path.parent.mkdir(exist_ok=True)
path.write_text({TEXT!r})
kinds = getattr(data_models, "DocumentSource", None)
given = dict(source=kinds.ConsumeFolder) if kinds else dict()
given = data_models.ConsumableDocument(original_file=path, **given)
consume_file.apply(kwargs=dict(input_doc=given)).get()
"""


def block(part: str) -> str:
    """Return the block of the page about the official image that has a part."""
    official = PAGE.partition("## Bare metal")[0]
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", official, re.DOTALL)
    return next(one for one in blocks if part in one)


@pytest.fixture
def beside(images: Images, tmp_path: Path) -> Iterator[Project]:
    """Run the broker and the bucket of the Compose file."""
    try:
        install_compose(images)
    except UnavailableError as error:
        pytest.skip(str(error))
    assert images.paperless
    made = Project(images, "fleet.yaml", tmp_path / "servers")
    try:
        made.compose("up --detach --wait broker bucket")
        yield made
    finally:
        made.end()


def test_documents_of_an_installation_come_to_the_bucket(beside: Project, tmp_path: Path) -> None:
    folder = tmp_path / "paperless"
    folder.mkdir()
    secret = beside.folder / "secrets" / "document-storage"
    (folder / "docker-compose.yml").write_text(COMPOSE.format(secret=secret))
    told = SETTINGS + "".join(f"{name}={value}\n" for name, value in beside.settings.items())
    (folder / "docker-compose.env").write_text(told)
    *commands, last = block("migrate_storage").splitlines()
    assert last == "docker compose up --detach webserver"
    manage = "docker compose run --rm --user 1000:1000 --entrypoint python3 webserver manage.py"
    try:
        beside.shell(f"{manage} migrate", folder)
        beside.shell(f"{manage} shell -c {shlex.quote(CONSUME)}", folder)
        (folder / "docker-compose.env").write_text(told + block("PAPERLESS_APPS="))
        beside.shell("\n".join(commands), folder)
        beside.shell(f"{manage} paperfleet_check", folder)
    finally:
        beside.shell("docker compose down --volumes --timeout 10", folder)
    (bucket,) = beside.containers("bucket")
    words = ("grep", "--recursive", "--files-with-matches", TEXT, "/bucket/served/documents")
    (found,) = beside.images.engine.docker("exec", bucket["Id"], *words).splitlines()
    assert "originals" in found
