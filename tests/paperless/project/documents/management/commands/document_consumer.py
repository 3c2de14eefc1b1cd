"""The consumer: it hands each file of the consume folder to a worker, once."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from documents.tasks import consume_file
from paperless import celery

_LOOK_SECONDS = 0.1


class Command(BaseCommand):
    def handle(self, *_: Any, **_options: Any) -> None:
        celery.app.set_default()
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        self.stdout.write(f"Watching {settings.CONSUMPTION_DIR}")
        self.stdout.flush()
        seen: set[str] = set()
        while not stopped.is_set():
            for path in sorted(settings.CONSUMPTION_DIR.iterdir()):
                if path.name not in seen:
                    seen.add(path.name)
                    consume_file.delay(path.name)
            threading.Event().wait(_LOOK_SECONDS)
