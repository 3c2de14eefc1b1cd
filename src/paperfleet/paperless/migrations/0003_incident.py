"""What went wrong with a file while somebody used it."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0002_strip_prefixes")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Incident",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=20)),
                ("area", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=1024)),
                ("document", models.BigIntegerField(null=True)),
                ("details", models.TextField(default="")),
                ("count", models.IntegerField(default=0)),
                ("first_seen", models.DateTimeField(auto_now_add=True)),
                ("last_seen", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
    ]
