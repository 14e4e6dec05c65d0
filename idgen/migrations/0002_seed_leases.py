"""One row for each of the 1,024 worker ids."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("idgen", "0001_leases")]
    operations = [
        migrations.RunSQL(
            sql="INSERT INTO idgen_lease (worker_id) SELECT generate_series(0, 1023) ON CONFLICT DO NOTHING",
            reverse_sql=migrations.RunSQL.noop,
        )
    ]
