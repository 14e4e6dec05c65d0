"""Money that goes back without the merchant's asking: a payment too many, and a late one that nobody wants.

The refund is written in the transaction that learns of the money, under a number that follows from the payment: told
twice, it is the same refund. Its colons are in no number that a merchant may choose.
"""

import hashlib
from datetime import datetime

from openplatform.hints import hint
from payments.channels.registry import queue_of
from payments.models import Order, Payment, Refund, RefundWish
from payments.states import RefundEvent


def return_surplus(payment: Payment, *, order: Order, now: datetime) -> Refund:
    """Give back a second payment of an order, whole. It never was the order's money and does not count there."""
    return _give_back(payment, order=order, kind=Refund.Kind.SURPLUS, reason="paid twice", now=now)


def return_late(payment: Payment, *, order: Order, now: datetime) -> Refund:
    """Give back a payment that came too late, whole: what a merchant's own refund of everything would do.

    Raises RefundExceedsPaid when a part of it was refunded since.
    """
    order.reserve_refund(amount_fen=payment.amount_fen)
    return _give_back(payment, order=order, kind=Refund.Kind.LATE, reason="paid too late", now=now)


def hint_refund(refund: Refund) -> None:
    """Wake a worker of the channel's own queue; the sweep finds the row anyway."""
    hint("payments.drive_refund", queue=queue_of(refund.payment.channel), refund_no=refund.pk)


def _give_back(payment: Payment, *, order: Order, kind: Refund.Kind, reason: str, now: datetime) -> Refund:
    number = f"{kind}:{payment.pk}"
    wish = RefundWish(
        out_refund_no=number, amount_fen=payment.amount_fen, reason=reason, notify_url="",
        digest=hashlib.sha256(number.encode()).hexdigest(),
    )  # fmt: skip
    refund = Refund.ask(order=order, payment=payment, wish=wish, now=now, kind=kind)
    refund.move(RefundEvent.SUBMITTED, now=now, next_check_at=now)
    hint_refund(refund)
    return refund
