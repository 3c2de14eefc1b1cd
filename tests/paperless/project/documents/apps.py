"""Where Django loads the documents."""

from __future__ import annotations

from django.apps import AppConfig


class DocumentsConfig(AppConfig):
    name = "documents"
    default_auto_field = "django.db.models.AutoField"

    def ready(self) -> None:
        from documents.signals import handlers

        handlers.connect()
