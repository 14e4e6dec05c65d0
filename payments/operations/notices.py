"""What the merchant is told: owed in the transaction of the state that it tells."""

from datetime import UTC, datetime
from typing import Any

from openplatform.notifications import owe
from payments.models import Order, Payment, Refund
from payments.money import yuan_text
from payments.states import PaymentStatus


def order_data(order: Order) -> dict[str, Any]:
    """An order as answers and notifications show it. Money in both forms, ids and times as text."""
    payment = _shown_payment(order)
    return {
        "order_no": str(order.pk),
        "out_trade_no": order.out_trade_no,
        "status": order.status,
        "amount": yuan_text(order.amount_fen),
        "amount_fen": order.amount_fen,
        "refunded": yuan_text(order.refunded_fen),
        "refunded_fen": order.refunded_fen,
        "currency": order.currency,
        "subject": order.subject,
        "channel": order.channel,
        "method": order.method,
        "channel_trade_no": payment.channel_trade_no if payment else None,
        "failure_code": order.failure_code or None,
        "metadata": order.metadata,
        "created_at": moment(order.created_at),
        "expires_at": moment(order.expires_at),
        "paid_at": moment(payment.paid_at) if payment else None,
        "closed_at": moment(order.closed_at),
        "version": order.version,
    }


def _shown_payment(order: Order) -> Payment | None:
    """The try that paid the order, or else the newest one."""
    tries = list(order.payments.order_by("-payment_no"))
    paid = (one for one in tries if one.status == PaymentStatus.SUCCEEDED and not one.is_surplus)
    return next(paid, tries[0] if tries else None)


def refund_data(refund: Refund) -> dict[str, Any]:
    """A refund as answers and notifications show it."""
    order = refund.order
    return {
        "refund_no": str(refund.pk),
        "out_refund_no": refund.out_refund_no,
        "order_no": str(order.pk),
        "out_trade_no": order.out_trade_no,
        "kind": refund.kind,
        "status": refund.status,
        "amount": yuan_text(refund.amount_fen),
        "amount_fen": refund.amount_fen,
        "currency": order.currency,
        "reason": refund.reason,
        "channel_refund_no": refund.channel_refund_no,
        "failure_code": refund.failure_code or None,
        "created_at": moment(refund.created_at),
        "succeeded_at": moment(refund.succeeded_at),
        "version": refund.version,
    }


def owe_order_notification(order: Order, *, event_type: str, now: datetime) -> None:
    owe(
        app=order.app, event_type=event_type, object_no=order.pk, object_version=order.version,
        data=order_data(order), notify_url=order.notify_url, now=now, traceparent=order.traceparent,
    )  # fmt: skip


def owe_refund_notification(refund: Refund, *, event_type: str, now: datetime) -> None:
    owe(
        app=refund.order.app, event_type=event_type, object_no=refund.pk, object_version=refund.version,
        data=refund_data(refund), notify_url=refund.notify_url, now=now, traceparent=refund.traceparent,
    )  # fmt: skip


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
