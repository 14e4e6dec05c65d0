"""Bills: what is waited for, the files as they came, and what they say. A file is written once and never changed."""

import django.db.models.deletion
import idgen.fields
import payments.states
from django.db import migrations, models


WRITTEN_ONCE = (
    "payments_billfile", "payments_billfilepart", "payments_billrow", "payments_billflowrow",
    "payments_billunreadablerow", "payments_billfinding",
)


def guard(table):
    return f"""
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER {table}_append_only_truncate BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
"""


def unguard(table):
    return f"""
DROP TRIGGER {table}_append_only_truncate ON {table};
DROP TRIGGER {table}_append_only ON {table};
"""


# What a bill is about is fixed, and what the channel has said once is not unsaid.
FIXED = """
CREATE TRIGGER payments_bill_facts_fixed BEFORE UPDATE ON payments_bill FOR EACH ROW
    WHEN ((OLD.id, OLD.account_id, OLD.kind, OLD.bill_date, OLD.created_at)
            IS DISTINCT FROM (NEW.id, NEW.account_id, NEW.kind, NEW.bill_date, NEW.created_at)
        OR (OLD.status = 'FETCHED' AND NEW.status <> 'FETCHED')
        OR (OLD.status = 'EMPTY' AND NEW.status NOT IN ('EMPTY', 'FETCHED')))
    EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER payments_bill_kept BEFORE DELETE ON payments_bill
    FOR EACH ROW EXECUTE FUNCTION payments_refuse_change();
"""
FREE = """
DROP TRIGGER payments_bill_kept ON payments_bill;
DROP TRIGGER payments_bill_facts_fixed ON payments_bill;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0010_channel_certificates'),
    ]

    operations = [
        migrations.CreateModel(
            name='Bill',
            fields=[
                ('asked_count', models.PositiveIntegerField(default=0, verbose_name='times asked')),
                ('checks_count', models.PositiveIntegerField(default=0, verbose_name='checks since the last move')),
                ('refused_count', models.PositiveSmallIntegerField(default=0)),
                ('not_found_count', models.PositiveSmallIntegerField(default=0)),
                ('next_check_at', models.DateTimeField(null=True, verbose_name='next check at')),
                ('lease_until', models.DateTimeField(null=True)),
                ('hinted_at', models.DateTimeField(null=True)),
                ('last_answer', models.CharField(blank=True, max_length=120, verbose_name='last answer')),
                ('id', idgen.fields.SnowflakeField(primary_key=True, serialize=False, verbose_name='bill')),
                ('kind', models.CharField(choices=[('trade', 'trade'), ('fund_flow', 'fund_flow'), ('fund_flow_operation', 'fund_flow_operation'), ('fund_flow_fees', 'fund_flow_fees')], max_length=24, verbose_name='kind')),
                ('bill_date', models.DateField(verbose_name='day')),
                ('status', models.CharField(choices=[('WAITED_FOR', 'WAITED_FOR'), ('FETCHED', 'FETCHED'), ('EMPTY', 'EMPTY'), ('MISSING', 'MISSING'), ('REFUSED', 'REFUSED')], max_length=20, verbose_name='status')),
                ('settled_at', models.DateTimeField(null=True, verbose_name='settled at')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='payments.channelaccount', verbose_name='channel account')),
            ],
            options={
                'verbose_name': 'bill',
                'verbose_name_plural': 'bills',
                'permissions': [('download_bill', 'Can download the files of bills'), ('fetch_bill', 'Can have a bill fetched again')],
            },
        ),
        migrations.CreateModel(
            name='BillFile',
            fields=[
                ('id', idgen.fields.SnowflakeField(primary_key=True, serialize=False, verbose_name='bill file')),
                ('version_no', models.PositiveSmallIntegerField(verbose_name='version')),
                ('suffix', models.CharField(max_length=8)),
                ('byte_size', models.BigIntegerField(verbose_name='size (bytes)')),
                ('told_hash', models.CharField(blank=True, max_length=80, verbose_name='hash as the channel says')),
                ('digest', models.CharField(max_length=64, verbose_name='digest')),
                ('row_count', models.PositiveIntegerField(verbose_name='rows')),
                ('unreadable_count', models.PositiveIntegerField(verbose_name='rows that cannot be read')),
                ('counted', models.JSONField(default=dict, verbose_name='counted')),
                ('told', models.JSONField(default=dict, verbose_name='stated')),
                ('is_sound', models.BooleanField(verbose_name='sound')),
                ('fetched_at', models.DateTimeField(verbose_name='fetched at')),
                ('bill', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='files', to='payments.bill', verbose_name='bill')),
            ],
            options={
                'verbose_name': 'bill file',
                'verbose_name_plural': 'bill files',
            },
        ),
        migrations.AddField(
            model_name='bill',
            name='newest_file',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.billfile'),
        ),
        migrations.CreateModel(
            name='BillFilePart',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('part_no', models.PositiveIntegerField()),
                ('content', models.BinaryField()),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='payments.billfile')),
            ],
        ),
        migrations.CreateModel(
            name='BillFinding',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('not_in_bill', 'paid here, not in the bill'), ('amount_differs', 'amounts differ'), ('not_paid_here', 'in the bill, not paid here')], max_length=20, verbose_name='kind')),
                ('ours_fen', models.BigIntegerField(null=True, verbose_name='ours (fen)')),
                ('told_fen', models.BigIntegerField(null=True, verbose_name='told (fen)')),
                ('found_at', models.DateTimeField(verbose_name='found at')),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='payments.billfile', verbose_name='bill file')),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='findings', to='payments.payment', verbose_name='payment')),
            ],
            options={
                'verbose_name': 'finding',
                'verbose_name_plural': 'findings',
            },
        ),
        migrations.CreateModel(
            name='BillFlowRow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('line_no', models.PositiveIntegerField(verbose_name='line')),
                ('flow_no', models.CharField(blank=True, max_length=64, verbose_name='movement')),
                ('channel_trade_no', models.CharField(blank=True, max_length=64, verbose_name="channel's number")),
                ('what', models.CharField(blank=True, max_length=64, verbose_name='what for')),
                ('amount_fen', models.BigIntegerField(verbose_name='amount (fen)')),
                ('balance_fen', models.BigIntegerField(verbose_name='balance (fen)')),
                ('voucher_no', models.CharField(blank=True, max_length=64, verbose_name="merchant's number")),
                ('at', models.DateTimeField(verbose_name='at')),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='payments.billfile', verbose_name='bill file')),
            ],
            options={
                'verbose_name': 'fund flow row',
                'verbose_name_plural': 'fund flow rows',
            },
        ),
        migrations.CreateModel(
            name='BillRow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('line_no', models.PositiveIntegerField(verbose_name='line')),
                ('kind', models.CharField(choices=[('payment', 'payment'), ('refund', 'refund'), ('reversal', 'reversal')], max_length=10, verbose_name='kind')),
                ('payment_no', models.BigIntegerField(null=True, verbose_name='payment no.')),
                ('foreign_no', models.CharField(blank=True, max_length=64, verbose_name='number that is none of ours')),
                ('channel_trade_no', models.CharField(blank=True, max_length=64, verbose_name="channel's number")),
                ('refund_no', models.BigIntegerField(null=True, verbose_name='refund no.')),
                ('foreign_refund_no', models.CharField(blank=True, max_length=64)),
                ('channel_refund_no', models.CharField(blank=True, max_length=64, verbose_name="channel's refund no.")),
                ('amount_fen', models.BigIntegerField(verbose_name='amount (fen)')),
                ('settled_fen', models.BigIntegerField(verbose_name="of it the merchant's (fen)")),
                ('fee_millifen', models.BigIntegerField(verbose_name='fee (1/1000 fen)')),
                ('state', models.CharField(choices=[('PAID', 'PAID'), ('PROCESSING', 'PROCESSING'), ('SUCCEEDED', 'SUCCEEDED'), ('NOT_DONE', 'NOT_DONE'), ('ABNORMAL', 'ABNORMAL')], max_length=10, verbose_name='state')),
                ('at', models.DateTimeField(verbose_name='at')),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='payments.billfile', verbose_name='bill file')),
            ],
            options={
                'verbose_name': 'bill row',
                'verbose_name_plural': 'bill rows',
            },
        ),
        migrations.CreateModel(
            name='BillUnreadableRow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('line_no', models.PositiveIntegerField(verbose_name='line')),
                ('text', models.TextField(verbose_name='line as it stands')),
                ('reason', models.CharField(max_length=120, verbose_name='reason')),
                ('file', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='payments.billfile', verbose_name='bill file')),
            ],
            options={
                'verbose_name': 'unreadable row',
                'verbose_name_plural': 'unreadable rows',
            },
        ),
        migrations.AddConstraint(
            model_name='billfile',
            constraint=models.UniqueConstraint(fields=('bill', 'version_no'), name='bill_file_version_once'),
        ),
        migrations.AddConstraint(
            model_name='billfile',
            constraint=models.UniqueConstraint(fields=('bill', 'digest'), name='bill_file_content_once'),
        ),
        migrations.AddConstraint(
            model_name='billfile',
            constraint=models.CheckConstraint(condition=models.Q(('is_sound', False), ('unreadable_count', 0), _connector='OR'), name='bill_file_sound_is_readable'),
        ),
        migrations.AddIndex(
            model_name='bill',
            index=models.Index(condition=models.Q(('next_check_at__isnull', False)), fields=['next_check_at'], name='bill_due'),
        ),
        migrations.AddIndex(
            model_name='bill',
            index=models.Index(fields=['-bill_date', '-id'], name='bill_day'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.UniqueConstraint(fields=('account', 'kind', 'bill_date'), name='bill_one_per_account_kind_and_day'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['WAITED_FOR', 'FETCHED', 'EMPTY', 'MISSING', 'REFUSED'])), name='bill_status_known'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['trade', 'fund_flow', 'fund_flow_operation', 'fund_flow_fees'])), name='bill_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', payments.states.BillStatus['WAITED_FOR']), _negated=True), ('next_check_at__isnull', False), _connector='OR'), name='bill_waited_for_is_scheduled'),
        ),
        migrations.AddConstraint(
            model_name='bill',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('newest_file__isnull', False), ('status', payments.states.BillStatus['FETCHED'])), models.Q(models.Q(('status', payments.states.BillStatus['FETCHED']), _negated=True), ('newest_file__isnull', True)), _connector='OR'), name='bill_has_file_iff_fetched'),
        ),
        migrations.AddConstraint(
            model_name='billfilepart',
            constraint=models.UniqueConstraint(fields=('file', 'part_no'), name='bill_file_part_once'),
        ),
        migrations.AddConstraint(
            model_name='billfinding',
            constraint=models.UniqueConstraint(fields=('file', 'kind', 'payment'), name='bill_finding_once'),
        ),
        migrations.AddConstraint(
            model_name='billfinding',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['not_in_bill', 'amount_differs', 'not_paid_here'])), name='bill_finding_kind_known'),
        ),
        migrations.AddIndex(
            model_name='billflowrow',
            index=models.Index(fields=['channel_trade_no'], name='bill_flow_channel_trade'),
        ),
        migrations.AddConstraint(
            model_name='billflowrow',
            constraint=models.UniqueConstraint(fields=('file', 'line_no'), name='bill_flow_row_once'),
        ),
        migrations.AddIndex(
            model_name='billrow',
            index=models.Index(condition=models.Q(('payment_no__isnull', False)), fields=['payment_no'], name='bill_row_payment'),
        ),
        migrations.AddIndex(
            model_name='billrow',
            index=models.Index(condition=models.Q(('refund_no__isnull', False)), fields=['refund_no'], name='bill_row_refund'),
        ),
        migrations.AddIndex(
            model_name='billrow',
            index=models.Index(fields=['channel_trade_no'], name='bill_row_channel_trade'),
        ),
        migrations.AddConstraint(
            model_name='billrow',
            constraint=models.UniqueConstraint(fields=('file', 'line_no'), name='bill_row_once'),
        ),
        migrations.AddConstraint(
            model_name='billrow',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['payment', 'refund', 'reversal'])), name='bill_row_kind'),
        ),
        migrations.AddConstraint(
            model_name='billrow',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['PAID', 'PROCESSING', 'SUCCEEDED', 'NOT_DONE', 'ABNORMAL'])), name='bill_row_state'),
        ),
        migrations.AddConstraint(
            model_name='billrow',
            constraint=models.CheckConstraint(condition=models.Q(('amount_fen__gte', 0), ('settled_fen__gte', 0)), name='bill_row_amounts_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='billunreadablerow',
            constraint=models.UniqueConstraint(fields=('file', 'line_no'), name='bill_unreadable_row_once'),
        ),
        migrations.RunSQL(FIXED, FREE),
        *[migrations.RunSQL(guard(table), unguard(table)) for table in WRITTEN_ONCE],
        # Last, for it locks a busy table: a column without a default is only written down.
        migrations.AddField(
            model_name='payment',
            name='confirmed_unpaid_at',
            field=models.DateTimeField(null=True, verbose_name='bills say unpaid since'),
        ),
    ]
