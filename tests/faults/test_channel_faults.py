"""Whatever the channel does, a payment ends where the money is, and a refund is executed once."""

from datetime import timedelta

import pytest

from payments.models import Case, LedgerEntry, Payment
from payments.operations import orders, refunds
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment
from tests.faults.conftest import ACCEPTED_ALTHOUGH, NOT_EXECUTED


def test_an_order_is_created_paid_and_found_paid_by_asking(shop):
    order = shop.paid_order()
    assert order.status == OrderStatus.SUCCEEDED
    assert LedgerEntry.objects.filter(order=order).count() == 1
    assert the_payment(order).channel_trade_no


def test_a_native_order_gets_a_code_url(shop):
    order = shop.drive_until(shop.order(method="native", payer_id=""), "PAYING")
    assert the_payment(order).prepay["code_url"].startswith("weixin://")


def test_a_header_that_lies_about_compression_does_not_matter_because_the_raw_bytes_are_signed(shop):
    shop.control.add_fault("create", "gzip_garbage", times=1)
    assert shop.drive(shop.order()).status == OrderStatus.PAYING


def test_a_definite_refusal_fails_the_order(shop):
    shop.control.add_fault("create", "refused", times=1)
    order = shop.drive(shop.order())
    assert (order.status, order.failure_code) == (OrderStatus.FAILED, "RULE_LIMIT")


def test_a_channel_that_is_gone_keeps_the_order_open_and_it_is_created_when_the_channel_is_back(shop, settings):
    settings.CHANNEL_PRIVATE_HOSTS = []  # every address of it is refused: certainly nothing is sent
    order = shop.drive(shop.order())
    assert order.status == OrderStatus.UNKNOWN
    settings.CHANNEL_PRIVATE_HOSTS = [shop.sandbox.host]
    assert shop.drive_until(order, "PAYING").status == OrderStatus.PAYING


def test_parameters_that_run_out_before_the_order_does_are_made_afresh_under_the_same_number(shop):
    order = shop.drive_until(shop.order(expires_at=shop.now() + timedelta(hours=6)), "PAYING")
    first = the_payment(order).prepay
    # Two hours later. Only the channel's clock is moved, for it checks our signatures by the real one.
    shop.control.advance(125 * 60)
    Payment.objects.filter(order=order).update(prepay_expires_at=shop.now(), next_check_at=shop.now())
    order = shop.drive(order)
    assert order.status == OrderStatus.PAYING
    assert the_payment(order).prepay != first
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive(order).status == OrderStatus.SUCCEEDED
    assert order.payments.count() == 1


def test_paid_in_the_last_second_before_the_close_is_paid(shop):
    order = shop.drive_until(shop.order(), "PAYING")
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED", "CLOSED").status == OrderStatus.SUCCEEDED


@pytest.mark.parametrize("fault", [*NOT_EXECUTED, "timeout_done", "accepted_without_effect"])
def test_a_close_that_is_not_confirmed_is_not_a_close(shop, fault):
    order = shop.drive_until(shop.order(), "PAYING")
    shop.control.add_fault("close", fault, times=1)
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    order = shop.drive(order)
    if shop.control.order(str(the_payment(order).pk))["state"] != "CLOSED":
        assert order.status == OrderStatus.CLOSING
    assert shop.drive_until(order, "CLOSED").status == OrderStatus.CLOSED
    assert shop.control.order(str(the_payment(order).pk))["state"] == "CLOSED"


def test_closed_before_the_channel_ever_heard_of_it(shop):
    order = shop.order()
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    assert shop.drive_until(order, "CLOSED").status == OrderStatus.CLOSED
    assert shop.channel_calls("create", the_payment(order).pk) == 0


def refund_of(shop, order, amount_fen=1000):
    wish = factories.a_refund_wish(amount_fen=amount_fen)
    return refunds.create_refund(app=shop.app, order_no=order.pk, wish=wish, now=shop.now())[0]


