from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('openplatform', '0009_wechatpay_face'),
    ]

    operations = [
        migrations.AlterField(
            model_name='app',
            name='app_id',
            field=models.BigIntegerField(editable=False, primary_key=True, serialize=False, verbose_name='app id'),
        ),
        migrations.AddConstraint(
            model_name='app',
            constraint=models.CheckConstraint(condition=models.Q(('app_id__gte', 1000000000000000)), name='app_id_has_16_digits_or_more'),
        ),
    ]
