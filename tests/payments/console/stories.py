"""Orders with a history, made by the project's own factories and operations."""

from datetime import datetime, timedelta

from openplatform.models import Notification, NotificationAttempt
from payments.channels.base import Accepted, RefundState
from payments.models import Callback, Case, ChannelAccount, ChannelCertificate, Order, Refund
from payments.operations import refunds
from tests import factories

NOTIFY_URL = "https://merchant.example/notify"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLBACK_ID = "EV-2026112300000001"


def a_long_story(*, now: datetime = factories.NOW) -> Order:
    """Paid 40.30 by a callback, told at the second attempt, refunded 10.00, and one case left open."""
    order = factories.a_paid_order(now=now, notify_url=NOTIFY_URL, expires_at=now + timedelta(hours=2))
    a_callback(order, now=now)
    tell(the_notification(order), now=now + timedelta(seconds=1), status_code=500)
    tell(the_notification(order), now=now + timedelta(seconds=20), status_code=204)
    a_finished_refund(order, now=now + timedelta(minutes=1))
    Case.report(
        kind=Case.Kind.AMOUNT_MISMATCH, key=f"story:{order.pk}", now=now + timedelta(minutes=3), order=order,
        payment=factories.the_payment(order), details={"expected_fen": 4030, "told_fen": 4029},
    )  # fmt: skip
    return factories.again(order)


def a_channel_certificate(account: ChannelAccount, *, now: datetime = factories.NOW) -> ChannelCertificate:
    """One of the channel's that holds for a year."""
    ChannelCertificate.keep(
        account_id=account.pk, serial="7A" * 20, pem="-----BEGIN CERTIFICATE-----", not_before=now,
        not_after=now + timedelta(days=365), now=now,
    )  # fmt: skip
    return ChannelCertificate.objects.get(account=account)


def a_callback(order: Order, *, now: datetime) -> Callback:
    payment = factories.the_payment(order)
    return Callback.objects.create(
        account=payment.account, channel_callback_id=f"{CALLBACK_ID}-{order.pk}", kind="payment", order=order,
        payment=payment, event_type="TRANSACTION.SUCCESS", effect="paid", body='{"resource": "sealed by the channel"}',
        trace_id=TRACE_ID, received_at=now,
    )  # fmt: skip


def a_finished_refund(order: Order, *, now: datetime) -> Refund:
    refund = factories.a_submitting_refund(order=order, now=now)
    answer = Accepted(facts=factories.refund_said(refund, RefundState.SUCCEEDED))
    refunds.record_refund(claimed=refund, answer=answer, now=now + timedelta(seconds=5))
    return factories.again(refund)


def the_notification(order: Order) -> Notification:
    return Notification.objects.filter(object_no=order.pk).latest("pk")


def tell(notification: Notification, *, now: datetime, status_code: int) -> None:
    """One attempt that the merchant's server answered so."""
    claimed = Notification.claim(notification.pk, now=now)
    assert claimed is not None
    NotificationAttempt.record(
        claimed=claimed,
        attempted_at=now,
        duration_ms=83,
        status_code=status_code,
        response_excerpt=f"said {status_code}",
    )
    if status_code < 300:
        claimed.deliver(now=now)
    else:
        claimed.retry(at=now + timedelta(seconds=15))
