"""What a holder says of itself, for the console; and the layout of ids, which a system check compares with the code."""

from django.db import migrations, models

ADD = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE idgen_lease ADD COLUMN stats jsonb NOT NULL DEFAULT '{}';
COMMENT ON TABLE idgen_lease IS 'ids: epoch 1735689600000, 41 ms, 10 worker, 2 lane, 10 counter';
"""


class Migration(migrations.Migration):
    dependencies = [("idgen", "0002_seed_leases")]
    operations = [
        migrations.RunSQL(
            sql=ADD,
            reverse_sql="ALTER TABLE idgen_lease DROP COLUMN stats",
            state_operations=[
                migrations.AddField("workerlease", "stats", models.JSONField(default=dict, verbose_name="statistics")),
            ],
        )
    ]
