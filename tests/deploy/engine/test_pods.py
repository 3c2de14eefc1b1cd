"""The runner of single containers: it tells a probe that passes from one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.deploy.engine.engine import EngineError
from tests.deploy.engine.pods import Container, pod

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.engine.engine import Engine
    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
HEALTH = ("paperfleet", "run", "mirror", "--check", "ready")


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "a.pdf").write_bytes(b"%PDF-1.7")
    tmp_path.chmod(0o755)
    return made


def mirror(images: Images, documents: Path, **environ: str) -> Container:
    return Container(
        image=images.mirror,
        args=("run", "mirror"),
        environ={"PAPERFLEET_TARGET": "/target", **environ},
        user="1234:1234",
        folders={
            "/mnt/source": documents,
            "/target": None,
            "/tmp": None,  # noqa: S108  # the container's
            "/var/lib/paperfleet": None,
        },
        read_only_folders=("/mnt/source",),
    )


def test_the_mirror_runs_as_any_user_on_a_root_that_it_cannot_write(
    docker: Engine, images: Images, documents: Path
) -> None:
    with pod(docker, mirror(images, documents)) as running:
        running.wait_until_passed(HEALTH)
        running.wait_until_passed(("paperfleet", "health"))
        running.wait_until_passed(("test", "-s", "/target/a.pdf"))
        assert running.probe(("touch", "/mnt/source/b.pdf"))
        assert running.probe(("touch", "/usr/b"))
        assert running.stop() == 0


def test_one_that_ends_has_no_probe_that_passes(
    docker: Engine, images: Images, documents: Path
) -> None:
    wrong = mirror(images, documents, PAPERFLEET_POLL_SECONDS="soon")
    with pod(docker, wrong) as running:
        assert running.wait_until_ended() == 1
        assert "PAPERFLEET_POLL_SECONDS" in running.logs()
        assert running.probe(HEALTH)
        with pytest.raises(EngineError, match="it ended with 1"):
            running.wait_until_passed(HEALTH)
