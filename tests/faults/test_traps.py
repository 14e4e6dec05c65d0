"""Traps of the channels' protocols that no other file is about; docs/traps.md lists all of them."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import connection

from openplatform import transport
from openplatform.models import Notification
from payments.channels.wechatpay.reactions import normal_code
from payments.models import Callback, LedgerEntry, Order, Payment
from payments.operations.accounts import callback_url
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment
from tests.faults.conftest import Shop
from tests.payments.api.test_callbacks import tell_paid
from tests.sandbox.callers import Caller
from tests.sandboxes import wait_until

BOTH = pytest.mark.parametrize("channel", ["wechatpay", "alipay"])
NOTIFY = {"notify_url": "https://shop.example/notify"}


@pytest.fixture
def channel() -> str:
    """Unless a test is about both."""
    return "wechatpay"


@pytest.fixture
def shop(open_shop: Callable[[str], Shop], channel: str) -> Shop:
    return open_shop(channel)


def at_the_till(shop: Shop, amount_fen: int = 4030) -> Order:
    """The payer shows a code on the phone."""
    code = shop.control.post("codes", {"channel": shop.channel})["code"]
    expires_at = shop.now() + timedelta(seconds=45)
    return shop.order(amount_fen, method="barcode", payer_id=code, expires_at=expires_at)


@BOTH
@pytest.mark.parametrize("fault", ["unknown_but_done", "timeout_done", "wrong_signature", "connection_reset"])
def test_a_bar_code_without_an_answer_that_counts_is_asked_about_and_paid_once(shop, fault):
    """E#5: a 20000 or a SYSTEM_ERROR is no refusal."""
    shop.control.add_fault("barcode", fault, times=1)
    order = shop.drive(at_the_till(shop))
    assert order.status == OrderStatus.UNKNOWN
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
    assert shop.channel_calls("barcode", the_payment(order).pk) == 1
    assert LedgerEntry.objects.filter(order=order).count() == 1


@BOTH
@pytest.mark.parametrize(
    ("fault", "status"),
    [("userpaying_then_paid", OrderStatus.SUCCEEDED), ("userpaying_then_failed", OrderStatus.FAILED),
     ("userpaying_then_revoked", OrderStatus.CLOSED)],
)  # fmt: skip
def test_a_payer_who_types_a_password_is_waited_for_by_workers(shop, fault, status):
    """E#6: each look is a step of its own; nobody polls in a web request."""
    if (shop.channel, fault) == ("alipay", "userpaying_then_failed"):
        status = OrderStatus.CLOSED  # there a payment that nobody confirms is a closed trade
    shop.control.add_fault("barcode", fault, params={"asks": 2})
    order = shop.drive(at_the_till(shop))
    assert order.status == OrderStatus.PAYING
    order = shop.drive_until(order, "SUCCEEDED", "FAILED", "CLOSED")
    assert order.status == status
    assert shop.channel_calls("barcode", the_payment(order).pk) == 1


@BOTH
def test_a_payer_who_never_types_the_password_is_reversed_and_not_failed_here_alone(shop):
    shop.control.add_fault("barcode", "userpaying_for_ever")
    order = shop.drive(at_the_till(shop))
    shop.later(46)
    order = shop.drive_until(order, "CLOSED", "FAILED", steps_max=20)
    assert order.status == OrderStatus.CLOSED
    assert shop.control.order(str(the_payment(order).pk))["state"] in {"REVOKED", "CLOSED", "PAYERROR"}


@BOTH
def test_one_odd_error_while_the_payer_types_ends_nothing(shop):
    """E#42: the query of a bar code now and then answers PARAM_ERROR."""
    shop.control.add_fault("barcode", "userpaying_then_paid", params={"asks": 1})
    order = shop.drive(at_the_till(shop))
    shop.control.add_fault("query", "error", times=2, params={"error": "PARAM_ERROR"})
    for _ in range(2):
        assert shop.drive(order).status == OrderStatus.PAYING
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED


