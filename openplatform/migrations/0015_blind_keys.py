"""Blind indexes get keys of their own, sealed under MASTER_KEY, so that they outlive it.

Until now they were made from MASTER_KEY itself. Where payers are on the blacklist, those keys are kept: of MASTER_KEY
and of each of MASTER_KEYS_OLD. What was entered under a master key that is in neither any more is found no more.
"""

import uuid
from datetime import timedelta

import openplatform.models.sealed
from django.db import migrations, models
from django.utils import timezone
from openplatform.sealing import derived_keys, seal

FORWARD = """
CREATE TRIGGER blind_key_fixed
    BEFORE UPDATE ON openplatform_blindkey FOR EACH ROW
    WHEN ((OLD.id, OLD.created_at) IS DISTINCT FROM (NEW.id, NEW.created_at)
        OR current_setting('fenpay.rekeying', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION openplatform_refuse_change('a key of an index is sealed anew, and never another one');

CREATE TRIGGER blind_key_kept
    BEFORE DELETE ON openplatform_blindkey
    FOR EACH ROW EXECUTE FUNCTION openplatform_refuse_change('without its key nothing is found by an index');
"""

BACKWARD = """
DROP TRIGGER blind_key_kept ON openplatform_blindkey;
DROP TRIGGER blind_key_fixed ON openplatform_blindkey;
"""


def keep_keys_until_now(apps, _editor):
    if not apps.get_model("openplatform", "BlockEntry").objects.filter(kind="payer_hash").exists():
        return
    model, now = apps.get_model("openplatform", "BlindKey"), timezone.now()
    for age, key in enumerate(derived_keys("blind index")):
        pk = uuid.uuid4()
        sealed = seal(key, aad=f"openplatform_blindkey:key:{pk}")
        model.objects.create(id=pk, key_sealed=sealed, created_at=now - timedelta(microseconds=age))


class Migration(migrations.Migration):

    dependencies = [
        ('openplatform', '0014_conformance_leases'),
    ]

    operations = [
        migrations.CreateModel(
            name='BlindKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('key_sealed', openplatform.models.sealed.SealedField()),
                ('created_at', models.DateTimeField()),
            ],
        ),
        migrations.RunPython(keep_keys_until_now, migrations.RunPython.noop),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
