from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('demomerchant', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='received',
            name='is_test',
            field=models.BooleanField(default=False),
        ),
    ]
