"""The list of tasks."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies: ClassVar = [("documents", "0001_initial")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="PaperlessTask",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("task_id", models.CharField(max_length=72, unique=True)),
                ("task_type", models.CharField(max_length=50, default="")),
                ("status", models.CharField(max_length=30, default="pending")),
                ("date_created", models.DateTimeField(default=timezone.now)),
                ("date_started", models.DateTimeField(null=True)),
                ("date_done", models.DateTimeField(null=True)),
                ("result_data", models.JSONField(null=True)),
            ],
        ),
    ]
