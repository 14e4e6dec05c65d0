"""The figures of how the work is going: right, cheap in a large table, and there when a part of us is on fire."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from openplatform import breaker, hints
from openplatform.breaker import THRESHOLD, Breaker
from openplatform.models import Notification, NotifyEndpoint
from openplatform.store import circuit
from payments import health
from payments.channels.base import Unknown
from payments.channels.registry import CHANNELS
from payments.health import Aged, Due, read_figures
from payments.models import ChannelAccount, Payment
from payments.operations import payments, schedules
from payments.queries import due_payments, due_refunds
from tests import factories
from tests.factories import NOW, again, the_payment

LARGE = 8_000
MONEY = re.compile(r"Seq Scan on (payments_payment|payments_order|payments_refund|openplatform_notification)\b")


@pytest.fixture(autouse=True)
def closed_circuit():
    circuit.reset()


def an_alipay_app():
    app = factories.an_app()
    factories.an_alipay_account(app.merchant)
    return app


def an_unknown_order(*, now=NOW, **changes):
    order = factories.a_submitting_order(now=now, **changes)
    payments.record_create(claimed=the_payment(order), now=now, answer=Unknown(reason="deadline"))
    return again(order)


def owe(app, *hosts):
    for host in hosts:
        Notification.record(
            app=app, event_type="order.succeeded", object_no=1, object_version=1, data={},
            notify_url=f"https://{host}/n", now=NOW, traceparent="",
        )  # fmt: skip


def of_channel(name, *, now):
    return next(row for row in read_figures(now=now).channels if row.name == name)


@pytest.mark.django_db
class TestWhatIsDue:
    def test_payments_are_counted_for_each_channel_and_the_oldest_says_how_late_it_is(self):
        app = an_alipay_app()
        for channel, late_s in (("wechatpay", 40), ("wechatpay", 90), ("alipay", 5)):
            factories.a_submitting_order(app=app, channel=channel, now=NOW - timedelta(seconds=late_s))
        factories.a_submitting_order(app=app, now=NOW + timedelta(minutes=1))
        assert of_channel("wechatpay", now=NOW).payments == Due(count=2, late_s=90)
        assert of_channel("alipay", now=NOW).payments == Due(count=1, late_s=5)

    def test_refunds_belong_to_the_channel_of_their_payment(self):
        factories.a_submitting_refund(now=NOW)
        assert of_channel("wechatpay", now=NOW + timedelta(seconds=7)).refunds == Due(count=1, late_s=7)
        assert of_channel("alipay", now=NOW).refunds == Due()

    def test_ended_payments_that_are_asked_about_once_more_are_a_kind_of_their_own(self):
        factories.a_closed_order()
        at = Payment.objects.get().recheck_at
        seen = of_channel("wechatpay", now=at + timedelta(minutes=1))
        assert (seen.rechecks, seen.payments) == (Due(count=1, late_s=60), Due())

    def test_counting_stops_where_nobody_cares_any_more(self, monkeypatch):
        monkeypatch.setattr(health, "COUNTED_MAX", 2)
        for _ in range(3):
            factories.a_submitting_order()
        assert of_channel("wechatpay", now=NOW).payments.count == 2

    def test_results_that_are_not_known_are_told_by_their_age(self):
        for age_s in (30, 300, 301, 90_000):
            an_unknown_order(now=NOW - timedelta(seconds=age_s))
        seen = of_channel("wechatpay", now=NOW).unknown_payments
        assert seen == Aged(counts=(1, 2, 0, 0, 1), oldest_s=90_000)

    def test_a_channel_without_an_account_that_is_switched_on_is_not_in_use(self):
        an_alipay_app()
        ChannelAccount.objects.get(channel="alipay").deactivate()
        seen = read_figures(now=NOW)
        assert [row.name for row in seen.channels if row.is_used] == ["wechatpay"]
        assert seen.queues == ["bills", "default", "notifications", "channel.wechatpay"]

    def test_what_waits_for_a_paused_host_on_purpose_is_not_called_late(self):
        app = factories.an_app()
        owe(app, "a.example", "b.example")
        NotifyEndpoint.lock_or_add(app_id=app.pk, host="b.example").pause(now=NOW, probe_wait=timedelta(minutes=1))
        seen = read_figures(now=NOW + timedelta(seconds=9)).notifications
        assert (seen.due, seen.paused_count, seen.held_count) == (Due(count=1, late_s=9), 1, 0)

    def test_breakers_that_are_open_are_named_with_their_time_and_forgotten_when_they_close(self):
        one = Breaker("test.health.example")
        for _ in range(THRESHOLD):
            one.record(failed=True)
        found = [row for row in read_figures(now=NOW).breakers if row.name == one.name]
        assert len(found) == 1
        assert 0 <= found[0].open_for_s < breaker.MEMORY_MS
        one.reset()
        assert one.name not in {row.name for row in read_figures(now=NOW).breakers}


class TestOnFire:
    @pytest.mark.django_db
    def test_a_broker_that_is_away_is_a_figure(self, monkeypatch):
        original = hints._connect
        monkeypatch.setattr(hints, "_connect", lambda: original().clone(hostname="redis+socket:///nonexistent/x.sock"))
        seen = read_figures(now=NOW)
        assert seen.broker.error
        assert seen.channels is not None
        assert seen.notifications is not None

    @pytest.mark.django_db
    def test_a_store_that_is_away_is_a_figure(self, settings):
        settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
        seen = read_figures(now=NOW)
        assert seen.breakers is None
        assert seen.broker.error == ""

    @pytest.mark.django_db(transaction=True)
    def test_a_part_that_does_not_answer_is_not_known_and_the_rest_is(self, settings):
        """Somebody holds the table of payments: an old migration, a dump."""
        holder = connection.copy()
        try:
            with holder.cursor() as cursor:
                cursor.execute("BEGIN; LOCK TABLE payments_payment IN ACCESS EXCLUSIVE MODE")
            seen = read_figures(now=NOW)
        finally:
            holder.close()
        assert seen.channels is None
        assert seen.notifications is not None
        assert seen.signs is not None
        assert read_figures(now=NOW).channels is not None


def fill(*, copies):
    """So many rows beside the one that is there: ended orders and what belongs to them, as most rows are."""
    with connection.cursor() as cursor:
        for table, key, changes in (
            ("payments_order", "order_no", {"out_trade_no": "'F' || n", "cashier_token": "'fill-' || n"}),
            ("payments_payment", "payment_no", {"order_id": "n", "channel_trade_no": "'F' || n"}),
            (
                "payments_refund",
                "refund_no",
                {
                    "order_id": "n",
                    "payment_id": "n",
                    "out_refund_no": "'F' || n",
                    "status": "'FAILED'",
                    "next_check_at": "NULL",
                },
            ),
            (
                "openplatform_notification",
                "id",
                {"status": "'delivered'", "delivered_at": "created_at", "next_attempt_at": "NULL"},
            ),
        ):
            cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table])
            columns = [row[0] for row in cursor.fetchall()]
            values = {key: "n"} | changes
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values.get(c, c) for c in columns)}"
                f" FROM {table}, generate_series(1, {copies}) AS n WHERE {key} = (SELECT max({key}) FROM {table})"
            )
            cursor.execute(f"ANALYZE {table}")


@pytest.mark.django_db
def test_no_figure_and_no_sweep_reads_a_large_table_from_end_to_end(settings):
    """The planner of a real server decides, on a table that is mostly history."""
    app = factories.a_submitting_refund().order.app
    owe(app, "a.example")
    fill(copies=LARGE)
    for _ in range(3):
        an_unknown_order()
    with CaptureQueriesContext(connection) as captured:
        read_figures(now=NOW + timedelta(hours=1))
        for channel in CHANNELS:
            due_payments(now=NOW, lease=schedules.lease(), limit=500, channel=channel)
            due_refunds(now=NOW, lease=schedules.lease(), limit=500, channel=channel)
    asked = [query["sql"] for query in captured if query["sql"].startswith("SELECT")]
    plans = {sql: explained(sql) for sql in asked}
    assert len(plans) > 10
    assert {sql: plan for sql, plan in plans.items() if MONEY.search(plan)} == {}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # the figures have set theirs in the transaction of this test
    assert MONEY.search(explained("SELECT count(*) FROM payments_payment WHERE amount_fen > 1")), (
        "a scan is seen as one"
    )


def explained(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(row[0] for row in cursor.fetchall())
