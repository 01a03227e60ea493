"""Routes that name places stay with them, even when the last of these is deleted."""

from django.db import migrations
from django.db.models import Q


def mark(apps, schema_editor):
    routes = apps.get_model("connectors", "AlertRoute").objects.using(schema_editor.connection.alias)
    named = routes.filter(Q(workspaces__isnull=False) | Q(projects__isnull=False)).values("pk")
    routes.filter(pk__in=list(named.values_list("pk", flat=True))).update(is_local=True)


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0016_alertroute_is_local'),
    ]

    operations = [migrations.RunPython(mark, migrations.RunPython.noop)]