def test_after_a_refund_of_a_part_the_order_is_paid_and_not_returned(shop):
    """E#7: trade_state is REFUND after any refund; here the merchant made it in the channel's own console."""
    order = shop.drive_until(shop.order(), "PAYING")
    number = str(the_payment(order).pk)
    shop.control.pay(number)
    with Caller(shop.sandbox, notify_url="https://merchant.example/n") as console:
        answer = console.refund({"out_trade_no": number, "amount": {"total": 4030}}, 1000)
        assert answer.status_code == 200
    assert shop.control.order(number)["state"] == "REFUND"
    order = shop.drive_until(order, "SUCCEEDED")
    assert (order.refunded_fen, order.refundable_fen) == (0, 4030), "our own refunds say how much went back"


def test_two_refunds_of_parts_are_each_counted_by_itself(open_shop):
    """E#10 to E#12: refund_fee is the sum, fund_change is N for a repeat, and a query of a wrong number says 10000."""
    shop = open_shop("alipay")
    order = shop.paid_order()
    for amount_fen in (1000, 530):
        shop.control.add_fault("refund", "timeout_done", times=1)
        refund = factories.a_submitting_refund(order=again(order), amount_fen=amount_fen, now=shop.now())
        for _ in range(6):
            refund = shop.drive_refund(refund)
        assert (refund.status, refund.amount_fen) == (RefundStatus.SUCCEEDED, amount_fen)
        shop.later(3)  # it wants two refunds of a trade so far apart
    assert again(order).refunded_fen == 1530
    assert sorted(row["refund_fen"] for row in shop.control.get("refunds")) == [530, 1000]


def test_a_refund_that_alipay_does_not_know_is_not_done(open_shop):
    """E#11: the answer is 10000 all the same."""
    shop = open_shop("alipay")
    order = shop.paid_order()
    refund = factories.a_submitting_refund(order=order, amount_fen=1000, now=shop.now())
    shop.control.add_fault("refund", "timeout_not_done", times=1)
    refund = shop.drive_refund(refund)
    assert refund.status == RefundStatus.UNKNOWN
    assert again(order).refunded_fen == 0
    refund = shop.drive_refund(refund)  # asks, hears nothing of it, and sends the same again
    for _ in range(4):
        refund = shop.drive_refund(refund)
    assert again(order).refunded_fen == 1000
    assert len(shop.control.get("refunds")) == 1


@BOTH
def test_a_callback_before_the_answer_to_our_create_pays(shop, called_back):
    """E#13: the row is there before the channel hears of it."""
    shop.control.add_fault("create", "notify_before_answer", times=1)
    order = shop.order()
    shop.drive(order)
    wait_until(lambda: again(order).status == OrderStatus.SUCCEEDED, within_s=30)
    assert Callback.objects.get().effect in {"paid", "duplicate"}


@BOTH
def test_a_payment_that_is_told_after_its_refund_turns_nothing_back(shop, called_back):
    """E#16: the order of callbacks says nothing."""
    shop.control.add_fault("notify_payment", "out_of_order")
    order = shop.paid_order()
    refund = factories.a_submitting_refund(order=order, amount_fen=1000, now=shop.now())
    for _ in range(4):
        refund = shop.drive_refund(refund)
    assert refund.status == RefundStatus.SUCCEEDED
    wait_until(lambda: Callback.objects.filter(kind="payment").exists(), within_s=30)
    order = again(order)
    assert (order.status, order.refunded_fen) == (OrderStatus.SUCCEEDED, 1000)
    assert LedgerEntry.objects.filter(order=order).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_callback_whose_effect_failed_is_not_taken_for_done_when_it_comes_again():
    """E#17: the row that says "applied" is written with the effect, or not at all."""
    order = factories.a_paying_order(**NOTIFY)
    broken = (
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$;"
        "CREATE TRIGGER broken BEFORE INSERT ON payments_ledgerentry FOR EACH ROW EXECUTE FUNCTION broken();"
    )
    with connection.cursor() as cursor:
        cursor.execute(broken)
    try:
        with pytest.raises(Exception, match="disk full"):
            tell_paid(order)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER broken ON payments_ledgerentry; DROP FUNCTION broken();")
    assert again(order).status == OrderStatus.PAYING
    assert not Callback.objects.exists()
    assert tell_paid(order).status_code == 200
    assert again(order).status == OrderStatus.SUCCEEDED


