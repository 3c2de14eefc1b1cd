"""The first user: there are none here, so that this only says who it would be."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def handle(self, *_: Any, **_options: Any) -> None:
        self.stdout.write(f"user {os.environ['PAPERLESS_ADMIN_USER']} made")
