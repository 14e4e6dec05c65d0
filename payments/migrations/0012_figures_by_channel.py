"""Indexes for the sweeps and the figures of one channel. Built beside the service: nobody is locked out meanwhile.

Building one takes as long as it takes, and waits for whoever has an old transaction open: our own limits are for
requests. One that was broken off leaves an index that is not valid: drop it and migrate again.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0011_bills")]

    operations = [
        migrations.RunSQL("SET statement_timeout = 0; SET lock_timeout = 0", migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("next_check_at__isnull", False)),
                fields=["channel", "next_check_at"],
                name="payment_due_of_channel",
            ),
        ),
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("status", "UNKNOWN")), fields=["channel", "created_at"], name="payment_unknown"
            ),
        ),
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(condition=models.Q(("status", "UNKNOWN")), fields=["created_at"], name="refund_unknown"),
        ),
        migrations.RunSQL("RESET statement_timeout; RESET lock_timeout", migrations.RunSQL.noop),
    ]
