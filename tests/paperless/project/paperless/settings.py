"""Django's settings, with the folders and variables of paperless-ngx."""

from __future__ import annotations

import os
from pathlib import Path


def _folder(variable: str) -> Path:
    return Path(os.environ[variable]).resolve()


CONSUMPTION_DIR = Path(os.environ.get("PAPERLESS_CONSUMPTION_DIR", "consume")).resolve()
MEDIA_ROOT = _folder("PAPERLESS_MEDIA_ROOT")
ORIGINALS_DIR = MEDIA_ROOT / "documents" / "originals"
ARCHIVE_DIR = MEDIA_ROOT / "documents" / "archive"
THUMBNAIL_DIR = MEDIA_ROOT / "documents" / "thumbnails"
SHARE_LINK_BUNDLE_DIR = MEDIA_ROOT / "documents" / "share_link_bundles"
DATA_DIR = _folder("PAPERLESS_DATA_DIR")
SCRATCH_DIR = _folder("PAPERLESS_SCRATCH_DIR")
MODEL_FILE = DATA_DIR / "classification_model.pickle"
MEDIA_LOCK = MEDIA_ROOT / "media.lock"
EMPTY_TRASH_DIR = None
FILENAME_FORMAT = os.environ.get("PAPERLESS_FILENAME_FORMAT")

SECRET_KEY = os.environ.get("PAPERLESS_SECRET_KEY", "x")
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "paperless.urls"
INSTALLED_APPS = [
    "paperless",
    "documents",
    *filter(None, os.environ.get("PAPERLESS_APPS", "").split(",")),
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "db.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
}
if host := os.environ.get("PAPERLESS_DBHOST"):
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": host,
        "PORT": os.environ["PAPERLESS_DBPORT"],
        "NAME": os.environ["PAPERLESS_DBNAME"],
        "USER": os.environ["PAPERLESS_DBUSER"],
        "PASSWORD": os.environ["PAPERLESS_DBPASS"],
    }

CELERY_BROKER_URL = os.environ.get("PAPERLESS_REDIS", "redis://localhost:6379")
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": os.environ.get("PAPERLESS_REDIS_PREFIX", "")}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONCURRENCY = 1
CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "documents.tasks.tick",
        "schedule": float(os.environ.get("PAPERFLEET_TEST_TICK", "3600")),
    }
}
