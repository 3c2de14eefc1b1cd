"""Tests of the app run in children, since its seams are for a whole process.

``inside`` holds them; they are not collected here but run by ``test_inside``.
"""

from __future__ import annotations

collect_ignore = ["inside", "project"]
