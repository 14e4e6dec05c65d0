"""What the merchant is told: owed in the transaction of the state that it tells."""

from datetime import UTC, datetime
from typing import Any

from openplatform.models.notification import NotificationShape
from openplatform.notifications import owe
from payments.models import Door, Order, Refund
from payments.money import yuan_text
from payments.operations import wechatpay_shapes


def order_data(order: Order) -> dict[str, Any]:
    """An order as answers and notifications show it. Money in both forms, ids and times as text."""
    payment = order.shown_payment()
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
    """Nothing for an event that the door of the order has no word for."""
    told = _told(order, order, event_type=event_type)
    if told is None:
        return
    data, shape = told
    owe(
        app=order.app, event_type=event_type, object_no=order.pk, object_version=order.version, data=data, shape=shape,
        notify_url=order.notify_url, now=now, traceparent=order.traceparent,
    )  # fmt: skip


def owe_late_decision(order: Order, *, now: datetime) -> None:
    """A person has kept late money. Who was told of it when it came has heard all there is: only the door whose word
    for "paid" was held back is told now.
    """
    if order.door == Door.WECHATPAY:
        owe_order_notification(order, event_type="order.succeeded_late", now=now)


def owe_refund_notification(refund: Refund, *, event_type: str, now: datetime) -> None:
    told = _told(refund, refund.order, event_type=event_type)
    if told is None:
        return
    data, shape = told
    owe(
        app=refund.order.app, event_type=event_type, object_no=refund.pk, object_version=refund.version, data=data,
        shape=shape, notify_url=refund.notify_url, now=now, traceparent=refund.traceparent,
    )  # fmt: skip


def _told(row: Order | Refund, order: Order, *, event_type: str) -> tuple[dict[str, Any], NotificationShape] | None:
    """What is said of `row` in the words of the door that its order came in by."""
    if order.door == Door.WECHATPAY:
        told = wechatpay_shapes.told(row, event_type=event_type)
        return (told, NotificationShape.WECHATPAY) if told else None
    data = order_data(row) if isinstance(row, Order) else refund_data(row)
    return data, NotificationShape.NATIVE


def moment(at: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
