from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connectors', '0015_trail_guards'),
    ]

    operations = [
        migrations.AddField(
            model_name='alertroute',
            name='is_local',
            field=models.BooleanField(default=False, editable=False, help_text='It names places, and hears of no others.'),
        ),
    ]