@BOTH
def test_a_machine_in_another_time_zone_tells_the_channel_the_same_times(shop, monkeypatch):
    """E#23: time_expire in the past, or a timestamp eight hours off, would be refused."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        order = shop.drive_until(shop.order(), "PAYING")
        there = datetime.fromisoformat(shop.control.order(str(the_payment(order).pk))["expires_at"])
        assert abs(there - order.expires_at) < timedelta(seconds=1)
        shop.control.pay(str(the_payment(order).pk))
        order = shop.drive_until(order, "SUCCEEDED")
        assert abs(the_payment(order).paid_at - shop.now()) < timedelta(minutes=5)
    finally:
        monkeypatch.undo()
        time.tzset()


@BOTH
@pytest.mark.parametrize("subject", ["咖啡☕ 🍰 one", "🍰", "a/b=c&d"])
def test_what_the_channel_does_not_take_in_a_subject_is_left_out(shop, subject):
    """E#26: an emoji is no reason not to be paid."""
    order = shop.drive(shop.order(subject=subject))
    assert order.status == OrderStatus.PAYING, the_payment(order).last_answer
    told = shop.control.order(str(the_payment(order).pk))["description"]
    assert told
    assert "🍰" not in told or shop.channel == "alipay"


def test_a_number_that_was_used_with_other_content_ends_nothing(shop, settings):
    """E#27: sent again after our own address has changed. It is ours, and is asked about until it is closed."""
    shop.control.add_fault("create", "timeout_done", times=1)
    order = shop.drive(shop.order(expires_at=shop.now() + timedelta(minutes=2)))
    settings.PUBLIC_BASE_URL = "https://elsewhere.example"
    order = shop.drive(order)
    assert (order.status, the_payment(order).last_answer) == (OrderStatus.UNKNOWN, "HTTP 403 OUT_TRADE_NO_USED")
    shop.later(121)
    assert shop.drive_until(order, "CLOSED").status == OrderStatus.CLOSED
    assert shop.control.order(str(the_payment(order).pk))["state"] == "CLOSED"


@pytest.mark.django_db(transaction=True)
def test_a_callback_is_written_and_answered_and_asks_nobody(monkeypatch):
    """E#33: what takes time is for workers; here a request to anybody would break the test."""

    def nobody(**_request: object) -> None:
        raise AssertionError("a callback must not call anybody")

    monkeypatch.setattr(transport, "send", nobody)
    order = factories.a_paying_order(**NOTIFY)
    assert tell_paid(order).status_code == 200
    assert Notification.objects.get().attempts_count == 0


def test_a_refund_always_says_where_to_tell_of_it(shop):
    """E#39: else an old XML comes, to an address from a console, or nothing at all."""
    refund = factories.a_submitting_refund(order=shop.paid_order(), now=shop.now())
    shop.drive_refund(refund)
    assert shop.control.get("refunds")[0]["notify_url"] == callback_url(shop.account)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("SYSTEM_ERROR", "SYSTEMERROR"), ("ORDER_NOT_EXIST", "ORDERNOTEXIST"), ("NOT_ENOUGH", "NOTENOUGH"),
        ("NO_AUTH", "NOAUTH"), ("RULE_LIMIT", "RULELIMIT"), ("ACCOUNT_ERROR", "ACCOUNTERROR"),
        ("USER_PAYING", "USERPAYING"), ("BANK_ERROR", "BANKERROR"), ("ORDER_CLOSED", "ORDERCLOSED"),
        ("FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED"), ("FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED"),
        ("TRADE_ERROR", "TRADEERROR"), ("OUT_TRADE_NO_USED", "OUT_TRADE_NO_USED"),
    ],
)  # fmt: skip
def test_an_error_has_one_name_however_it_is_spelt(new, old):
    """E#41."""
    assert normal_code(old) == normal_code(new) == new


def test_our_numbers_are_digits_that_no_library_rewrites(shop):
    """E#44: a bar in a number is signed as it is, and sent as %7C."""
    order = shop.order()
    assert str(the_payment(order).pk).isdecimal()
    assert Payment.objects.filter(pk=the_payment(order).pk).exists()
