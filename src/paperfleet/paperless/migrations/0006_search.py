"""What tells the search indexes of a fleet of changes (docs/adr/0019)."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0005_work")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="SearchChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("document", models.BigIntegerField()),
                ("xid", models.BigIntegerField(db_index=True)),
                ("happened", models.DateTimeField(db_default=Now())),
            ],
        ),
        migrations.CreateModel(
            name="SearchReplica",
            fields=[
                (
                    "replica",
                    models.CharField(max_length=64, primary_key=True, serialize=False),
                ),
                ("host", models.CharField(max_length=255)),
                ("current", models.DateTimeField(null=True)),
                ("seen", models.DateTimeField(db_default=Now())),
                ("state", models.TextField(blank=True, default="")),
            ],
            options={"ordering": ["host", "replica"]},
        ),
    ]
