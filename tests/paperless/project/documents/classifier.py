"""A model that is trained by one process and loaded by all (documents/classifier.py)."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

_END = b"end of the model"


class ClassifierModelCorruptError(Exception):
    pass


def load_classifier() -> bytes | None:
    """Return the model; delete one that is damaged, as paperless-ngx does."""
    if not settings.MODEL_FILE.is_file():
        return None
    try:
        return _load()
    except ClassifierModelCorruptError:
        Path(settings.MODEL_FILE).unlink()
    except OSError:
        pass
    return None


def _load() -> bytes:
    content = Path(settings.MODEL_FILE).read_bytes()
    if not content.endswith(_END):
        raise ClassifierModelCorruptError
    return content.removesuffix(_END)


def save(model: bytes) -> None:
    draft = settings.MODEL_FILE.with_suffix(".pickle.part")
    with draft.open("wb") as stream:
        stream.write(model + _END)
    draft.rename(settings.MODEL_FILE)
