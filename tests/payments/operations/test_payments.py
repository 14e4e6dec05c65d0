"""What the channel says is written down once, in whatever order it comes, and an unknown answer is never an end."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from openplatform.models import Notification
from payments.channels.base import Accepted, Prepay, Rejected, TradeFacts, TradeState, Unknown
from payments.models import Case, LedgerEntry, Payment
from payments.operations import payments
from payments.states import OrderStatus, PaymentStatus
from tests import factories
from tests.factories import NOW, again, paid, the_payment

pytestmark = pytest.mark.django_db(transaction=True)
NOTIFY = {"notify_url": "https://shop.example/notify"}
PREPAY = Accepted(facts=Prepay(values={"prepay_id": "wx1"}, valid_for=timedelta(hours=2)))


def told(order, state):
    return Accepted(facts=TradeFacts(state=state, payment_no=the_payment(order).pk))


def record_query(order, answer, now=NOW):
    payments.record_query(claimed=the_payment(order), answer=answer, now=now)
    return again(order)


def statuses(order):
    return again(order).status, the_payment(order).status


def test_an_accepted_create_lets_the_payer_pay_and_plans_the_first_query():
    order = factories.a_paying_order()
    payment = the_payment(order)
    assert statuses(order) == (OrderStatus.PAYING, PaymentStatus.PAYING)
    assert payment.prepay == {"prepay_id": "wx-prepay-1"}
    assert NOW + timedelta(seconds=5) <= payment.next_check_at <= NOW + timedelta(seconds=6)


def test_a_rejected_create_fails_the_order_and_tells_the_merchant():
    order = factories.a_submitting_order(**NOTIFY)
    payments.record_create(
        claimed=the_payment(order), answer=Rejected(code="PARAM_ERROR", message="no"), is_unknown_there=True, now=NOW
    )
    assert statuses(order) == (OrderStatus.FAILED, PaymentStatus.FAILED)
    assert again(order).failure_code == "PARAM_ERROR"
    assert Notification.objects.get().event_type == "order.failed"


@pytest.mark.parametrize("answer", [Unknown(reason="deadline"), Unknown(reason="connect_refused", sent=False)])
def test_an_unknown_create_is_asked_about_again_soon(answer):
    order = factories.a_submitting_order()
    payments.record_create(claimed=the_payment(order), answer=answer, now=NOW)
    assert statuses(order) == (OrderStatus.UNKNOWN, PaymentStatus.UNKNOWN)
    assert the_payment(order).next_check_at <= NOW + timedelta(seconds=3)


@pytest.mark.parametrize(
    "answer", [Unknown(reason="HTTP 500"), Rejected(code="PARAM_ERROR"), Unknown(reason="answer not verified")]
)
def test_an_odd_answer_to_a_query_never_ends_a_payment(answer):
    order = record_query(factories.a_paying_order(), answer)
    assert statuses(order) == (OrderStatus.PAYING, PaymentStatus.PAYING)
    assert the_payment(order).next_check_at > NOW


def test_a_paid_order_has_one_balanced_entry_and_one_owed_notification():
    order = factories.a_paid_order(**NOTIFY)
    assert statuses(order) == (OrderStatus.SUCCEEDED, PaymentStatus.SUCCEEDED)
    entry = LedgerEntry.objects.get(order=order)
    assert sorted(posting.amount_fen for posting in entry.postings.all()) == [-4030, 4030]
    notification = Notification.objects.get()
    assert (notification.event_type, notification.object_no) == ("order.succeeded", order.pk)
    assert notification.data["amount"] == "40.30"
    assert the_payment(order).next_check_at is None


def test_a_callback_before_the_answer_to_our_create_wins_and_the_answer_adds_nothing():
    order = factories.a_submitting_order()
    record_query(order, Accepted(facts=paid(order)))
    payments.record_create(claimed=the_payment(order), answer=PREPAY, now=NOW)
    assert statuses(order) == (OrderStatus.SUCCEEDED, PaymentStatus.SUCCEEDED)


def test_told_twice_is_paid_once():
    order = factories.a_paid_order(**NOTIFY)
    record_query(order, Accepted(facts=paid(order)))
    assert LedgerEntry.objects.count() == Notification.objects.count() == 1


def test_told_by_eight_threads_at_once_is_paid_once():
    order = factories.a_paying_order(**NOTIFY)
    answer, barrier = Accepted(facts=paid(order)), threading.Barrier(8)

    def tell():
        try:
            barrier.wait()
            payments.record_query(claimed=the_payment(order), answer=answer, now=NOW)
        finally:
            connection.close()

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert again(order).status == OrderStatus.SUCCEEDED
    assert LedgerEntry.objects.count() == Notification.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"amount_fen": 4029}, {"currency": "USD"}, {"amount_fen": 403000}], ids=str)
def test_a_wrong_amount_moves_nothing_and_opens_one_case(wrong):
    order = factories.a_paying_order(**NOTIFY)
    for _ in range(3):
        record_query(order, Accepted(facts=paid(order, **wrong)))
    assert statuses(order) == (OrderStatus.PAYING, PaymentStatus.PAYING)
    case = Case.objects.get()
    assert (case.kind, case.seen_count) == (Case.Kind.AMOUNT_MISMATCH, 3)
    assert not LedgerEntry.objects.exists()
    assert not Notification.objects.exists()


def test_money_after_close_is_kept_posted_told_and_seen_by_a_person():
    order = factories.a_closed_order(**NOTIFY)
    record_query(order, Accepted(facts=paid(order)))
    assert statuses(order) == (OrderStatus.SUCCEEDED_LATE, PaymentStatus.SUCCEEDED)
    assert LedgerEntry.objects.count() == 1
    assert [case.kind for case in Case.objects.all()] == [Case.Kind.PAID_LATE]
    types = set(Notification.objects.values_list("event_type", flat=True))
    assert types == {"order.closed", "order.succeeded_late"}


def test_paid_while_closing_is_paid():
    order = factories.a_paying_order()
    payments.record_expiry(claimed=the_payment(order), now=NOW)
    assert again(order).status == OrderStatus.CLOSING
    assert record_query(order, Accepted(facts=paid(order))).status == OrderStatus.SUCCEEDED


def test_an_order_that_the_channel_closed_by_itself_is_closed():
    order = factories.a_paying_order(**NOTIFY)
    assert record_query(order, told(order, TradeState.CLOSED)).status == OrderStatus.CLOSED
    assert Notification.objects.get().event_type == "order.closed"


def test_not_paid_keeps_the_payment_open_and_waits_longer_each_time():
    order = factories.a_paying_order()
    waits, now = [], NOW
    for _ in range(7):
        record_query(order, told(order, TradeState.NOT_PAID), now=now)
        payment = the_payment(order)
        waits.append((payment.next_check_at - now).total_seconds())
        now = payment.next_check_at
    for wait, least in zip(waits, (5, 15, 30, 60, 180, 600, 600), strict=True):
        assert least <= wait <= least * 1.1 + 1


def test_the_next_query_is_never_planned_past_the_expiry():
    order = factories.a_paying_order(expires_at=NOW + timedelta(seconds=3))
    assert the_payment(order).next_check_at == NOW + timedelta(seconds=3)


def test_a_closing_payment_that_the_channel_never_heard_of_is_closed_only_after_repeated_evidence():
    order = factories.a_submitting_order()
    payments.record_expiry(claimed=the_payment(order), now=NOW)
    seen = []
    for _ in range(3):
        record_query(order, told(order, TradeState.NOT_FOUND))
        seen.append(again(order).status)
    assert seen == [OrderStatus.CLOSING, OrderStatus.CLOSING, OrderStatus.CLOSED]


def test_not_found_never_ends_a_payment_that_is_still_wanted():
    order = factories.a_paying_order()
    for _ in range(5):
        record_query(order, told(order, TradeState.NOT_FOUND))
    assert again(order).status == OrderStatus.PAYING


def test_one_worker_holds_the_lease_and_another_takes_over_when_it_has_run_out():
    payment = the_payment(factories.a_submitting_order())
    lease = timedelta(seconds=30)
    assert Payment.claim(payment.pk, now=NOW, lease=lease) is not None
    assert Payment.claim(payment.pk, now=NOW + timedelta(seconds=29), lease=lease) is None
    second = Payment.claim(payment.pk, now=NOW + timedelta(seconds=31), lease=lease)
    assert second is not None
    assert second.was_sent_before


def test_what_is_not_due_or_not_open_is_not_claimed():
    lease = timedelta(seconds=30)
    assert Payment.claim(the_payment(factories.a_paying_order()).pk, now=NOW, lease=lease) is None
    late = NOW + timedelta(days=1)
    assert Payment.claim(the_payment(factories.a_paid_order()).pk, now=late, lease=lease) is None


def test_of_eight_threads_one_gets_the_claim():
    payment_no, barrier, won = the_payment(factories.a_submitting_order()).pk, threading.Barrier(8), []

    def claim():
        try:
            barrier.wait()
            won.append(Payment.claim(payment_no, now=NOW, lease=timedelta(seconds=30)) is not None)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


def refuse(order, **more):
    payments.record_create(claimed=the_payment(order), answer=Rejected(code="RULE_LIMIT"), now=NOW, **more)
    return again(order)


def test_a_first_refusal_counts_only_when_the_channel_does_not_know_the_number_either():
    order = refuse(factories.a_submitting_order(), is_unknown_there=False)
    assert order.status == OrderStatus.UNKNOWN


def test_once_something_was_sent_a_refusal_counts_only_when_it_is_repeated():
    order = factories.a_submitting_order()
    payments.record_create(claimed=the_payment(order), answer=Unknown(reason="deadline"), now=NOW)
    Payment.objects.filter(order=order).update(asked_count=2)
    seen = [refuse(order, is_unknown_there=True).status for _ in range(3)]
    assert seen == [OrderStatus.UNKNOWN, OrderStatus.UNKNOWN, OrderStatus.FAILED]


def test_evidence_must_come_in_a_row():
    order = factories.a_submitting_order()
    payments.record_create(claimed=the_payment(order), answer=Unknown(reason="deadline"), now=NOW)
    Payment.objects.filter(order=order).update(asked_count=2)
    for _ in range(4):
        refuse(order, is_unknown_there=True)
        refuse(order, is_unknown_there=True)
        payments.record_create(claimed=the_payment(order), answer=Unknown(reason="deadline"), now=NOW)
    assert again(order).status == OrderStatus.UNKNOWN


def test_an_accepted_payment_is_never_closed_because_the_channel_says_that_it_does_not_know_it():
    order = factories.a_paying_order()
    payments.record_expiry(claimed=the_payment(order), now=NOW)
    for _ in range(10):
        record_query(order, told(order, TradeState.NOT_FOUND))
    assert again(order).status == OrderStatus.CLOSING


def test_a_worker_that_was_too_slow_is_believed_only_about_money_and_does_not_free_the_next_ones_lease():
    order = factories.a_submitting_order(**NOTIFY)
    lease = timedelta(seconds=30)
    slow = Payment.claim(the_payment(order).pk, now=NOW, lease=lease)
    later = NOW + timedelta(seconds=31)
    assert Payment.claim(the_payment(order).pk, now=later, lease=lease) is not None
    payments.record_create(claimed=slow, answer=Rejected(code="RULE_LIMIT"), is_unknown_there=True, now=later)
    payments.record_query(claimed=slow, answer=told(order, TradeState.CLOSED), now=later)
    payments.record_expiry(claimed=slow, now=later)
    assert again(order).status == OrderStatus.SUBMITTING
    assert the_payment(order).lease_until == later + lease
    payments.record_query(claimed=slow, answer=Accepted(facts=paid(order)), now=later)
    assert again(order).status == OrderStatus.SUCCEEDED


def test_a_channel_number_that_belongs_to_another_payment_opens_a_case_and_does_not_poison_the_row():
    app = factories.an_app()
    first, second = factories.a_paid_order(app=app), factories.a_paying_order(app=app)
    taken = the_payment(first).channel_trade_no
    record_query(second, Accepted(facts=paid(second, channel_trade_no=taken)))
    assert again(second).status == OrderStatus.PAYING
    assert the_payment(second).next_check_at > NOW
    assert Case.objects.get().details["told_number"] == taken


def test_a_paid_payment_that_is_told_again_with_another_number_is_seen_by_a_person():
    order = factories.a_paid_order()
    record_query(order, Accepted(facts=paid(order, channel_trade_no="4200-other")))
    assert Case.objects.get().kind == Case.Kind.AMOUNT_MISMATCH
    assert LedgerEntry.objects.count() == 1


def test_a_step_that_breaks_leaves_its_name_on_the_row_and_is_tried_again_later(monkeypatch):
    order = factories.a_submitting_order()

    def broken(account):
        raise RuntimeError("no such secret")

    monkeypatch.setattr("payments.operations.payments.open_guarded", broken)
    assert payments.drive_payment(payment_no=the_payment(order).pk, clock=lambda: NOW)
    payment = the_payment(order)
    assert (again(order).status, payment.last_answer, payment.lease_until) == (
        OrderStatus.UNKNOWN, "RuntimeError", None,
    )  # fmt: skip
    assert payment.next_check_at > NOW
