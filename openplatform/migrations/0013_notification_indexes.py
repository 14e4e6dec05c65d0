"""Indexes of large tables, and a look at their old rows, beside the service: nobody waits for it, and it takes its time.

Not in a transaction: whatever was done stays done, and all of it may be done again after a failure.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models

OWED = models.Q(("status", "owed"))
INDEXES = [
    models.Index(
        "app",
        models.Func(
            "notify_url", models.Value("/"), models.Value(3), function="split_part", output_field=models.CharField()
        ),
        "next_attempt_at", "id", condition=OWED, name="notification_owed_by_host",
    ),
    models.Index(condition=models.Q(("lease_until__isnull", False)), fields=["app"], name="notification_in_flight"),
    models.Index(
        condition=models.Q(("hinted_at__isnull", False), ("status", "owed")), fields=["app"],
        name="notification_in_queue",
    ),
]  # fmt: skip


def without_limits():
    """Our limits are for requests. What is built here waits for the transactions of others, and holds up none."""
    return migrations.RunSQL("SET statement_timeout = 0; SET lock_timeout = 0", migrations.RunSQL.noop)


def with_limits():
    return migrations.RunSQL("RESET statement_timeout; RESET lock_timeout", migrations.RunSQL.noop)


def built_beside(index):
    """What a build that failed has left would be in the way, and so would the first edition of 0011."""
    drop = migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", migrations.RunSQL.noop)
    return [drop, AddIndexConcurrently("notification", index)]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("openplatform", "0012_notification_columns")]

    operations = [
        without_limits(),
        *(operation for index in INDEXES for operation in built_beside(index)),
        ValidateConstraint("notificationattempt", "notification_attempt_kind_known"),
        with_limits(),
    ]
