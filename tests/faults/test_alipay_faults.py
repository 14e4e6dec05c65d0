"""The same at Alipay, through its own gateway, words and signatures: a payment ends where the money is."""

from datetime import timedelta

import pytest

from payments.models import LedgerEntry, Payment
from payments.operations import orders
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment


@pytest.fixture
def shop(open_shop):
    return open_shop("alipay")


def test_an_order_is_created_paid_and_found_paid_by_asking(shop):
    order = shop.drive_until(shop.order(), "PAYING")
    assert set(the_payment(order).prepay) == {"tradeNO"}
    shop.control.pay(str(the_payment(order).pk))
    order = shop.drive_until(order, "SUCCEEDED")
    assert LedgerEntry.objects.filter(order=order).count() == 1
    assert the_payment(order).channel_trade_no == the_payment(order).prepay["tradeNO"]


def test_a_code_to_be_scanned_is_paid(shop):
    order = shop.drive_until(shop.order(method="native", payer_id=""), "PAYING")
    assert the_payment(order).prepay["qr_code"].startswith("https://")
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED


def test_a_code_that_ran_out_before_anybody_scanned_it_is_made_afresh_under_the_same_number(shop):
    order = shop.order(method="native", payer_id="", expires_at=shop.now() + timedelta(hours=5))
    order = shop.drive_until(order, "PAYING")
    first, payment_no = the_payment(order).prepay["qr_code"], the_payment(order).pk
    shop.control.advance(7201)
    Payment.objects.filter(pk=payment_no).update(prepay_expires_at=shop.now())
    order = shop.drive(order)
    payment = the_payment(order)
    assert payment.pk == payment_no
    assert payment.prepay["qr_code"] != first
    assert payment.prepay_expires_at > shop.now()
    shop.control.pay(str(payment_no))
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED


@pytest.mark.parametrize("fault", ["unknown_but_done", "timeout_done", "timeout_not_done", "wrong_signature"])
def test_a_refund_without_an_answer_that_counts_is_asked_about_and_executed_once(shop, fault):
    order = shop.paid_order()
    shop.control.add_fault("refund", fault, times=1)
    refund = factories.a_submitting_refund(order=order, amount_fen=1030, now=shop.now())
    refund = shop.drive_refund(refund)
    assert refund.status == RefundStatus.UNKNOWN
    for _ in range(8):
        refund = shop.drive_refund(refund)
        if refund.status == RefundStatus.SUCCEEDED:
            break
    assert refund.status == RefundStatus.SUCCEEDED
    assert again(order).refunded_fen == 1030


def test_paid_in_the_last_second_before_the_close_is_paid(shop):
    order = shop.drive_until(shop.order(), "PAYING")
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
