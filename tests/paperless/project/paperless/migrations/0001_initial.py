"""The configuration."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations: ClassVar = [
        migrations.CreateModel(
            name="ApplicationConfiguration",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("app_logo", models.FileField(upload_to="logo/", null=True, blank=True)),
            ],
        ),
    ]
