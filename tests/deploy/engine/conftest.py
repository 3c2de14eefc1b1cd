"""One engine for all tests of this folder, with what Debian has."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from tests.deploy.engine import debian
from tests.deploy.engine.engine import Engine, engine
from tests.deploy.engine.images import Images, Material, material
from tests.servers.machines import machines_missing

if TYPE_CHECKING:
    from collections.abc import Iterator


@functools.cache
def _material(factory: pytest.TempPathFactory) -> Material:
    return material(factory.mktemp("material"))


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Run the engine; skip, with the reason, where there can be none."""
    if reason := machines_missing():
        pytest.skip(reason)
    try:
        _material(tmp_path_factory)  # while there is a way out
        with engine(tmp_path_factory.mktemp("engine"), debian.programs()) as made:
            yield made
    except debian.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def images(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Return what builds images, each when it is asked for."""
    return Images(docker, _material(tmp_path_factory), tmp_path_factory.mktemp("images"))
