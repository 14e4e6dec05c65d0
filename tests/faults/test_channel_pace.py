"""What a channel states about how often it wants to be called is kept, and what waits for its turn is never lost."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from openplatform.limits import Pace
from payments.models import Payment, Refund
from payments.states import RefundStatus
from tests import factories
from tests.factories import NOW, again, the_payment

GAP = timedelta(minutes=1)


def a_refund_of(order, shop, **more):
    return factories.a_submitting_refund(order=order, amount_fen=1000, now=shop.now(), **more)


def drive_until_succeeded(shop, refund):
    for _ in range(6):
        refund = shop.drive_refund(refund)
        if refund.status == RefundStatus.SUCCEEDED:
            return refund
    raise AssertionError(f"still {refund.status}: {refund.last_answer}")


@pytest.mark.parametrize(("channel", "gap_s"), [("wechatpay", 60), ("alipay", 3)])
def test_two_refunds_of_one_payment_are_sent_as_far_apart_as_the_channel_wants(open_shop, channel, gap_s):
    shop = open_shop(channel)
    order = shop.paid_order()
    first, second = a_refund_of(order, shop), a_refund_of(order, shop)
    shop.drive_refund(first)
    sent_at = shop.now()
    second = shop.drive_refund(second)
    assert (second.status, second.last_answer) == (RefundStatus.SUBMITTING, "waits for its turn")
    assert shop.channel_calls("refund", second.pk) == 0
    assert timedelta(seconds=gap_s - 2) < second.next_check_at - sent_at <= timedelta(seconds=gap_s)
    shop.later(gap_s)
    drive_until_succeeded(shop, second)
    drive_until_succeeded(shop, first)
    assert shop.channel_calls("refund", second.pk) == 1
    assert again(order).refunded_fen == 2000


def test_the_same_refund_again_need_not_wait_for_itself(shop):
    order = shop.paid_order()
    shop.control.add_fault("refund", "unknown_not_done", times=1)
    refund = shop.drive_refund(a_refund_of(order, shop))
    assert refund.status == RefundStatus.UNKNOWN
    drive_until_succeeded(shop, refund)
    assert shop.channel_calls("refund", refund.pk) == 2


def test_refunds_of_different_payments_do_not_wait_for_each_other(shop):
    refunds = [a_refund_of(shop.paid_order(), shop) for _ in range(2)]
    assert [shop.drive_refund(refund).last_answer for refund in refunds] == ["", ""]
    assert [shop.channel_calls("refund", refund.pk) for refund in refunds] == [1, 1]


def test_what_is_more_than_the_account_may_ask_comes_again_and_is_executed_once(shop, monkeypatch):
    monkeypatch.setitem(shop.channel_class.capabilities.paces, "refund", Pace(calls=1, period_s=30.0, wait_max_s=0.0))
    first, second = (a_refund_of(shop.paid_order(), shop) for _ in range(2))
    shop.drive_refund(first)
    second = shop.drive_refund(second)
    assert (second.status, second.last_answer) == (RefundStatus.UNKNOWN, "paced")
    assert shop.channel_calls("refund", second.pk) == 0
    monkeypatch.undo()  # half a minute later
    drive_until_succeeded(shop, second)
    assert shop.channel_calls("refund", second.pk) == 1


@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_with_eight_refunds_of_one_payment_one_has_the_turn():
    payment_no = the_payment(factories.a_paid_order()).pk
    start, waits = threading.Barrier(8), []

    def take(refund_no):
        start.wait()
        waits.append(Payment.take_refund_turn(payment_no, refund_no=refund_no, now=NOW, gap=GAP))
        connection.close()

    threads = [threading.Thread(target=take, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wait is None for wait in waits) == [False] * 7 + [True]
    assert {wait for wait in waits if wait is not None} == {NOW + GAP}


def test_a_refund_that_waits_for_its_turn_is_found_by_the_sweep(shop):
    order = shop.paid_order()
    first, second = a_refund_of(order, shop), a_refund_of(order, shop)
    shop.drive_refund(first)
    shop.drive_refund(second)
    due = Refund.objects.filter(status=RefundStatus.SUBMITTING, next_check_at__isnull=False, lease_until__isnull=True)
    assert [refund.pk for refund in due] == [second.pk]
