"""Refunds: never more than was paid, never twice, never let go by time."""

import itertools
import threading
from datetime import timedelta

import pytest
from django.db import connection

from openplatform.models import Notification
from payments.channels.base import Accepted, RefundState, Rejected, Unknown
from payments.errors import NotFound
from payments.models import Case, LedgerEntry, OrderNotPaid, Posting, Refund, RefundExceedsPaid
from payments.operations import guarded, payments, refunds
from payments.states import RefundStatus
from tests import factories
from tests.factories import NOW, again, refund_said

pytestmark = pytest.mark.django_db(transaction=True)
NOTIFY = {"notify_url": "https://shop.example/notify"}


def ask(order, **changes):
    return refunds.create_refund(app=order.app, order_no=order.pk, wish=factories.a_refund_wish(**changes), now=NOW)[0]


def record(refund, answer, now=NOW):
    refunds.record_refund(claimed=refund, answer=answer, now=now)
    return again(refund)


def said(refund, state, **changes):
    return Accepted(facts=refund_said(refund, state, **changes))


def test_a_refund_is_reserved_before_the_channel_hears_of_it():
    refund = factories.a_submitting_refund()
    order = again(refund.order)
    assert (refund.status, order.refund_reserved_fen, order.refunded_fen) == (RefundStatus.SUBMITTING, 1000, 0)
    assert order.refundable_fen == 3030
    assert refund.next_check_at == NOW


def test_two_refunds_of_60_on_100_are_one_refund():
    order = factories.a_paid_order(amount_fen=100)
    barrier, results = threading.Barrier(6), []

    def try_refund():
        try:
            barrier.wait()
            results.append(ask(order, amount_fen=60))
        except RefundExceedsPaid:
            results.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_refund) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert sum(result is not None for result in results) == 1
    assert again(order).refund_reserved_fen == 60


def test_parts_may_be_refunded_until_nothing_is_left():
    order = factories.a_paid_order(amount_fen=100)
    for amount_fen in (60, 40):
        refund = ask(order, amount_fen=amount_fen)
        record(refund, said(refund, RefundState.SUCCEEDED))
    order = again(order)
    assert (order.refunded_fen, order.refund_reserved_fen, order.refundable_fen) == (100, 0, 0)
    with pytest.raises(RefundExceedsPaid):
        ask(order, amount_fen=1)


@pytest.mark.parametrize("make", [factories.a_paying_order, factories.a_closed_order, factories.a_submitting_order])
def test_what_was_not_paid_cannot_be_refunded(make):
    with pytest.raises(OrderNotPaid):
        ask(make())


def test_another_apps_order_cannot_be_refunded():
    order, stranger = factories.a_paid_order(), factories.an_app()
    with pytest.raises(NotFound):
        refunds.create_refund(app=stranger, order_no=order.pk, wish=factories.a_refund_wish(), now=NOW)
    assert not Refund.objects.exists()


def test_the_same_number_and_content_is_the_same_refund_and_reserves_once():
    order, wish = factories.a_paid_order(), factories.a_refund_wish(amount_fen=4030)
    first, created = refunds.create_refund(app=order.app, order_no=order.pk, wish=wish, now=NOW)
    second, created_again = refunds.create_refund(app=order.app, order_no=order.pk, wish=wish, now=NOW)
    assert (created, created_again, first.pk) == (True, False, second.pk)
    assert again(order).refund_reserved_fen == 4030


def test_a_same_number_retry_that_changes_the_amount_is_refused():
    order = factories.a_paid_order()
    ask(order, out_refund_no="SAME0001")
    with pytest.raises(refunds.OutRefundNoReused):
        ask(order, out_refund_no="SAME0001", amount_fen=2000)
    assert again(order).refund_reserved_fen == 1000


def test_one_number_on_two_orders_at_once_is_one_refund():
    app = factories.an_app()
    pair = [factories.a_paid_order(app=app), factories.a_paid_order(app=app)]
    barrier, results = threading.Barrier(2), []

    def try_refund(order):
        try:
            barrier.wait()
            results.append(ask(order, out_refund_no="SAME0001"))
        except refunds.OutRefundNoReused:
            results.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=try_refund, args=[order]) for order in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Refund.objects.count() == 1
    assert sum(again(order).refund_reserved_fen for order in pair) == 1000


def test_accepted_is_not_done():
    refund = factories.a_submitting_refund()
    refund = record(refund, said(refund, RefundState.PROCESSING))
    assert refund.status == RefundStatus.PROCESSING
    assert again(refund.order).refunded_fen == 0
    assert not LedgerEntry.objects.filter(kind="refund").exists()


