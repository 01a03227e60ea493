import uuid

from django.db import migrations, models

from connectors.models import trail_guard


def install(apps, schema_editor):
    trail_guard.install(schema_editor.connection)


def remove(apps, schema_editor):
    trail_guard.remove(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0014_trail_digests'),
    ]

    operations = [
        migrations.AlterField(
            model_name='event',
            name='uid',
            field=models.UUIDField(default=uuid.uuid4, editable=False, unique=True),
        ),
        migrations.RunPython(install, remove),
    ]
