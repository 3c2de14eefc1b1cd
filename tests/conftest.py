"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.wide import mark_wide

if TYPE_CHECKING:
    from collections.abc import Sequence

# `make test` asks for the quick profile, `make soak` for the long one; examples that failed are
# printed so that they can be repeated.
settings.register_profile("quick", deadline=None, print_blob=True, max_examples=25)
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    mark_wide(items)
