"""One engine for all tests of this folder, with what Debian has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.deploy.engine import debian
from tests.deploy.engine.engine import Engine, engine
from tests.servers.machines import machines_missing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Run the engine; skip, with the reason, where there can be none."""
    if reason := machines_missing():
        pytest.skip(reason)
    try:
        with engine(tmp_path_factory.mktemp("engine"), debian.programs()) as made:
            yield made
    except debian.UnavailableError as error:
        pytest.skip(str(error))
