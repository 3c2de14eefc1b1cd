"""The first tables."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="Document",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("title", models.CharField(max_length=128, blank=True)),
                ("mime_type", models.CharField(max_length=256, default="application/pdf")),
                ("checksum", models.CharField(max_length=64, blank=True)),
                ("archive_checksum", models.CharField(max_length=64, null=True)),
                ("filename", models.FilePathField(max_length=1024, unique=True, null=True)),
                ("archive_filename", models.FilePathField(max_length=1024, unique=True, null=True)),
                ("modified", models.DateTimeField(auto_now=True)),
                ("deleted_at", models.DateTimeField(null=True, default=None)),
            ],
        ),
    ]
