"""Which interface an order came in by: a fact that never changes, for its notifications speak the same language."""

from django.db import migrations, models

FIXED = """
CREATE TRIGGER payments_order_door_fixed BEFORE UPDATE ON payments_order FOR EACH ROW
    WHEN (OLD.door IS DISTINCT FROM NEW.door) EXECUTE FUNCTION payments_refuse_change();
"""
NOT_FIXED = "DROP TRIGGER payments_order_door_fixed ON payments_order;"


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0005_payer_sealed'),
        ('openplatform', '0009_wechatpay_face'),
    ]

    operations = [
        migrations.AddField(
            model_name='order',
            name='door',
            field=models.CharField(choices=[('native', 'our own'), ('wechatpay', "WeChat Pay's")], default='native', max_length=16, verbose_name='interface'),
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('door__in', ['native', 'wechatpay'])), name='order_door_known'),
        ),
        migrations.RunSQL(FIXED, NOT_FIXED),
    ]
