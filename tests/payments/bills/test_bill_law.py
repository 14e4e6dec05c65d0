"""The last word on a payment that ended unpaid: daily questions until the bills of its days have told."""

import gzip
import io
from datetime import timedelta

import pytest

from openplatform.models import Merchant
from payments.channels.base import Accepted, Rejected, TradeFacts, TradeState
from payments.channels.bills import BillFacts, BillWish, Tally
from payments.models import Bill, BillFile, BillFinding, BillRow, Case, Payment
from payments.operations import bills, guarded, orders, payments, rechecks, schedules
from payments.operations.accounts import open_account
from payments.states import BillKind, BillStatus, OrderStatus
from tests import factories
from tests.factories import again, the_payment
from tests.payments.bills.conftest import CHANNELS, DAY, at
from tests.payments.channels.test_bill_parsers import WECHATPAY_HEADER, wechatpay_file, wechatpay_row

both = pytest.mark.parametrize("channel", CHANNELS)
NOON = at(12)


def queries(world, order):
    return world.channel_calls("query", the_payment(order).pk)


def fetch_day(world, day):
    """Until it is settled: an empty day takes Alipay until noon."""
    bill = world.fetch(day=day)
    while bill.status == BillStatus.WAITED_FOR:
        bill = world.fetch(day=day)
    return bill


@both
def test_a_payment_is_confirmed_unpaid_when_the_bills_of_its_days_and_of_the_next_lack_it(world):
    order = world.closed_order()
    world.paid_order()  # so that the day has a bill
    fetch_day(world, DAY)
    world.recheck(order)
    asked = queries(world, order)
    assert the_payment(order).confirmed_unpaid_at is None, "the next day's bill may have it still"
    fetch_day(world, DAY + timedelta(days=1))
    payment = world.recheck(order)
    assert (payment.confirmed_unpaid_at is not None, payment.recheck_at) == (True, None)
    assert queries(world, order) == asked, "the bills have told: the channel is not asked"
    assert again(order).status == OrderStatus.CLOSED


def test_an_order_over_midnight_in_beijing_is_looked_for_in_the_bills_of_three_days(world):
    world.travel(at(23, 50))
    order = world.drive_until(world.order(), "PAYING")
    world.travel(at(0, 10, days=1))
    orders.close_order(app=world.app, order_no=order.pk, now=world.now())
    world.drive_until(order, "CLOSED")
    for more in range(2):
        fetch_day(world, DAY + timedelta(days=more))
    world.recheck(order)
    assert the_payment(order).confirmed_unpaid_at is None
    waited_for = Bill.objects.filter(kind="trade", status=BillStatus.WAITED_FOR)
    assert [bill.bill_date for bill in waited_for] == [DAY + timedelta(days=2)]
    fetch_day(world, DAY + timedelta(days=2))
    assert world.recheck(order).confirmed_unpaid_at is not None


@both
def test_money_that_nobody_told_us_about_is_found_in_the_bill_and_asked_about_at_once(world):
    order = world.closed_order()
    payment = the_payment(order)
    world.control.pay(str(payment.pk), even_closed=True)
    Payment.objects.filter(pk=payment.pk).update(recheck_at=None, recheck_count=3)  # nobody asks any more
    bill = world.fetch()
    finding = BillFinding.objects.get()
    assert (finding.kind, finding.payment_id, finding.told_fen) == ("not_paid_here", payment.pk, 4030)
    assert again(payment).recheck_at <= world.now()
    world.recheck(order)
    assert again(order).status == OrderStatus.SUCCEEDED_LATE
    assert Case.objects.get().kind == "PAID_LATE"
    assert (again(payment).recheck_at, bill.newest_file.is_sound) == (None, True)


def test_the_channels_own_answer_decides_and_not_the_bill(world):
    order = world.closed_order()
    payment = the_payment(order)
    a_bill_with(world, [wechatpay_row(商户订单号=payment.pk, 商户号=world.account.settings["mchid"])])
    world.recheck(order)
    payment = again(payment)
    assert (again(order).status, payment.confirmed_unpaid_at) == (OrderStatus.CLOSED, None)
    assert payment.recheck_at > world.now(), "and it is asked about again"


def test_a_bill_that_does_not_add_up_confirms_nothing(world):
    order = world.closed_order()
    mine = {"商户号": world.account.settings["mchid"]}
    bill = a_bill_with(world, [wechatpay_row(**mine), wechatpay_row(交易状态="MAYBE", **mine)])
    assert (bill.status, bill.newest_file.is_sound) == (BillStatus.FETCHED, False)
    fetch_day(world, DAY + timedelta(days=1))
    for _day in range(3):
        assert the_payment(order).recheck_at is not None
        world.recheck(order)
    payment = the_payment(order)
    assert (payment.confirmed_unpaid_at, payment.recheck_at) == (None, None)


def a_bill_with(world, rows):
    """The trade bill of DAY, with these lines in it."""
    world.travel(at(10, days=1))
    world.plan()
    claimed = Bill.claim(world.bill().pk, now=world.now(), lease=schedules.bill_lease())
    content = io.BytesIO(gzip.compress(wechatpay_file(WECHATPAY_HEADER, rows)))
    channel, wish = open_account(world.account), BillWish(kind=BillKind.TRADE, day=DAY)
    tally = Tally.of(channel.read_bill(content, wish))
    facts = BillFacts(suffix="csv.gz")
    bills.record_file(claimed=claimed, content=content, facts=facts, tally=tally, channel=channel, now=world.now())
    return world.bill()


