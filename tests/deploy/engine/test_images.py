"""The images that our Dockerfiles make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.deploy.engine.debian import UnavailableError
from tests.deploy.engine.given import IMAGE, given_image
from tests.deploy.engine.images import LANGUAGES, VERSION
from tests.deploy.engine.wheels import locked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
PACKAGES = """
from importlib.metadata import distributions
print(*sorted(f"{one.name}=={one.version}" for one in distributions()))
"""


def run(images: Images, image: str, *command: str) -> str:
    words = ("run", "--rm", "--network", "none", "--entrypoint", command[0], image)
    return images.engine.docker(*words, *command[1:])


def packages(images: Images, image: str) -> set[str]:
    return set(run(images, image, "python3", "-c", PACKAGES).split())


def about(images: Images, image: str) -> dict[str, Any]:
    found: dict[str, Any] = images.engine.inspect(image)["Config"]
    return found


def standin(images: Images, kind: str) -> str:
    return next(name for name, found in images.standins.items() if found == kind)


def test_what_is_stood_in_for_says_what_it_is(images: Images) -> None:
    print(images.material.label, "in the place of paperless-ngx's image")
    for kind, program in (("postgres", "postgres"), ("valkey", "valkey-server")):
        name = standin(images, kind)
        told = run(images, name, program, "--version").strip()
        print(f"{name}: {told}")
        assert told


def test_an_image_that_is_there_can_be_given(images: Images, tmp_path: Path) -> None:
    there = {**images.engine.environ, IMAGE: standin(images, "paperless")}
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    python = run(images, images.paperless, "python3", "-c", code).strip()
    found = given_image(tmp_path, there)
    assert found
    again = given_image(tmp_path, there | {IMAGE: str(found.archive)})
    assert again
    assert {found.python, again.python} == {python}
    with pytest.raises(UnavailableError, match="docker image save"):
        given_image(tmp_path, there | {IMAGE: "nobody/has:this"})


@pytest.mark.parametrize(
    ("which", "base", "licenses"),
    [("mirror", "python", "MIT"), ("paperless", "paperless", "GPL-3.0-only AND MIT")],
)
def test_an_image_says_what_it_is(images: Images, which: str, base: str, licenses: str) -> None:
    told = about(images, getattr(images, which))["Labels"]
    prefix = "org.opencontainers.image."
    assert told[f"{prefix}title"]
    assert told[f"{prefix}description"]
    assert told[f"{prefix}version"] == VERSION
    assert told[f"{prefix}base.name"] == standin(images, base)
    assert told[f"{prefix}licenses"] == licenses


def test_the_mirrors_image_has_the_program_and_a_user(images: Images) -> None:
    assert about(images, images.mirror)["User"] == "1000:1000"
    assert run(images, images.mirror, "paperfleet", "--version").startswith("paperfleet ")


def test_no_tool_of_the_build_is_left_in_the_mirrors_image(images: Images) -> None:
    program = (
        "import importlib.util as u; print([n for n in ('hatchling', 'pip') if u.find_spec(n)])"
    )
    python = "/opt/paperfleet/bin/python"
    assert run(images, images.mirror, python, "-c", program).strip() == "[]"


def test_paperless_is_started_as_before_and_has_the_app(images: Images) -> None:
    before, found = about(images, standin(images, "paperless")), about(images, images.paperless)
    for kept in ("Entrypoint", "Cmd", "User", "WorkingDir", "Volumes", "ExposedPorts"):
        assert found[kept] == before[kept], kept
    assert "PAPERLESS_APPS=paperfleet.paperless" in found["Env"]
    told = run(images, images.paperless, "paperfleet", "run", "web", "--help")
    assert "scheduler" in told


def test_packages_of_paperless_stay_and_those_that_come_are_locked(images: Images) -> None:
    before = packages(images, standin(images, "paperless"))
    after = packages(images, images.paperless)
    assert before <= after
    came = {one.lower().replace("_", "-") for one in after - before}
    known = locked("paperless.txt")
    for one in came - {next(name for name in came if name.startswith("paperfleet=="))}:
        name = one.partition("==")[0]
        assert known[name].startswith(one), one
    assert any(one.startswith("obstore==") for one in came)


def test_languages_are_installed_by_an_argument(images: Images) -> None:
    before = run(images, standin(images, "paperless"), "tesseract", "--list-langs")
    assert LANGUAGES not in before.split()
    assert LANGUAGES in run(images, images.paperless, "tesseract", "--list-langs").split()
