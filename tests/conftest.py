"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# `make soak` asks for the long one; examples that failed are printed so that they can be repeated.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
