"""What is set in the browser, or by variables (``paperless/config.py``)."""

from __future__ import annotations

from django.conf import settings


class AIConfig:
    @property
    def llm_index_enabled(self) -> bool:
        return bool(settings.AI_ENABLED)