def drive_refund_until(shop, refund, *statuses, steps_max=12):
    for _ in range(steps_max):
        refund = shop.drive_refund(refund)
        if refund.status in statuses:
            return refund
    raise AssertionError(f"still {refund.status}: {refund.last_answer}")


def test_a_refund_is_accepted_then_done(shop):
    order = shop.paid_order()
    refund = drive_refund_until(shop, refund_of(shop, order), "SUCCEEDED")
    assert again(order).refunded_fen == 1000
    assert refund.channel_refund_no


@pytest.mark.parametrize("fault", [*ACCEPTED_ALTHOUGH["wechatpay"], *NOT_EXECUTED, "not_enough"])
def test_a_refund_without_an_answer_that_counts_is_executed_once(shop, fault):
    order = shop.paid_order()
    shop.control.add_fault("refund", fault, times=1)
    refund = shop.drive_refund(refund_of(shop, order))
    assert refund.status == RefundStatus.UNKNOWN
    assert again(order).refund_reserved_fen == 1000
    drive_refund_until(shop, refund, "SUCCEEDED")
    upstream = shop.control.get("refunds", out_refund_no=str(refund.pk))
    assert len(upstream) == 1
    assert again(order).refunded_fen == 1000


def test_a_refund_that_arrives_late_upstream_is_not_failed_by_a_refusal_in_between(shop):
    order = shop.paid_order()
    shop.control.add_fault("refund", "late_execution", times=1, params={"executes_after_s": 4})
    shop.control.add_fault("refund", "error", times=1, params={"error": "PARAM_ERROR"})
    refund = refund_of(shop, order)
    for _ in range(2):
        refund = shop.drive_refund(refund)
        assert refund.status == RefundStatus.UNKNOWN
    drive_refund_until(shop, refund, "SUCCEEDED")
    assert len(shop.control.get("refunds")) == 1
    assert again(order).refunded_fen == 1000


def test_a_refund_that_is_refused_and_unknown_there_again_and_again_is_failed(shop):
    order = shop.paid_order()
    shop.control.add_fault("refund", "error", times=3, params={"error": "PARAM_ERROR"})
    seen = [shop.drive_refund(refund).status for refund in [refund_of(shop, order)] * 3]
    assert seen == [RefundStatus.UNKNOWN, RefundStatus.UNKNOWN, RefundStatus.FAILED]
    assert again(order).refundable_fen == 4030


def test_a_forged_refusal_of_a_refund_that_was_executed_does_not_fail_it(shop):
    order = shop.paid_order()
    shop.control.add_fault("refund", "unknown_but_done", times=1, params={"error": "PARAM_ERROR"})
    refund = drive_refund_until(shop, refund_of(shop, order), "SUCCEEDED")
    assert refund.status == RefundStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("fault", "status"), [("refund_abnormal", RefundStatus.ABNORMAL), ("refund_closed", RefundStatus.FAILED)]
)
def test_a_refund_that_ends_otherwise_says_so(shop, fault, status):
    order = shop.paid_order()
    shop.control.add_fault("refund", fault, times=1)
    refund = drive_refund_until(shop, refund_of(shop, order), "ABNORMAL", "FAILED")
    assert refund.status == status
    reserved = again(order).refund_reserved_fen
    assert reserved == (1000 if status == RefundStatus.ABNORMAL else 0)
    assert Case.objects.filter(kind=Case.Kind.REFUND_ABNORMAL).exists() == (status == RefundStatus.ABNORMAL)


def test_a_stuck_refund_waits_and_succeeds_without_a_second_one(shop):
    order = shop.paid_order()
    shop.control.add_fault("refund", "refund_stuck", times=1)
    refund = shop.drive_refund(refund_of(shop, order))
    assert refund.status == RefundStatus.PROCESSING
    shop.control.settle(str(refund.pk), "SUCCESS")
    drive_refund_until(shop, refund, "SUCCEEDED")
    assert shop.channel_calls("refund", refund.pk) == 1
