"""What a replay of many and a failure of ours leave on a row: columns that older processes need not know."""

from django.db import migrations, models

# The first edition of 0011 had such a column, computed and stored, which wrote the whole table anew. Nobody's service
# ran it, but there are development databases.
NO_STORED_HOST = "ALTER TABLE openplatform_notification DROP COLUMN IF EXISTS notify_host"


class Migration(migrations.Migration):
    dependencies = [("openplatform", "0011_delivery")]

    operations = [
        migrations.RunSQL(NO_STORED_HOST, migrations.RunSQL.noop),
        migrations.AddField(
            "notification", "troubles_count",
            models.PositiveSmallIntegerField("failures of ours in a row", db_default=0, default=0),
        ),
        migrations.AddField(
            "notification", "replayed_at", models.DateTimeField("replayed at", blank=True, null=True),
        ),
        migrations.RemoveConstraint("alarm", "alarm_kind_known"),
        migrations.AlterField(
            "alarm", "kind",
            models.CharField(
                "kind", max_length=32,
                choices=[
                    ("notifications_paused", "notifications paused"), ("notifications_stuck", "notifications stuck"),
                ],
            ),
        ),
        migrations.AddConstraint(
            "alarm",
            models.CheckConstraint(
                condition=models.Q(("kind__in", ["notifications_paused", "notifications_stuck"])),
                name="alarm_kind_known",
            ),
        ),
    ]  # fmt: skip
