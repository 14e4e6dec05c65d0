"""The sandbox's test values: whatever the last two digits of an amount make the channel do, the money is told right."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from payments.models import Callback, Case, LedgerEntry, Order, Refund
from payments.operations import orders
from payments.states import ORDER_PAID, OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment
from tests.faults.conftest import Shop
from tests.faults.test_traps import at_the_till
from tests.sandboxes import wait_until

BOTH = pytest.mark.parametrize("channel", ["wechatpay", "alipay"])


@pytest.fixture
def channel() -> str:
    """Unless a test is about both."""
    return "wechatpay"


@pytest.fixture
def shop(open_shop: Callable[[str], Shop], channel: str, called_back: str) -> Shop:
    return open_shop(channel)


def told(shop: Shop, order: Order) -> list[int]:
    """What we answered to each attempt of the channel's to tell us of the payment."""
    notes = shop.control.notifications(number=str(the_payment(order).pk))
    return [attempt["status"] for note in notes for attempt in note["attempts"]]


def booked_once(order: Order) -> bool:
    return LedgerEntry.objects.filter(order=order, kind="payment").count() == 1


def paid_by_itself(shop: Shop, value: int) -> Order:
    order = shop.drive(shop.order(4000 + value))
    wait_until(lambda: shop.control.order(str(the_payment(order).pk))["state"] == "SUCCESS", within_s=20)
    return order


@BOTH
@pytest.mark.parametrize("value", [1, 3, 4, 7, 10, 18])
def test_an_order_of_this_value_is_paid_in_the_end_and_once(shop, value):
    """01 paid · 03 and 04 time out · 07 told before the answer · 10 never told · 18 answers 500 after executing."""
    order = shop.drive(shop.order(4000 + value))
    if value in {3, 4, 18}:
        assert order.status in {OrderStatus.UNKNOWN, OrderStatus.SUCCEEDED}, "of 3 a callback may have told already"
    if value in {4, 18}:  # the payer decides
        order = shop.drive_until(order, "PAYING")
        shop.control.pay(str(the_payment(order).pk))

    def is_paid() -> bool:
        return (again(order) if again(order).is_paid else shop.drive(order)).status == OrderStatus.SUCCEEDED

    wait_until(is_paid, within_s=60)
    assert booked_once(order)
    assert order.payments.count() == 1
    assert value != 10 or not Callback.objects.exists()


@BOTH
def test_02_is_refused_and_that_is_definite(shop):
    order = shop.drive(shop.order(4002) if shop.channel == "wechatpay" else at_the_till(shop, 4002))
    assert order.status == OrderStatus.FAILED
    assert order.failure_code in {"RULE_LIMIT", "ACQ.PAYMENT_FAIL"}


@BOTH
def test_05_what_is_paid_after_the_close_is_kept_and_said(shop):
    order = shop.drive_until(shop.order(4005), "PAYING")
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())

    def is_paid() -> bool:
        if again(order).status not in ORDER_PAID | {OrderStatus.CLOSED}:
            shop.drive(order)
        return OrderStatus(again(order).status) in ORDER_PAID

    wait_until(is_paid, within_s=60, what="the money that came after the close")
    assert booked_once(order)
    is_late = again(order).status == OrderStatus.SUCCEEDED_LATE
    assert Case.objects.filter(kind=Case.Kind.PAID_LATE).exists() == is_late


@BOTH
def test_06_five_callbacks_at_once_are_one_payment_and_all_accepted(shop):
    order = paid_by_itself(shop, 6)
    wait_until(lambda: len(told(shop, order)) >= 5, within_s=30)
    wait_until(lambda: again(order).status == OrderStatus.SUCCEEDED, within_s=30)
    assert set(told(shop, order)) == {200}
    assert booked_once(order)
    assert Callback.objects.count() == 1


@BOTH
def test_08_a_callback_with_a_wrong_amount_moves_nothing_and_a_person_sees_it(shop):
    order = paid_by_itself(shop, 8)
    wait_until(lambda: Case.objects.filter(kind=Case.Kind.AMOUNT_MISMATCH).exists(), within_s=30)
    assert again(order).status == OrderStatus.PAYING
    assert not booked_once(order)
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED, "asked, the channel says it right"


@BOTH
def test_09_a_badly_signed_callback_is_refused_and_the_money_is_found_by_asking(shop):
    order = paid_by_itself(shop, 9)
    wait_until(lambda: told(shop, order), within_s=30)
    assert set(told(shop, order)) == {500}
    assert again(order).status == OrderStatus.PAYING
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
    assert not Callback.objects.exists()


@BOTH
@pytest.mark.parametrize("value", [16, 17])
def test_16_and_17_hang_or_drip_and_the_order_is_closed_upstream_when_its_time_is_over(shop, value):
    order = shop.drive(shop.order(4000 + value, expires_at=shop.now() + timedelta(minutes=2)))
    assert order.status == OrderStatus.UNKNOWN
    assert the_payment(order).last_answer == "deadline"
    order = shop.drive(order)
    assert order.status == OrderStatus.UNKNOWN, "it is never failed by that"
    shop.later(121)
    order = shop.drive_until(order, "CLOSED", steps_max=20)
    assert order.status == OrderStatus.CLOSED
    known = shop.control.get("orders", out_trade_no=str(the_payment(order).pk))
    assert {row["state"] for row in known} <= {"CLOSED"}


def refunded(shop: Shop, value: int) -> Refund:
    refund = factories.a_submitting_refund(order=shop.paid_order(), amount_fen=1000 + value, now=shop.now())
    return shop.drive_refund(refund)


def until(shop: Shop, refund: Refund, status: RefundStatus) -> Refund:
    def reached() -> bool:
        row = again(refund)
        return (row if row.status == status else shop.drive_refund(refund)).status == status

    wait_until(reached, within_s=60, what=f"{status}")
    return again(refund)


@BOTH
@pytest.mark.parametrize("value", [3, 4, 6, 8, 9, 10, 11, 18])
def test_a_refund_of_this_value_goes_back_once(shop, value):
    """The same values for refunds; 11 is stuck for a minute."""
    refund = refunded(shop, value)
    if value in {3, 4, 18}:
        assert refund.status in {RefundStatus.UNKNOWN, RefundStatus.SUCCEEDED}, "a callback may have told already"
    until(shop, refund, RefundStatus.SUCCEEDED)
    assert again(refund.order).refunded_fen == 1000 + value
    assert LedgerEntry.objects.filter(kind="refund").count() == 1
    assert len(shop.control.get("refunds")) == 1


def test_12_an_abnormal_refund_waits_for_a_person(shop):
    refund = until(shop, refunded(shop, 12), RefundStatus.ABNORMAL)
    assert again(refund.order).refund_reserved_fen == 1012
    assert Case.objects.get().kind == Case.Kind.REFUND_ABNORMAL


@BOTH
@pytest.mark.parametrize("value", [16, 17])
def test_16_and_17_a_refund_that_hangs_or_drips_is_never_let_go(shop, value):
    refund = refunded(shop, value)
    refund = shop.drive_refund(refund)
    assert refund.status in {RefundStatus.UNKNOWN, RefundStatus.PROCESSING, RefundStatus.SUCCEEDED}
    order = again(refund.order)
    assert order.refund_reserved_fen + order.refunded_fen == 1000 + value
    assert len(shop.control.get("refunds")) <= 1
