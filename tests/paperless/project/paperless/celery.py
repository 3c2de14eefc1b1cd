"""The task queue, as in paperless-ngx (``paperless/celery.py``)."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paperless.settings")

app = Celery("paperless")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
