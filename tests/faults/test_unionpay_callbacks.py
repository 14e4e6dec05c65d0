"""The UnionPay model tells us, over HTTP, what happened on the payer's phone: the whole way, and what can be wrong."""

import pytest

from payments.models import Callback, Case, LedgerEntry
from payments.operations import orders
from payments.operations.accounts import cashier_url
from payments.states import OrderStatus, RefundStatus
from tests import factories
from tests.factories import again, the_payment
from tests.sandbox.test_sandbox_phone import Browser
from tests.sandboxes import wait_until


@pytest.fixture
def shop(open_shop, live_server, settings):
    settings.PUBLIC_BASE_URL = live_server.url
    settings.ALLOWED_HOSTS = ["*"]
    return open_shop("unionpay")


@pytest.fixture
def phone(shop):
    made = Browser(shop.sandbox.base_url)
    yield made
    made.session.close()


def told(shop, order):
    """Every attempt that has been answered; True as soon as there is one."""
    found = shop.control.notifications(number=str(the_payment(order).pk))
    return found and found[0]["attempts"]


def pay(shop, order):
    shop.control.pay(str(the_payment(order).pk))
    return wait_until(lambda: told(shop, order), what="the callback")


def test_created_paid_on_the_phone_told_refunded_and_asked_about(shop, phone):
    order = shop.drive_until(shop.order(), "PAYING")
    page = phone.get(the_payment(order).prepay["pay_url"].removeprefix(phone.base_url))
    assert "40.30" in page.text
    back = phone.press(page, "pay").headers["Location"]
    assert back == f"{cashier_url(order)}?pay=ok", "the app brings the payer back to our page"
    wait_until(lambda: again(order).status == OrderStatus.SUCCEEDED, what="the callback")
    assert shop.channel_calls("query", the_payment(order).pk) == 0, "nobody had to ask"
    assert Callback.objects.get().effect == "paid"
    wait_until(lambda: shop.control.notifications()[0]["state"] == "DELIVERED", what="the acknowledgement")

    refund = factories.a_submitting_refund(order=again(order), amount_fen=1030, now=shop.now())
    for _ in range(6):
        refund = shop.drive_refund(refund)
        if refund.status == RefundStatus.SUCCEEDED:
            break
    assert (refund.status, again(order).refunded_fen) == (RefundStatus.SUCCEEDED, 1030)
    assert shop.channel_calls("refund", refund.pk) == 1
    assert shop.channel_calls("refund_query", refund.pk) >= 1
    assert LedgerEntry.objects.filter(order=order).count() == 2


def test_five_copies_at_once_are_applied_once_and_all_acknowledged(shop):
    shop.control.add_fault("notify_payment", "duplicates")
    order = shop.drive_until(shop.order(), "PAYING")
    pay(shop, order)
    wait_until(lambda: len(told(shop, order)) == 5, what="all five")
    assert {(attempt["status"], attempt["body"]) for attempt in told(shop, order)} == {(200, "success")}
    assert Callback.objects.count() == LedgerEntry.objects.filter(order=order).count() == 1


@pytest.mark.parametrize("fault", ["wrong_signature", "missing_signature"])
def test_what_they_did_not_sign_is_refused_and_writes_nothing(shop, fault):
    shop.control.add_fault("notify_payment", fault)
    order = shop.drive_until(shop.order(), "PAYING")
    assert pay(shop, order)[0]["status"] == 500
    assert (again(order).status, Callback.objects.count(), Case.objects.count()) == (OrderStatus.PAYING, 0, 0)
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED, "asking finds it"


@pytest.mark.parametrize("fault", ["wrong_mchid", "unknown_order"])
def test_what_belongs_to_nobody_here_is_a_case_and_not_acknowledged(shop, fault):
    shop.control.add_fault("notify_payment", fault)
    order = shop.drive_until(shop.order(), "PAYING")
    assert pay(shop, order)[0]["status"] == 500
    assert again(order).status == OrderStatus.PAYING
    assert Case.objects.get().kind == Case.Kind.FOREIGN_CALLBACK


def test_one_fen_too_many_moves_nothing_and_the_right_amount_is_still_found(shop):
    shop.control.add_fault("notify_payment", "wrong_amount")
    order = shop.drive_until(shop.order(), "PAYING")
    pay(shop, order)
    assert again(order).status == OrderStatus.PAYING
    assert Case.objects.get().kind == Case.Kind.AMOUNT_MISMATCH
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
    assert LedgerEntry.objects.filter(order=order).count() == 1


def test_a_callback_before_our_own_answer_is_kept(shop):
    shop.control.add_fault("create", "notify_before_answer", times=1)
    order = shop.drive(shop.order())
    wait_until(lambda: again(order).status == OrderStatus.SUCCEEDED, what="the callback")


def test_paid_after_the_close_is_kept_and_seen(shop):
    order = shop.drive_until(shop.order(), "PAYING")
    orders.close_order(app=shop.app, order_no=order.pk, now=shop.now())
    shop.drive_until(order, "CLOSED")
    shop.control.pay(str(the_payment(order).pk), even_closed=True)
    wait_until(lambda: again(order).status == OrderStatus.SUCCEEDED_LATE, what="the late callback")
    assert Case.objects.get().kind == Case.Kind.PAID_LATE
