"""Who pays is sealed at rest, bound to its payment. Needs MASTER_KEY when there are payments with a payer.

Not an index of it: nothing looks a payment up by its payer.
"""

from django.db import migrations, models

from openplatform.models.sealed import SealedField
from openplatform.sealing import seal, unseal

BATCH = 1_000
FACTS = "payment_no, order_id, account_id, channel, method, amount_fen, traceparent, created_at"


def fixed(payer, *, but=""):
    """The facts of a payment do not change. Whoever seals the payer anew, under another master key, says so first."""
    old, new = (", ".join(f"{row}.{name.strip()}" for name in FACTS.split(",")) for row in ("OLD", "NEW"))
    return f"""
CREATE TRIGGER payments_payment_facts_fixed BEFORE UPDATE ON payments_payment FOR EACH ROW
    WHEN (({old}) IS DISTINCT FROM ({new}) OR (OLD.{payer} IS DISTINCT FROM NEW.{payer}{but}))
    EXECUTE FUNCTION payments_refuse_change();
"""


DROP = "DROP TRIGGER payments_payment_facts_fixed ON payments_payment;"
IN_CLEAR = fixed("payer_id")
SEALED = fixed("payer_sealed", but=" AND current_setting('fenpay.rekeying', true) IS DISTINCT FROM 'on'")


def place(payment):
    return f"payments_payment:payer:{payment.pk}"


def seal_payers(apps, _editor):
    for payment in in_batches(apps, without={"payer_id": ""}):
        payment.payer_sealed = seal(payment.payer_id.encode(), aad=place(payment))
        payment.save(update_fields=["payer_sealed"])


def open_payers(apps, _editor):
    for payment in in_batches(apps, without={"payer_sealed": None}):
        payment.payer_id = unseal(bytes(payment.payer_sealed), aad=place(payment)).decode()
        payment.save(update_fields=["payer_id"])


def in_batches(apps, *, without):
    payments = apps.get_model("payments", "Payment").objects.exclude(**without).order_by("pk")
    batch = list(payments[:BATCH])
    while batch:
        yield from batch
        batch = list(payments.filter(pk__gt=batch[-1].pk)[:BATCH])


class Migration(migrations.Migration):
    dependencies = [("openplatform", "0004_keys"), ("payments", "0004_evidence")]

    operations = [
        migrations.RunSQL(DROP, IN_CLEAR),
        migrations.AddField("payment", "payer_sealed", SealedField(null=True)),
        migrations.AlterField(
            "payment", "payer_id", models.CharField("payer", blank=True, default="", max_length=128)
        ),  # a column that comes back needs a default
        migrations.RunPython(seal_payers, open_payers),
        migrations.RemoveField("payment", "payer_id"),
        migrations.RunSQL(SEALED, DROP),
        migrations.AlterField("channelaccount", "secrets_sealed", SealedField()),
    ]
