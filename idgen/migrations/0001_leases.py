"""The table of leases. Plain SQL, because the model is unmanaged: `flush` must not truncate it (see the model)."""

from django.db import migrations, models

CREATE = """
CREATE TABLE idgen_lease (
    worker_id smallint PRIMARY KEY CONSTRAINT idgen_lease_worker_id_fits CHECK (worker_id BETWEEN 0 AND 1023),
    holder uuid,
    info text NOT NULL DEFAULT '',
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT to_timestamp(0),
    reserved_until_ms bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
"""
# Every renewal rewrites its row: half-empty pages keep the new version on the same page.


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(
            sql=CREATE,
            reverse_sql="DROP TABLE idgen_lease",
            state_operations=[
                migrations.CreateModel(
                    name="WorkerLease",
                    fields=[
                        ("worker_id", models.SmallIntegerField(primary_key=True, serialize=False, verbose_name="worker id")),
                        ("holder", models.UUIDField(null=True, verbose_name="holder")),
                        ("info", models.TextField(default="", verbose_name="process")),
                        ("fence", models.BigIntegerField(default=0, verbose_name="fence")),
                        ("lease_until", models.DateTimeField(verbose_name="leased until")),
                        ("reserved_until_ms", models.BigIntegerField(default=0, verbose_name="reserved until (ms)")),
                    ],
                    options={
                        "verbose_name": "worker id lease",
                        "verbose_name_plural": "worker id leases",
                        "db_table": "idgen_lease",
                        "ordering": ["worker_id"],
                        "managed": False,
                    },
                )
            ],
        )
    ]
