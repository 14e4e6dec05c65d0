"""Two workers' clocks are never quite alike, and one may be very wrong for a while: neither lets two at one row, and
neither hides a row.
"""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from openplatform.clocks import CLOCKS_APART_MAX
from payments.models import Payment, Refund
from payments.queries import due_payments
from payments.states import RefundStatus
from tests import factories
from tests.factories import NOW, again, the_payment

pytestmark = pytest.mark.django_db(transaction=True)
LEASE = timedelta(seconds=45)
GAP = timedelta(seconds=60)
APART = [timedelta(microseconds=1), timedelta(milliseconds=5), timedelta(seconds=1), CLOCKS_APART_MAX]
apart = pytest.mark.parametrize("apart", APART, ids=str)


def found(now):
    return [row.pk for row in due_payments(now=now, lease=LEASE, limit=10)]


def at_once(calls):
    """What they return, called by as many threads at the same time."""
    start, results = threading.Barrier(len(calls)), []

    def run(call):
        start.wait()
        results.append(call())
        connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@apart
def test_a_worker_whose_clock_is_behind_takes_no_row_that_is_in_hand(apart):
    payment = the_payment(factories.a_submitting_order())
    assert Payment.claim(payment.pk, now=NOW + apart, lease=LEASE)
    assert found(NOW) == []
    assert Payment.claim(payment.pk, now=NOW, lease=LEASE) is None


def test_of_eight_workers_whose_clocks_differ_by_a_millisecond_one_has_the_row():
    payment = the_payment(factories.a_submitting_order())
    clocks = [NOW - timedelta(milliseconds=number) for number in range(8)]
    Payment.objects.filter(pk=payment.pk).update(next_check_at=min(clocks))
    claims = at_once([lambda now=now: Payment.claim(payment.pk, now=now, lease=LEASE) for now in clocks])
    assert sum(claim is not None for claim in claims) == 1
    assert again(payment).asked_count == 1


def test_two_people_who_act_on_an_abnormal_refund_at_two_servers_do_so_one_after_the_other():
    refund = factories.a_submitting_refund()
    Refund.objects.filter(pk=refund.pk).update(status=RefundStatus.ABNORMAL)
    assert Refund.claim_abnormal(refund.pk, now=NOW + timedelta(milliseconds=3), lease=LEASE)
    assert Refund.claim_abnormal(refund.pk, now=NOW, lease=LEASE) is None


@apart
def test_a_worker_whose_clock_is_behind_sends_no_refund_before_its_turn(apart):
    payment = the_payment(factories.a_paid_order())
    assert Payment.take_refund_turn(payment.pk, refund_no=1, now=NOW + apart, gap=GAP) is None
    assert Payment.take_refund_turn(payment.pk, refund_no=2, now=NOW, gap=GAP) == NOW + apart + GAP


@apart
def test_what_another_sweep_has_just_told_is_not_told_again_by_one_whose_clock_is_behind(apart):
    payment = the_payment(factories.a_submitting_order())
    assert found(NOW) == [payment.pk]
    Payment.remember_hints([payment.pk], now=NOW + apart)
    assert found(NOW) == []


def test_a_clock_that_was_ahead_hides_no_row():
    payment = the_payment(factories.a_submitting_order())
    future = NOW + timedelta(days=1)
    Payment.objects.filter(pk=payment.pk).update(lease_until=future, hinted_at=future)
    assert found(NOW) == [payment.pk]
    assert Payment.claim(payment.pk, now=NOW, lease=LEASE)


def test_a_turn_from_a_clock_that_was_ahead_holds_nobody_back():
    payment = the_payment(factories.a_paid_order())
    assert Payment.take_refund_turn(payment.pk, refund_no=1, now=NOW + timedelta(days=1), gap=GAP) is None
    assert Payment.take_refund_turn(payment.pk, refund_no=2, now=NOW, gap=GAP) is None