def test_a_refund_that_succeeds_is_posted_told_and_counted():
    refund = factories.a_submitting_refund(**NOTIFY)
    record(refund, said(refund, RefundState.SUCCEEDED))
    order = again(refund.order)
    assert (order.refunded_fen, order.refund_reserved_fen) == (1000, 0)
    assert sorted(Posting.objects.filter(entry__kind="refund").values_list("amount_fen", flat=True)) == [-1000, 1000]
    assert Notification.objects.get().event_type == "refund.succeeded"


def test_told_twice_is_refunded_once():
    refund = factories.a_submitting_refund(**NOTIFY)
    for _ in range(3):
        record(refund, said(refund, RefundState.SUCCEEDED))
    assert again(refund.order).refunded_fen == 1000
    assert Notification.objects.count() == LedgerEntry.objects.filter(kind="refund").count() == 1


@pytest.mark.parametrize("days", [0, 1, 365])
def test_an_unknown_refund_keeps_its_reservation_for_ever(days):
    refund = factories.a_submitting_refund()
    for _ in range(20):
        refund = record(refund, Unknown(reason="deadline"), now=NOW + timedelta(days=days))
    assert refund.status == RefundStatus.UNKNOWN
    assert refund.next_check_at is not None
    assert again(refund.order).refund_reserved_fen == 1000


def test_a_refused_refund_gives_its_reservation_back():
    refund = factories.a_submitting_refund(**NOTIFY)
    for _ in range(3):
        refund = record(refund, Rejected(code="PARAM_ERROR"))
    assert (refund.status, refund.failure_code) == (RefundStatus.FAILED, "PARAM_ERROR")
    order = again(refund.order)
    assert (order.refund_reserved_fen, order.refundable_fen) == (0, 4030)
    assert Notification.objects.get().event_type == "refund.failed"


def test_a_refund_that_the_channel_closed_gives_its_reservation_back():
    refund = factories.a_submitting_refund()
    record(refund, said(refund, RefundState.PROCESSING))
    assert record(refund, said(refund, RefundState.NOT_DONE)).status == RefundStatus.FAILED
    assert again(refund.order).refund_reserved_fen == 0


def test_an_abnormal_refund_keeps_its_reservation_and_calls_a_person():
    refund = factories.a_submitting_refund(**NOTIFY)
    refund = record(refund, said(refund, RefundState.ABNORMAL))
    assert refund.status == RefundStatus.ABNORMAL
    assert again(refund.order).refund_reserved_fen == 1000
    assert Case.objects.get().kind == Case.Kind.REFUND_ABNORMAL
    assert Notification.objects.get().event_type == "refund.abnormal"


@pytest.mark.parametrize("wrong", [{"amount_fen": 999}, {"payment_no": 1}], ids=str)
def test_a_refund_answer_that_does_not_fit_moves_no_money(wrong):
    refund = factories.a_submitting_refund()
    refund = record(refund, said(refund, RefundState.SUCCEEDED, **wrong))
    assert refund.status == RefundStatus.UNKNOWN
    assert again(refund.order).refunded_fen == 0
    assert Case.objects.get().kind == Case.Kind.AMOUNT_MISMATCH


def test_the_refund_of_a_late_payment_is_possible():
    order = factories.a_closed_order()
    payments.record_query(claimed=factories.the_payment(order), answer=Accepted(facts=factories.paid(order)), now=NOW)
    assert ask(again(order), amount_fen=4030).status == RefundStatus.SUBMITTING


def test_a_refusal_alone_never_fails_a_refund():
    refund = factories.a_submitting_refund()
    seen = []
    now = NOW
    for _ in range(3):
        refund = record(refund, Rejected(code="PARAM_ERROR"), now=now)
        seen.append(refund.status)
        now = refund.next_check_at or now
    assert seen == [RefundStatus.UNKNOWN, RefundStatus.UNKNOWN, RefundStatus.FAILED]
    assert now - NOW > timedelta(minutes=2), "longer than a request of ours can still be on its way"


def test_refusals_that_do_not_come_in_a_row_fail_nothing():
    refund = factories.a_submitting_refund()
    for _ in range(3):
        for answer in (Rejected(code="PARAM_ERROR"), Rejected(code="PARAM_ERROR"), Unknown(reason="deadline")):
            refund = record(refund, answer)
    assert refund.status == RefundStatus.UNKNOWN
    assert again(refund.order).refund_reserved_fen == 1000


def failed(**changes):
    refund = factories.a_submitting_refund(**changes)
    record(refund, said(refund, RefundState.PROCESSING))
    return record(refund, said(refund, RefundState.NOT_DONE))


