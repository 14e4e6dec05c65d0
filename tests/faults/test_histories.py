"""Random histories: whatever happens in whatever order, in the end both sides tell the same story of the money."""

from collections import defaultdict

import pytest
from django.db.models import Sum

from openplatform.models import Notification
from payments.channels.registry import CHANNELS
from payments.models import LedgerEntry, Order, Payment, Posting, Refund, StateEvent
from payments.states import ORDER_OPEN, OrderStatus, PaymentStatus, RefundStatus
from tests.faults.histories import History

STEPS = 60
IN_CI, IN_SOAK = range(1), range(1, 60)


@pytest.mark.parametrize("seed", IN_CI)
@pytest.mark.parametrize("channel", CHANNELS)
def test_in_the_end_both_sides_tell_the_same_story(open_shop, live_server, settings, channel, seed):
    play(open_shop, live_server, settings, channel=channel, seed=seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", IN_SOAK)
@pytest.mark.parametrize("channel", CHANNELS)
def test_in_the_end_both_sides_tell_the_same_story_again_and_again(open_shop, live_server, settings, channel, seed):
    play(open_shop, live_server, settings, channel=channel, seed=seed)


def play(open_shop, live_server, settings, *, channel, seed):
    settings.PUBLIC_BASE_URL = live_server.url
    shop = open_shop(channel)
    history = History(shop, seed=seed)
    try:
        history.run(steps=STEPS)
        history.settle()
    finally:
        theirs = {row["out_trade_no"]: row for row in shop.control.get("orders", channel=channel)}
        their_refunds = shop.control.get("refunds", channel=channel)
        shop.control.reset()  # nobody is told any more, while the database is emptied
        print("\n".join(history.log))  # shown when the test fails
    assert Order.objects.exists()
    assert_nothing_is_open()
    assert_paid_here_is_paid_there(theirs)
    assert_sent_back_here_is_sent_back_there(their_refunds)
    assert_the_ledger_says_so_too()
    assert_everybody_was_told()
    assert_every_history_is_a_path()


def assert_nothing_is_open():
    assert not Order.objects.filter(status__in=[status.value for status in ORDER_OPEN]).exists()
    assert not Order.objects.exclude(refund_reserved_fen=0).exclude(refunds__status=RefundStatus.ABNORMAL).exists()


def assert_paid_here_is_paid_there(theirs):
    for payment in Payment.objects.all():
        there = theirs.get(str(payment.pk))
        is_paid_there = there is not None and there["success_time"] is not None
        assert (payment.status == PaymentStatus.SUCCEEDED) == is_paid_there, (payment, payment.status, there)
        if is_paid_there:
            assert payment.amount_fen == there["total_fen"]
    for order in Order.objects.all():
        paying = order.payments.filter(status=PaymentStatus.SUCCEEDED, is_surplus=False).count()
        assert paying == (order.status in {OrderStatus.SUCCEEDED, OrderStatus.SUCCEEDED_LATE}), order


def assert_sent_back_here_is_sent_back_there(their_refunds):
    there = {row["out_refund_no"]: row for row in their_refunds}
    for refund in Refund.objects.all():
        status = there[str(refund.pk)]["status"] if str(refund.pk) in there else ""
        assert (refund.status == RefundStatus.SUCCEEDED) == (status == "SUCCESS"), (refund, refund.status, status)
        if status:
            assert there[str(refund.pk)]["refund_fen"] == refund.amount_fen
    assert set(there) <= {str(number) for number in Refund.objects.values_list("pk", flat=True)}
    for order in Order.objects.all():
        counted = order.refunds.filter(status=RefundStatus.SUCCEEDED).exclude(kind=Refund.Kind.SURPLUS)
        assert order.refunded_fen == (counted.aggregate(sum=Sum("amount_fen"))["sum"] or 0) <= order.amount_fen


def assert_the_ledger_says_so_too():
    assert not LedgerEntry.objects.annotate(sum=Sum("postings__amount_fen")).exclude(sum=0).exists()
    held = Posting.objects.filter(account__kind="channel_receivable").aggregate(sum=Sum("amount_fen"))["sum"] or 0
    paid = Payment.objects.filter(status=PaymentStatus.SUCCEEDED).aggregate(sum=Sum("amount_fen"))["sum"] or 0
    back = Refund.objects.filter(status=RefundStatus.SUCCEEDED).aggregate(sum=Sum("amount_fen"))["sum"] or 0
    assert held == paid - back


def assert_everybody_was_told():
    told = defaultdict(set)
    for number, event in Notification.objects.values_list("object_no", "event_type"):
        told[number].add(event)
    for order in Order.objects.all():
        assert told[order.pk] & {f"order.{word}" for word in ("succeeded", "succeeded_late", "closed", "failed")}, order


def assert_every_history_is_a_path():
    """Each move begins where the one before it ended."""
    at = {}
    for event in StateEvent.objects.order_by("pk"):
        subject = (event.subject, event.refund_id or event.payment_id or event.order_id)
        assert at.get(subject, event.from_status) == event.from_status, subject
        at[subject] = event.to_status
