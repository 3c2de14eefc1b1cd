"""The database knows which storage holds its documents, and which paperless-ngx has used it."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """See the module."""

    dependencies: ClassVar = [("paperfleet", "0003_incident")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="installation",
            name="storage",
            field=models.TextField(
                default="",
                db_default="",
                help_text="What the storage with the documents is called in its mark",
            ),
        ),
        migrations.AddField(
            model_name="installation",
            name="storage_label",
            field=models.TextField(
                default="", db_default="", help_text="What that storage is called for people"
            ),
        ),
        migrations.AddField(
            model_name="installation",
            name="newest_version",
            field=models.TextField(
                default="",
                db_default="",
                help_text="The newest paperless-ngx that has worked on this database",
            ),
        ),
    ]
