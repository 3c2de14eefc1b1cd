"""The first tables."""

import uuid
from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """See the module."""

    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="DocumentChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("area", models.CharField(max_length=20)),
                ("name", models.CharField(blank=True, default="", max_length=1024)),
                ("previous", models.CharField(blank=True, default="", max_length=1024)),
                ("happened", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
        migrations.CreateModel(
            name="Installation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("identity", models.UUIDField(default=uuid.uuid4, unique=True)),
                (
                    "migrating_from",
                    models.TextField(
                        default="", help_text="The storage that an unfinished migration comes from"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StrippedName",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("document_id", models.BigIntegerField()),
                ("field", models.CharField(max_length=40)),
                ("before", models.CharField(max_length=1024)),
                ("after", models.CharField(max_length=1024)),
            ],
        ),
    ]
