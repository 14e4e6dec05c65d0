"""Money that comes late or twice, other accounts to turn to, and what a person decided about a case."""

import django.db.models.deletion
import payments.states
from django.db import migrations, models

FIXED = """
CREATE TRIGGER payments_refund_kind_fixed BEFORE UPDATE ON payments_refund FOR EACH ROW
    WHEN (OLD.kind IS DISTINCT FROM NEW.kind) EXECUTE FUNCTION payments_refuse_change();
"""
FREE = "DROP TRIGGER payments_refund_kind_fixed ON payments_refund;"


class Migration(migrations.Migration):

    dependencies = [
        ('openplatform', '0009_wechatpay_face'),
        ('payments', '0006_wechatpay_face'),
    ]

    operations = [
        migrations.CreateModel(
            name='OrderPolicy',
            fields=[
                ('app', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, serialize=False, to='openplatform.app', verbose_name='app')),
                ('late_payment', models.CharField(choices=[('accept', 'keep it: the order counts as paid'), ('refund', 'give it back at once'), ('hold', 'keep it until a person has decided')], default='accept', max_length=10, verbose_name='money that comes after the close')),
            ],
            options={
                'verbose_name': 'order policy',
                'verbose_name_plural': 'order policies',
            },
        ),
        migrations.AlterModelOptions(
            name='case',
            options={'permissions': [('resolve_case', 'Can resolve a case')], 'verbose_name': 'case', 'verbose_name_plural': 'cases'},
        ),
        migrations.RemoveConstraint(
            model_name='channelaccount',
            name='channel_account_one_active_per_merchant_and_channel',
        ),
        migrations.AddField(
            model_name='case',
            name='resolution',
            field=models.CharField(blank=True, max_length=200, verbose_name='what was decided'),
        ),
        migrations.AddField(
            model_name='case',
            name='resolved_at',
            field=models.DateTimeField(null=True, verbose_name='resolved at'),
        ),
        migrations.AddField(
            model_name='case',
            name='resolved_by',
            field=models.CharField(blank=True, max_length=150, verbose_name='resolved by'),
        ),
        migrations.AddField(
            model_name='channelaccount',
            name='rank',
            field=models.PositiveSmallIntegerField(default=0, help_text='0 is asked first; a higher one when that account is refused by the channel.', verbose_name='rank'),
        ),
        migrations.AddField(
            model_name='payment',
            name='is_surplus',
            field=models.BooleanField(default=False, verbose_name='paid twice'),
        ),
        migrations.AddField(
            model_name='payment',
            name='recheck_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='payment',
            name='recheck_count',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='refund',
            name='kind',
            field=models.CharField(choices=[('merchant', 'asked for by the merchant'), ('late', 'paid too late, given back by itself'), ('surplus', 'paid twice, given back by itself')], default='merchant', max_length=10, verbose_name='kind'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(condition=models.Q(('recheck_at__isnull', False)), fields=['recheck_at'], name='payment_recheck'),
        ),
        migrations.AddConstraint(
            model_name='case',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', False), ('status', 'resolved'), models.Q(('resolution', ''), _negated=True), models.Q(('resolved_by', ''), _negated=True)), models.Q(('resolved_at', None), ('status', 'open')), _connector='OR'), name='case_resolved_says_how'),
        ),
        migrations.AddConstraint(
            model_name='channelaccount',
            constraint=models.UniqueConstraint(condition=models.Q(('is_active', True)), fields=('merchant', 'channel', 'rank'), name='channel_account_one_active_per_rank'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(condition=models.Q(('is_surplus', False), ('status', payments.states.PaymentStatus['SUCCEEDED'])), fields=('order',), name='payment_one_pays_the_order'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['merchant', 'late', 'surplus'])), name='refund_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='orderpolicy',
            constraint=models.CheckConstraint(condition=models.Q(('late_payment__in', ['accept', 'refund', 'hold'])), name='order_policy_late_payment_known'),
        ),
        migrations.RunSQL(FIXED, FREE),
    ]
