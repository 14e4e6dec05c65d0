"""What must hold whoever writes: balanced entries, and rows that are never changed or removed."""

from django.db import migrations

BALANCED = """
CREATE FUNCTION ledger_entry_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry bigint := (to_jsonb(NEW) ->> TG_ARGV[0])::bigint;  -- the column that names the entry
    total bigint;
    lines bigint;
BEGIN
    SELECT coalesce(sum(amount_fen), 0), count(*) INTO total, lines FROM payments_posting WHERE entry_id = entry;
    IF total <> 0 OR lines < 2 THEN
        RAISE EXCEPTION 'ledger entry % has % postings that add up to % fen', entry, lines, total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entry_balanced';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_entry_balanced AFTER INSERT ON payments_posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entry_must_balance('entry_id');
CREATE CONSTRAINT TRIGGER ledger_entry_has_postings AFTER INSERT ON payments_ledgerentry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_entry_must_balance('id');
"""

UNBALANCED = """
DROP TRIGGER ledger_entry_has_postings ON payments_ledgerentry;
DROP TRIGGER ledger_entry_balanced ON payments_posting;
DROP FUNCTION ledger_entry_must_balance();
"""

REFUSE = """
CREATE FUNCTION payments_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;
"""

TABLES = ("payments_posting", "payments_ledgerentry", "payments_stateevent", "payments_callback")


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


# What a row is about is written once; only its state, its counters and the channel's numbers move on.
FIXED = {
    "payments_order": (
        "order_no, app_id, pay_code_id, out_trade_no, content_digest, amount_fen, currency, subject, channel, method,"
        " notify_url, return_url, metadata, cashier_token, traceparent, expires_at, created_at"
    ),
    "payments_payment": (
        "payment_no, order_id, account_id, channel, method, amount_fen, payer_id, traceparent, created_at"
    ),
    "payments_refund": (
        "refund_no, app_id, order_id, payment_id, out_refund_no, content_digest, amount_fen, reason, notify_url,"
        " traceparent, created_at"
    ),
}


def fix(table, columns):
    names = [name.strip() for name in columns.split(",")]
    old, new = (", ".join(f"{row}.{name}" for name in names) for row in ("OLD", "NEW"))
    return f"""
CREATE TRIGGER {table}_facts_fixed BEFORE UPDATE ON {table} FOR EACH ROW
    WHEN (({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION payments_refuse_change();
"""


def unfix(table):
    return f"DROP TRIGGER {table}_kept ON {table}; DROP TRIGGER {table}_facts_fixed ON {table};"


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [
        migrations.RunSQL(BALANCED, UNBALANCED),
        migrations.RunSQL(REFUSE, "DROP FUNCTION payments_refuse_change();"),
        *[migrations.RunSQL(guard(table), unguard(table)) for table in TABLES],
        *[migrations.RunSQL(fix(table, columns), unfix(table)) for table, columns in FIXED.items()],
    ]
