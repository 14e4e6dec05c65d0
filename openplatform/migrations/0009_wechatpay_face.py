"""An APIv3 key for apps that speak WeChat Pay's language, certificates around our keys, and its form of notifications.

Platform keys from before stay without a certificate: their serial number need not be one that a certificate can have.
"""

import secrets
import string

from django.db import migrations, models

from openplatform.models.sealed import SealedField
from openplatform.sealing import seal

LETTERS_AND_DIGITS = string.ascii_letters + string.digits


def give_switched_apps_a_key(apps, schema_editor):
    """One that nobody has seen: an operator replaces it when the merchant wants it. The constraint asks for one."""
    App = apps.get_model('openplatform', 'App')
    for app in App.objects.filter(accepts_wechatpay_scheme=True, apiv3_key_sealed=None):
        api_key = ''.join(secrets.choice(LETTERS_AND_DIGITS) for _ in range(32))
        app.apiv3_key_sealed = seal(api_key.encode(), aad=f'openplatform_app:apiv3_key:{app.pk}')
        app.save(update_fields=['apiv3_key_sealed'])


class Migration(migrations.Migration):

    dependencies = [
        ('openplatform', '0006_blocks'),
    ]

    operations = [
        migrations.AddField(
            model_name='app',
            name='apiv3_key_sealed',
            field=SealedField(null=True),
        ),
        migrations.RunPython(give_switched_apps_a_key, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='app',
            constraint=models.CheckConstraint(condition=models.Q(('accepts_wechatpay_scheme', False), ('apiv3_key_sealed__isnull', False), _connector='OR'), name='app_wechatpay_has_apiv3_key'),
        ),
        migrations.AlterModelOptions(
            name='app',
            options={'permissions': [('switch_app', 'Can enable and disable an app'), ('change_wechatpay_face', "Can open and close an app's WeChat Pay interface and replace its APIv3 key")], 'verbose_name': 'app', 'verbose_name_plural': 'apps'},
        ),
        migrations.AddField(
            model_name='platformkey',
            name='certificate_pem',
            field=models.TextField(editable=False, null=True, verbose_name='certificate'),
        ),
        migrations.AddField(
            model_name='notification',
            name='shape',
            field=models.CharField(choices=[('native', 'native'), ('wechatpay', "WeChat Pay's")], default='native', max_length=16, verbose_name='shape'),
        ),
        migrations.AddConstraint(
            model_name='notification',
            constraint=models.CheckConstraint(condition=models.Q(('shape__in', ['native', 'wechatpay'])), name='notification_shape_known'),
        ),
    ]
