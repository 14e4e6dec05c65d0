"""Which bills are waited for, from when on, and that every account gets its own."""

import io
from datetime import date, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from openplatform.models import Merchant
from payments.channels.base import AccountConfig, Capabilities, HasBills
from payments.channels.registry import CHANNELS
from payments.models import Bill, ChannelAccount
from payments.operations import bills, schedules
from payments.operations.accounts import bill_offers_of
from payments.states import BillKind, BillStatus
from tests import factories
from tests.factories import the_payment
from tests.payments.bills.conftest import DAY, at

pytestmark = pytest.mark.django_db(transaction=True)


NOON = at(12)


def an_account(*, channel="wechatpay", now=NOON, **settings):
    account = factories.an_account(Merchant.register(name="shop", now=now))
    ChannelAccount.objects.filter(pk=account.pk).update(
        channel=channel, settings=account.settings | settings, created_at=now
    )
    return ChannelAccount.objects.get(pk=account.pk)


def planned():
    return sorted(Bill.objects.values_list("kind", "bill_date"))


@pytest.mark.parametrize(("channel", "hour"), [("wechatpay", 10), ("alipay", 9)])
def test_a_bill_is_planned_from_its_hour_on_in_beijing_whatever_our_own_clocks_show(channel, hour):
    account = an_account(channel=channel)
    assert bills.plan_bills(now=at(hour, days=1) - timedelta(seconds=1)) == 0
    assert bills.plan_bills(now=at(hour, days=1)) == 2
    assert planned() == [("fund_flow", DAY), ("trade", DAY)]
    assert bills.plan_bills(now=at(23, 59, days=1)) == 0, "each once"
    bill = Bill.objects.get(account=account, kind="trade")
    assert (bill.status, bill.next_check_at) == (BillStatus.WAITED_FOR, at(hour, days=1))


def test_just_after_midnight_in_beijing_yesterdays_bill_is_not_due_and_the_one_before_is():
    an_account(now=at(12, days=-1))
    bills.plan_bills(now=at(0, 1, days=1))
    assert planned() == [("fund_flow", DAY - timedelta(days=1)), ("trade", DAY - timedelta(days=1))]


def test_days_that_nobody_planned_in_their_time_are_caught_up_with_but_none_from_before_we_knew_the_account():
    an_account(now=at(12, days=-3))
    bills.plan_bills(now=at(12, days=1))
    assert [day for kind, day in planned() if kind == "trade"] == [DAY - timedelta(days=back) for back in (3, 2, 1, 0)]
    an_account(now=at(12, days=-300))
    bills.plan_bills(now=at(12, days=1))
    assert Bill.objects.filter(kind="trade").count() == 4 + bills.CATCH_UP_DAYS


def test_an_account_that_was_switched_off_gets_the_bills_of_days_on_which_its_money_moved():
    order = factories.a_paid_order(now=at(23, 59))
    account = the_payment(order).account
    account.deactivate()
    quiet = an_account()
    quiet.deactivate()
    ChannelAccount.objects.update(created_at=at(0, days=-3))
    bills.plan_bills(now=at(12, days=1))
    assert {(bill.account_id, bill.bill_date) for bill in Bill.objects.filter(kind="trade")} >= {(account.pk, DAY)}
    assert not Bill.objects.filter(account=quiet).exists()


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, {"trade", "fund_flow"}),
        ({"bill_kinds": []}, set()),
        ({"bill_kinds": ["trade"]}, {"trade"}),
        ({"bill_kinds": ["trade", "fund_flow_fees"]}, {"trade", "fund_flow_fees"}),
        ({"sub_mchid": "1900000109"}, {"trade"}),
        ({"sub_mchid": "1900000109", "bill_kinds": ["trade", "fund_flow"]}, {"trade"}),
    ],
)
def test_an_account_chooses_its_bills_and_a_provider_never_gets_its_own_flow_for_its_merchants(settings, kinds):
    assert set(bill_offers_of(an_account(**settings))) == kinds


def test_what_a_channel_has_is_said_as_data_and_a_channel_may_have_nothing():
    for channel in CHANNELS.values():
        if not issubclass(channel, HasBills):
            assert channel.capabilities.bills == {}
            continue
        assert BillKind.TRADE in channel.capabilities.bills
        assert channel.account_shape.lists["bill_kinds"] >= set(channel.capabilities.bills)
    assert Capabilities(methods={}).bills == {}


def test_a_sweep_wakes_a_worker_once_for_each_bill_that_is_due(monkeypatch):
    account = an_account()
    bills.plan_bills(now=at(10, days=1))
    woken = []
    monkeypatch.setattr(bills, "send_now", lambda name, *, queue, bill_id: woken.append((name, queue, bill_id)) or True)
    assert bills.sweep_bills(now=at(10, days=1)) == 2
    assert {(name, queue) for name, queue, _ in woken} == {("payments.fetch_bill", "bills")}
    assert {bill_id for *_, bill_id in woken} == set(account.bill_set.values_list("pk", flat=True))
    assert bills.sweep_bills(now=at(10, days=1)) == 0
    monkeypatch.setattr(bills, "send_now", lambda *_args, **_kwargs: False)
    assert bills.sweep_bills(now=at(11, days=1)) == 0, "the broker takes none, and nothing pretends that it did"


def test_the_limits_of_the_task_lie_above_the_deadlines_of_its_calls(settings):
    from payments.tasks import fetch_bill

    assert fetch_bill.soft_time_limit > settings.CHANNEL_DEADLINE_S + settings.BILL_DEADLINE_S
    assert fetch_bill.time_limit > fetch_bill.soft_time_limit
    assert schedules.bill_lease().total_seconds() > fetch_bill.time_limit
    options = settings.CELERY["broker_transport_options"]
    assert options["visibility_timeout"] > fetch_bill.time_limit


def test_bills_have_limits_of_their_own_from_the_settings(settings):
    from payments.operations.accounts import open_account

    settings.BILL_DEADLINE_S, settings.BILL_BYTES_MAX, settings.BILL_UNPACKED_BYTES_MAX = 7.0, 8, 9
    config: AccountConfig = open_account(an_account()).config
    assert (config.bills.deadline_s, config.bills.bytes_max, config.bills.unpacked_bytes_max) == (7.0, 8, 9)


def run(*arguments):
    out = io.StringIO()
    call_command("bills", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_lists_bills_by_day_account_and_state():
    account, other = an_account(), an_account(now=at(13))
    bills.plan_bills(now=at(10, days=1))
    assert run("list").count("WAITED_FOR") == 4
    said = run("list", "--account", str(account.pk), "--status", "WAITED_FOR", "--kind", "trade")
    assert said.splitlines() == [said.splitlines()[0]]
    assert str(account.pk) in said
    assert str(other.pk) not in said
    assert run("list", "--date", "2026-03-01") == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--date", "yesterday"), "not a day"),
        (("--date", f"{date(2200, 1, 1)}"), "is over"),
        (("--date", "2026-03-02", "--account", "1"), "no such account"),
        (("--date", "2020-01-01"), "nothing to fetch"),
    ],
)
def test_the_command_refuses_what_cannot_be_fetched(arguments, why):
    an_account()
    with pytest.raises(CommandError, match=why):
        run("fetch", *arguments)


def test_the_command_fetches_a_day_now_and_says_what_became_of_it():
    account = an_account(now=timezone.now() - timedelta(days=5))
    day = timezone.localdate() - timedelta(days=2)
    said = run("fetch", "--date", day.isoformat(), "--account", str(account.pk), "--kind", "trade")
    assert "WAITED_FOR" in said
    assert "address_refused" in said, "nobody serves this account's host"
