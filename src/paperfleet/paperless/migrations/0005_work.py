"""A row for each task that waits or runs (docs/adr/0018)."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0004_where_documents_are")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Work",
            fields=[
                (
                    "task_id",
                    models.CharField(max_length=255, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=255)),
                ("state", models.CharField(max_length=10)),
                ("attempt", models.IntegerField(default=0)),
                ("deaths", models.IntegerField(default=0)),
                ("owner", models.CharField(blank=True, default="", max_length=512)),
                ("heartbeat", models.DateTimeField(null=True)),
                ("offered", models.DateTimeField(null=True)),
                ("created", models.DateTimeField(db_default=Now())),
                ("expires", models.DateTimeField(null=True)),
                ("body", models.BinaryField()),
                ("envelope", models.TextField()),
                ("files", models.JSONField(default=list)),
                ("document", models.BigIntegerField(null=True)),
                ("reason", models.TextField(blank=True, default="")),
                ("parent", models.CharField(blank=True, default="", max_length=255)),
                ("parent_attempt", models.IntegerField(default=0)),
                ("source", models.CharField(blank=True, default="", max_length=64)),
            ],
            options={
                "ordering": ["created"],
                "indexes": [
                    models.Index(fields=["state"], name="paperfleet_work_state"),
                    models.Index(
                        fields=["parent", "parent_attempt"], name="paperfleet_work_parent"
                    ),
                    models.Index(fields=["source"], name="paperfleet_work_source"),
                ],
            },
        ),
    ]
