"""The database knows what the scheduler of a fleet has written into its Redis."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0007_fleet")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="installation",
            name="broker_marks",
            field=models.TextField(
                default="",
                db_default="",
                help_text="What the scheduler has written into its Redis of late, as JSON",
            ),
        ),
        migrations.AddField(
            model_name="installation",
            name="broker_marked",
            field=models.DateTimeField(null=True, help_text="When it did so the last time"),
        ),
    ]