class Day:
    """A shop without a channel behind it: what the channel answers to the daily question is said by the test."""

    def __init__(self, monkeypatch, *, bill_kinds=None):
        self.now = NOON
        self.order = factories.a_closed_order(now=NOON)
        self.payment = the_payment(self.order)
        self.asked = 0
        self.answer = Accepted(facts=TradeFacts(state=TradeState.CLOSED, payment_no=self.payment.pk))
        self.account = self.payment.account
        if bill_kinds is not None:
            self.account.settings["bill_kinds"] = bill_kinds
            self.account.save(update_fields=["settings"])
        monkeypatch.setattr(guarded.GuardedChannel, "query", lambda _channel, **_question: self._query())

    def _query(self):
        self.asked += 1
        return self.answer

    def passes(self, days=1):
        self.now += timedelta(days=days, minutes=1)
        return rechecks.recheck_payment(payment_no=self.payment.pk, clock=lambda: self.now)

    def bills_become(self, status):
        """All that is waited for comes to this end."""
        for bill in Bill.objects.filter(status=BillStatus.WAITED_FOR):
            event = {"EMPTY": "EMPTY", "MISSING": "OVERDUE", "REFUSED": "REFUSED"}[status]
            bill.move(event, now=self.now)


@pytest.fixture
def day(db, monkeypatch):
    return lambda **options: Day(monkeypatch, **options)


pytestmark = pytest.mark.django_db(transaction=True)


def test_without_bills_the_question_is_put_on_three_days_and_that_is_all(day):
    shop = day(bill_kinds=[])
    assert [shop.passes() for _ in range(5)] == [True, True, True, False, False]
    assert (shop.asked, again(shop.payment).confirmed_unpaid_at, Bill.objects.count()) == (3, None, 0)


def test_while_a_bill_is_to_come_the_question_goes_on_for_as_long_as_that_takes(day):
    shop = day()
    assert [shop.passes() for _ in range(6)] == [True] * 6
    assert shop.asked == 6
    shop.bills_become("EMPTY")
    assert shop.passes()
    assert (shop.asked, shop.passes()) == (6, False)
    assert again(shop.payment).confirmed_unpaid_at == shop.now - timedelta(days=1, minutes=1)


@pytest.mark.parametrize("status", ["MISSING", "REFUSED"])
def test_bills_that_do_not_come_or_may_not_be_had_end_the_questions_as_if_there_were_none(day, status):
    shop = day()
    shop.passes()
    shop.bills_become(status)
    assert [shop.passes() for _ in range(4)] == [True, True, False, False]
    assert (shop.asked, again(shop.payment).confirmed_unpaid_at) == (3, None)


def test_the_bills_of_an_account_that_was_switched_off_are_wanted_as_long_as_somebody_needs_them(day):
    shop = day()
    shop.account.deactivate()
    shop.passes()
    wanted = Bill.objects.filter(kind="trade", account=shop.account)
    assert [bill.bill_date for bill in wanted.order_by("bill_date")] == [DAY, DAY + timedelta(days=1)]
    assert all(bill.next_check_at.hour == 2 for bill in wanted), "ten o'clock in Beijing"


def test_a_question_without_an_answer_is_put_again_soon_also_where_there_are_bills(day):
    shop = day()
    shop.answer = Rejected(code="40006", account_refused=True)
    assert shop.passes()
    assert again(shop.payment).recheck_at == shop.now + rechecks.AGAIN_AFTER


def test_money_that_came_after_the_bills_had_told_is_recorded_all_the_same(day):
    shop = day()
    shop.passes()
    shop.bills_become("EMPTY")
    shop.passes()
    assert again(shop.payment).confirmed_unpaid_at is not None
    told = factories.paid(shop.order)
    payments.record_query(claimed=again(shop.payment), answer=Accepted(facts=told), now=shop.now)
    assert again(shop.order).status == OrderStatus.SUCCEEDED_LATE


def test_a_bill_of_another_account_says_nothing(day):
    shop = day()
    other = factories.an_account(Merchant.register(name="other", now=NOON))
    ready_at = at(10, days=1)
    bill = Bill.awaited(account=other, kind=BillKind.TRADE, bill_date=DAY, ready_at=ready_at, now=NOON)
    bill.save(force_insert=True)
    facts = {"suffix": "csv.gz", "digest": "0" * 64, "row_count": 1, "unreadable_count": 0, "is_sound": True}
    file = BillFile.keep(bill=bill, content=io.BytesIO(b"x"), now=NOON, **facts)
    row = {
        "line_no": 2, "kind": "payment", "payment_no": shop.payment.pk, "amount_fen": 4030, "settled_fen": 4030,
        "fee_millifen": 0, "state": "PAID", "at": NOON,
    }  # fmt: skip
    BillRow.keep(file=file, rows=[row])
    shop.passes()
    shop.bills_become("EMPTY")
    shop.passes()
    assert again(shop.payment).confirmed_unpaid_at is not None
