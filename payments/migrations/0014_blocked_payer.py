from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0013_every_wallet'),
    ]

    operations = [
        migrations.AlterField(
            model_name='case',
            name='kind',
            field=models.CharField(choices=[('AMOUNT_MISMATCH', 'amount differs'), ('DUPLICATE_PAID', 'paid twice'), ('FOREIGN_CALLBACK', 'callback for an unknown payment'), ('PAID_LATE', 'paid after close'), ('BLOCKED_PAYER', 'paid by somebody on the blacklist'), ('REFUND_ABNORMAL', 'refund could not reach the payer'), ('REFUND_LATE', 'refund executed after it was called failed'), ('REFUND_CONTRADICTED', 'the channel contradicts a refund that is over here')], max_length=24, verbose_name='kind'),
        ),
    ]
