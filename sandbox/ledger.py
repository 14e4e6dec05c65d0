"""What happens to orders and refunds, whoever asks: the APIs, the payer's phone, the control API, the passing of time.

Every function here is one short transaction and takes the time as an argument. Notifications are owed in the same
transaction that changes the state.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from sandbox import options, runtime
from sandbox.channels import CHANNELS
from sandbox.models import PayOrder, Refund
from sandbox.store import writing

PREPAY_LIFETIME = timedelta(hours=2)
BARCODE_LIFETIME = timedelta(seconds=45)  # then the platform itself reverses what the payer has not confirmed
ANYBODY = "oSandboxPayer"


class NotPayable(Exception):
    """The order cannot be paid now; the argument is its state."""


class NotSettleable(Exception):
    """The refund is not in PROCESSING; the argument is its status."""


def find_order(*, channel: str, mchid: str, **named: str) -> PayOrder | None:
    return PayOrder.objects.filter(channel=channel, mchid=mchid, **named).first()


def pay(*, order_pk: int, openid: str, now: datetime, even_closed: bool = False) -> PayOrder:
    """The payer has paid. Repeating changes nothing. Raises NotPayable unless the order waits for the payer.

    `even_closed` is the race that the real platform can lose: the payment was under way when the order was closed.
    """
    with writing():
        order = PayOrder.objects.get(pk=order_pk)
        if order.is_paid:
            PayOrder.objects.filter(pk=order_pk).update(pay_at=None)
            return order
        refresh(order, now=now)
        if not order.is_unpaid and not (order.state == PayOrder.CLOSED and even_closed):
            raise NotPayable(order.state)
        order.state, order.success_time, order.pay_at, order.ended_at = PayOrder.SUCCESS, now, None, None
        order.openid, order.is_known = order.openid or openid, True
        order.transaction_id = order.transaction_id or CHANNELS[order.channel].trade_no(order, now)
        order.save()
        CHANNELS[order.channel].owe_payment(order, now=now)
    runtime.wake.set()
    return order


def refuse(*, order_pk: int, now: datetime) -> PayOrder:
    """The payer says no. A bar-code payment has failed by that; any other order goes on waiting."""
    with writing():
        order = PayOrder.objects.get(pk=order_pk)
        refresh(order, now=now)
        if order.state == PayOrder.USERPAYING:
            _end(order, PayOrder.PAYERROR, now=now)
        return order


def close(*, order: PayOrder, now: datetime, pays_after: bool = False) -> None:
    """Close an unpaid order; `pays_after` lets a payment come in all the same, a moment later."""
    _end(order, PayOrder.CLOSED, now=now)
    if pays_after:
        order.pay_at = now + timedelta(seconds=options.compressed(options.get("pay_s")))
        order.save(update_fields=["pay_at"])
    runtime.wake.set()


def reverse(*, order: PayOrder, now: datetime) -> None:
    """Undo a bar-code payment: an unpaid one ends, the money of a paid one goes back at once."""
    _end(order, PayOrder.REVOKED, now=now)


def expire(*, order_pk: int, now: datetime) -> PayOrder:
    """End an unpaid order as if its time were over."""
    with writing():
        order = PayOrder.objects.get(pk=order_pk)
        if order.is_unpaid:
            order.expires_at = now
            order.save(update_fields=["expires_at"])
        return refresh(order, now=now)


def asked(order: PayOrder, *, now: datetime) -> PayOrder:
    """A query looks at it: the payer of a bar-code payment decides after as many of them as a rule has said."""
    refresh(order, now=now)
    if order.state != PayOrder.USERPAYING or not order.asks_end:
        return order
    if order.asks_left > 0:
        order.asks_left -= 1
        order.save(update_fields=["asks_left"])
        return order
    if order.asks_end == PayOrder.SUCCESS:
        return pay(order_pk=order.pk, openid=ANYBODY, now=now)
    _end(order, order.asks_end, now=now)
    return order


def pay_due(*, now: datetime) -> None:
    """Pay what a test value or a rule wanted paid by now."""
    due = PayOrder.objects.filter(pay_at__lte=now).values_list("pk", flat=True)
    for pk in list(due):
        with suppress(PayOrder.DoesNotExist):  # forgotten meanwhile by a reset
            try:
                pay(order_pk=pk, openid=ANYBODY, now=now, even_closed=True)
            except NotPayable:
                PayOrder.objects.filter(pk=pk).update(pay_at=None)


def expire_due(*, now: datetime) -> None:
    """End what nobody paid in time."""
    due = PayOrder.objects.filter(state__in=PayOrder.UNPAID, expires_at__lte=now)
    if due.exists():
        with writing():
            for order in due:
                refresh(order, now=now)


def settle(*, refund_pk: int, status: str, now: datetime) -> Refund:
    """PROCESSING becomes `status`, and the merchant is told. Raises NotSettleable.

    An ABNORMAL refund can still succeed or close: the merchant has named another account.
    """
    with writing():
        refund = Refund.objects.select_related("order").get(pk=refund_pk)
        if refund.status not in {Refund.PROCESSING, Refund.ABNORMAL} or refund.status == status:
            raise NotSettleable(refund.status)
        refund.status, refund.settle_at = status, None
        refund.success_time = now if status == Refund.SUCCESS else None
        refund.save()
        CHANNELS[refund.channel].owe_refund(refund, now=now)
    runtime.wake.set()
    return refund


def settle_due(*, now: datetime) -> None:
    due = Refund.objects.filter(settle_at__lte=now).values_list("pk", "settle_to")
    for pk, status in list(due):
        with suppress(Refund.DoesNotExist, NotSettleable):  # forgotten or decided meanwhile by the control API
            settle(refund_pk=pk, status=status, now=now)


def current(*, order_pk: int, now: datetime) -> PayOrder:
    """The order as it is now: ended, if its time is over."""
    with writing():
        return refresh(PayOrder.objects.get(pk=order_pk), now=now)


def refresh(order: PayOrder, *, now: datetime) -> PayOrder:
    """End it if its time is over. Inside the transaction of the caller that has read it."""
    if order.is_unpaid and order.expires_at <= now:
        _end(order, PayOrder.REVOKED if order.state == PayOrder.USERPAYING else PayOrder.CLOSED, now=now)
    return order


def _end(order: PayOrder, state: str, *, now: datetime) -> None:
    order.state, order.pay_at, order.ended_at = state, None, now
    order.save()
    CHANNELS[order.channel].owe_end(order, now=now)
