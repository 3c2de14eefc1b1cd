"""The database knows what all hosts of a fleet must have alike."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0006_search")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="installation",
            name="agreed",
            field=models.TextField(
                default="",
                db_default="",
                help_text="What all hosts of the fleet have alike, as JSON",
            ),
        ),
    ]
