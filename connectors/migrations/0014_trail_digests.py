"""Give the events that are there already an identity and a digest: from here on they verify."""

import uuid

from django.conf import settings
from django.db import migrations

from connectors.core.trail.form import FIELDS, event_form
from connectors.core.trail.keys import TrailKeys

CHUNK = 500


def write_digests(apps, schema_editor):
    events = apps.get_model("connectors", "Event").objects
    key, last = TrailKeys(settings.TRAIL_KEYS).first, 0
    while rows := list(events.filter(pk__gt=last, digest="").order_by("pk")[:CHUNK]):
        for row in rows:
            row.uid, row.key_id = uuid.uuid4(), key.key_id
            row.digest = key.of_event(event_form({name: getattr(row, name) for name in FIELDS}))
        events.bulk_update(rows, ["uid", "digest", "key_id"])
        last = rows[-1].pk


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0013_trail'),
    ]

    operations = [
        migrations.RunPython(write_digests, migrations.RunPython.noop, elidable=True),
    ]
