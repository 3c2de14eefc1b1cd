"""The version of paperless-ngx that this project stands in for."""

from __future__ import annotations

import os

__full_version_str__ = os.environ.get("PAPERFLEET_TEST_VERSION", "3.0.5")
