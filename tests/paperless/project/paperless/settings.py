"""Django's settings, with the folders and variables of paperless-ngx."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TRASH = "PAPERLESS_EMPTY_TRASH_DIR"


def _folder(variable: str) -> Path:
    return Path(os.environ[variable]).resolve()


CONSUMPTION_DIR = Path(os.environ.get("PAPERLESS_CONSUMPTION_DIR", "consume")).resolve()
MEDIA_ROOT = _folder("PAPERLESS_MEDIA_ROOT")
ORIGINALS_DIR = MEDIA_ROOT / "documents" / "originals"
ARCHIVE_DIR = MEDIA_ROOT / "documents" / "archive"
THUMBNAIL_DIR = MEDIA_ROOT / "documents" / "thumbnails"
SHARE_LINK_BUNDLE_DIR = MEDIA_ROOT / "documents" / "share_link_bundles"
DATA_DIR = _folder("PAPERLESS_DATA_DIR")
INDEX_DIR = DATA_DIR / "index"
SEARCH_LANGUAGE = os.environ.get("PAPERLESS_SEARCH_LANGUAGE")
SCRATCH_DIR = _folder("PAPERLESS_SCRATCH_DIR")
CONSUMPTION_DIR = _folder("PAPERLESS_CONSUMPTION_DIR")
CONSUMER_COLLATE_DOUBLE_SIDED_SUBDIR_NAME = "double-sided"
MODEL_FILE = DATA_DIR / "classification_model.pickle"
MEDIA_LOCK = MEDIA_ROOT / "media.lock"
EMPTY_TRASH_DIR = _folder(_TRASH) if _TRASH in os.environ else None
FILENAME_FORMAT = os.environ.get("PAPERLESS_FILENAME_FORMAT")

if (gate := os.environ.get("PAPERFLEET_TEST_START_GATE")) and "PAPERFLEET_LAUNCHED" in os.environ:
    # A program that starts for as long as a test wants.
    Path(gate).touch()
    for _ in range(1200):
        if Path(f"{gate}.go").exists():
            break
        time.sleep(0.1)
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
if "PAPERFLEET_TEST_WAL" in os.environ:  # as paperless-ngx 3 has it
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA busy_timeout=5000",
        "transaction_mode": "IMMEDIATE",
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
CACHES = {
    "default": {
        "BACKEND": os.environ.get(
            "PAPERLESS_CACHE_BACKEND", "django.core.cache.backends.redis.RedisCache"
        ),
        "LOCATION": CELERY_BROKER_URL,
        "KEY_PREFIX": os.environ.get("PAPERLESS_REDIS_PREFIX", ""),
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": os.environ.get(
            "PAPERLESS_CHANNELS_BACKEND", "channels_redis.pubsub.RedisPubSubChannelLayer"
        )
    }
}
AI_ENABLED = os.environ.get("PAPERLESS_AI_ENABLED") == "true"
CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "documents.tasks.tick",
        "schedule": float(os.environ.get("PAPERFLEET_TEST_TICK", "3600")),
    }
}
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_RESULT_SERIALIZER = "pickle"
CELERY_TASK_SERIALIZER = "pickle"
CELERY_ACCEPT_CONTENT = ["application/json", "application/x-python-serialize"]
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1
CELERY_WORKER_CONCURRENCY = int(os.environ.get("PAPERLESS_TASK_WORKERS", "1"))
CELERY_TASK_TIME_LIMIT = int(os.environ.get("PAPERLESS_WORKER_TIMEOUT", "1800"))
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": os.environ.get("PAPERLESS_REDIS_PREFIX", "")}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
