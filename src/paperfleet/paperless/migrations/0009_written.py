"""A row for each file that a task of a fleet writes and has not committed (docs/adr/0022)."""

import uuid
from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0008_broker")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Written",
            fields=[
                (
                    "number",
                    models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False),
                ),
                ("task_id", models.CharField(max_length=255)),
                ("attempt", models.IntegerField()),
                ("area", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=1024)),
                ("size", models.BigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("noted", models.DateTimeField(db_default=Now())),
                ("ended", models.DateTimeField(null=True)),
                ("removing", models.DateTimeField(null=True)),
            ],
            options={"ordering": ["noted"]},
        ),
    ]
