"""The engine of these tests: it runs containers, and nobody else notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.deploy.engine.engine import Engine

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def test_an_engine(docker: Engine) -> None:
    print(docker.docker("version"))
