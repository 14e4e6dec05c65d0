"""The channels' certificates as they were fetched, the guard that says when they are fetched again, and who may say where
an abnormal refund goes."""

import django.db.models.deletion
from django.db import migrations, models

GUARD = """
CREATE TRIGGER payments_channelcertificate_append_only BEFORE UPDATE OR DELETE ON payments_channelcertificate
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER payments_channelcertificate_append_only_truncate BEFORE TRUNCATE ON payments_channelcertificate
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
"""
NO_GUARD = """
DROP TRIGGER payments_channelcertificate_append_only_truncate ON payments_channelcertificate;
DROP TRIGGER payments_channelcertificate_append_only ON payments_channelcertificate;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0009_refund_turn'),
    ]

    operations = [
        migrations.AddField(
            model_name='channelaccount',
            name='certificate_wanted',
            field=models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='certificate wanted'),
        ),
        migrations.AddField(
            model_name='channelaccount',
            name='certificates_asked_at',
            field=models.DateTimeField(null=True, verbose_name='certificates asked for at'),
        ),
        migrations.AddField(
            model_name='channelaccount',
            name='certificates_failing_since',
            field=models.DateTimeField(null=True, verbose_name='fetching fails since'),
        ),
        migrations.AddField(
            model_name='channelaccount',
            name='certificates_fetched_at',
            field=models.DateTimeField(null=True, verbose_name='certificates fetched at'),
        ),
        migrations.CreateModel(
            name='ChannelCertificate',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('serial', models.CharField(max_length=64, verbose_name='serial no.')),
                ('pem', models.TextField(verbose_name='certificate')),
                ('not_before', models.DateTimeField(verbose_name='valid from')),
                ('not_after', models.DateTimeField(verbose_name='valid until')),
                ('fetched_at', models.DateTimeField(verbose_name='fetched at')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='certificates', to='payments.channelaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'channel certificate',
                'verbose_name_plural': 'channel certificates',
                'constraints': [models.UniqueConstraint(fields=('account', 'serial'), name='channel_certificate_once'), models.CheckConstraint(condition=models.Q(('not_after__gt', models.F('not_before'))), name='channel_certificate_times_in_order')],
            },
        ),
        migrations.RunSQL(GUARD, NO_GUARD),
        migrations.AlterModelOptions(
            name='refund',
            options={'permissions': [('redirect_refund', 'Can send an abnormal refund to another account')], 'verbose_name': 'refund', 'verbose_name_plural': 'refunds'},
        ),
    ]
