"""The images that our Dockerfiles make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.deploy.engine.images import Images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def test_the_mirror(images: Images) -> None:
    print(images.engine.inspect(images.mirror))


def test_paperless(images: Images) -> None:
    print(images.engine.inspect(images.paperless))
