"""A channel in trouble: what can wait is held back and comes again, queries go on, and nothing fails because of it."""

from openplatform import breaker
from payments.operations import refunds
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment


def trip(shop):
    for _ in range(breaker.THRESHOLD):
        shop.breaker.record(failed=True)


def test_an_order_behind_an_open_breaker_is_not_sent_and_is_paid_for_when_it_has_closed(shop):
    trip(shop)
    order = shop.drive(shop.order())
    assert (order.status, the_payment(order).last_answer) == (OrderStatus.UNKNOWN, "breaker open")
    assert shop.channel_calls("create", the_payment(order).pk) == 0
    # Driven again, it first asks whether an earlier request arrived: that goes through, and closes the breaker.
    order = shop.drive(order)
    assert order.status == OrderStatus.PAYING
    assert shop.breaker.may_call()


def test_a_refund_behind_an_open_breaker_waits_and_is_executed_once(shop):
    order = shop.paid_order()
    trip(shop)
    wish = factories.a_refund_wish()
    refund, _created = refunds.create_refund(app=shop.app, order_no=order.pk, wish=wish, now=shop.now())
    refund = shop.drive_refund(refund)
    assert (refund.status, shop.channel_calls("refund", refund.pk)) == (RefundStatus.UNKNOWN, 0)
    for _ in range(4):
        if refund.status != RefundStatus.SUCCEEDED:
            refund = shop.drive_refund(refund)
    assert refund.status == RefundStatus.SUCCEEDED
    assert shop.channel_calls("refund", refund.pk) == 1
    assert again(order).refunded_fen == refund.amount_fen


def test_a_channel_that_does_not_answer_opens_its_breaker_and_one_that_refuses_does_not(shop):
    shop.control.add_fault("create", "refused", times=breaker.THRESHOLD + 1)
    for _ in range(breaker.THRESHOLD + 1):
        assert shop.drive(shop.order()).status == OrderStatus.FAILED
    assert shop.breaker.may_call()
    shop.control.add_fault("create", "bad_gateway_html", times=breaker.THRESHOLD)
    for _ in range(breaker.THRESHOLD):
        shop.drive(shop.order())
    assert not shop.breaker.may_call()


def test_answers_that_only_one_account_gets_do_not_open_it(shop):
    shop.control.add_fault("create", "wrong_signature", times=breaker.THRESHOLD + 2)
    for _ in range(breaker.THRESHOLD + 2):
        assert shop.drive(shop.order()).status == OrderStatus.UNKNOWN
    assert shop.breaker.may_call()
