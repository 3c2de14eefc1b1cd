"""What an administrator has chosen."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class ApplicationConfiguration(models.Model):
    id: Any = models.AutoField(primary_key=True)
    app_logo: Any = models.FileField(upload_to="logo/", null=True, blank=True)

    objects: ClassVar[models.Manager[Any]] = models.Manager()

    def __str__(self) -> str:
        return str(self.app_logo)