def test_a_refund_that_was_executed_after_we_called_it_failed_is_posted_told_counted_and_seen():
    refund = failed(**NOTIFY)
    record(refund, said(refund, RefundState.SUCCEEDED))
    assert again(refund).status == RefundStatus.SUCCEEDED
    assert again(refund.order).refunded_fen == 1000
    assert LedgerEntry.objects.filter(kind="refund").count() == 1
    assert [case.kind for case in Case.objects.all()] == [Case.Kind.REFUND_LATE]
    types = set(Notification.objects.values_list("event_type", flat=True))
    assert types == {"refund.failed", "refund.succeeded_late"}


def test_a_late_refund_is_posted_even_when_the_money_was_refunded_again_in_between():
    refund = failed(amount_fen=4030)
    second = ask(again(refund.order), amount_fen=4030)
    record(second, said(second, RefundState.SUCCEEDED))
    record(refund, said(refund, RefundState.SUCCEEDED))
    assert LedgerEntry.objects.filter(kind="refund").count() == 2
    assert again(refund.order).refunded_fen == 4030
    assert Case.objects.get().details == {"counted": False}


@pytest.mark.parametrize("state", [RefundState.NOT_DONE, RefundState.ABNORMAL])
def test_a_channel_that_contradicts_a_done_refund_is_seen_by_a_person(state):
    refund = factories.a_submitting_refund()
    record(refund, said(refund, RefundState.SUCCEEDED))
    record(refund, said(refund, state))
    assert again(refund).status == RefundStatus.SUCCEEDED
    assert Case.objects.get().kind == Case.Kind.REFUND_CONTRADICTED


@pytest.mark.parametrize(
    ("state", "status"),
    [(RefundState.SUCCEEDED, RefundStatus.SUCCEEDED), (RefundState.NOT_DONE, RefundStatus.FAILED)],
)
def test_an_abnormal_refund_is_asked_about_daily_and_ends_when_a_person_has_acted(state, status):
    refund = factories.a_submitting_refund()
    refund = record(refund, said(refund, RefundState.ABNORMAL))
    assert refund.next_check_at >= NOW + timedelta(days=1)
    assert record(refund, said(refund, state)).status == status


def test_a_worker_that_was_too_slow_fails_no_refund_and_frees_nobodys_lease():
    refund = factories.a_submitting_refund()
    lease = timedelta(seconds=30)
    slow = Refund.claim(refund.pk, now=NOW, lease=lease)
    later = NOW + timedelta(seconds=31)
    assert Refund.claim(refund.pk, now=later, lease=lease) is not None
    for answer in (Rejected(code="PARAM_ERROR"), said(refund, RefundState.NOT_DONE), Unknown(reason="deadline")):
        refunds.record_refund(claimed=slow, answer=answer, now=later)
    refund = again(refund)
    assert (refund.status, refund.lease_until) == (RefundStatus.SUBMITTING, later + lease)
    refunds.record_refund(claimed=slow, answer=said(refund, RefundState.SUCCEEDED), now=later)
    assert again(refund).status == RefundStatus.SUCCEEDED


ACCOUNT_REFUSED = Rejected(code="40002", message="invalid signature", account_refused=True)


@pytest.mark.parametrize("first_answer", ["lost", "accepted", "refused"])
def test_a_channel_that_refuses_the_question_too_has_not_said_that_it_does_not_know_the_refund(
    monkeypatch, first_answer
):
    """A wrong key of ours for a few minutes: the channel refuses whatever we ask, and may have executed it long ago."""
    refund, days = factories.a_submitting_refund(), itertools.count()
    answers = {"refund": ACCOUNT_REFUSED, "query_refund": ACCOUNT_REFUSED}
    monkeypatch.setattr(guarded.GuardedChannel, "refund", lambda *_, **__: answers["refund"])
    monkeypatch.setattr(guarded.GuardedChannel, "query_refund", lambda *_, **__: answers["query_refund"])

    def drive_a_day_later():
        now = NOW + timedelta(days=next(days))
        assert refunds.drive_refund(refund_no=refund.pk, clock=lambda: now)

    if first_answer != "refused":
        lost, accepted = Unknown(reason="deadline"), said(refund, RefundState.PROCESSING)
        answers["refund"] = lost if first_answer == "lost" else accepted
        drive_a_day_later()
        answers["refund"] = ACCOUNT_REFUSED
    for _time in range(6):
        drive_a_day_later()
    assert again(refund).status == (RefundStatus.PROCESSING if first_answer == "accepted" else RefundStatus.UNKNOWN)
    assert again(refund.order).refund_reserved_fen == refund.amount_fen
    answers["query_refund"] = said(refund, RefundState.SUCCEEDED)
    drive_a_day_later()
    assert again(refund).status == RefundStatus.SUCCEEDED
