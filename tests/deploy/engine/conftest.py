"""One engine for all tests of this folder, with what Debian has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.deploy.engine import debian
from tests.deploy.engine.engine import Engine, engine
from tests.deploy.engine.images import Images, Material, material
from tests.servers.machines import machines_missing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def made_of(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Return what images are made of; skip, with the reason, where it cannot be had."""
    if reason := machines_missing():
        pytest.skip(reason)
    try:
        return material(tmp_path_factory.mktemp("material"))
    except debian.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def docker(
    made_of: Material,  # noqa: ARG001  # there while there is a way out
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """Run the engine; skip, with the reason, where there can be none."""
    try:
        with engine(tmp_path_factory.mktemp("engine"), debian.programs()) as made:
            yield made
    except debian.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def images(docker: Engine, made_of: Material, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return what builds images, each when it is asked for."""
    return Images(docker, made_of, tmp_path_factory.mktemp("images"))
