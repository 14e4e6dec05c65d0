"""What happens to orders and refunds, whoever asks: the API, the payer's phone, the control API, the passing of time.

Every function here is one short transaction and takes the time as an argument. Notifications are owed in the same
transaction that changes the state.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from django.db.models import Sum

from sandbox import options, runtime
from sandbox.clock import BEIJING
from sandbox.models import PayOrder, Refund
from sandbox.store import writing
from sandbox.wechatpay import notifications

PREPAY_LIFETIME = timedelta(hours=2)


class NotPayable(Exception):
    """The order cannot be paid now; the argument is its state."""


class NotSettleable(Exception):
    """The refund is not in PROCESSING; the argument is its status."""


def find_order(*, mchid: str, out_trade_no: str) -> PayOrder | None:
    return PayOrder.objects.filter(mchid=mchid, out_trade_no=out_trade_no).first()


def pay(*, order_pk: int, openid: str, now: datetime, even_closed: bool = False) -> PayOrder:
    """The payer has paid. Repeating changes nothing. Raises NotPayable unless the order waits for the payer.

    `even_closed` is the race that the real platform can lose: the payment was under way when the order was closed.
    """
    with writing():
        order = PayOrder.objects.get(pk=order_pk)
        if order.state in {PayOrder.SUCCESS, PayOrder.REFUND}:
            PayOrder.objects.filter(pk=order_pk).update(pay_at=None)
            return order
        _expire(order, now=now)
        if order.state == PayOrder.CLOSED and not even_closed:
            raise NotPayable(order.state)
        order.state, order.success_time, order.pay_at = PayOrder.SUCCESS, now, None
        order.openid = order.openid or openid
        order.transaction_id = f"4200000001{now.astimezone(BEIJING):%Y%m%d}{order.pk:010d}"
        order.save()
        notifications.owe_payment(order, now=now)
    runtime.wake.set()
    return order


def close(*, order: PayOrder, now: datetime, pays_after: bool = False) -> None:
    """Close an unpaid order; `pays_after` lets a payment come in all the same, a moment later."""
    order.state = PayOrder.CLOSED
    order.pay_at = now + timedelta(seconds=options.compressed(options.get("pay_s"))) if pays_after else None
    order.save()
    runtime.wake.set()


def pay_due(*, now: datetime) -> None:
    """Pay what a test value or a rule wanted paid by now."""
    due = PayOrder.objects.filter(pay_at__lte=now).values_list("pk", flat=True)
    for pk in list(due):
        with suppress(PayOrder.DoesNotExist):  # forgotten meanwhile by a reset
            pay(order_pk=pk, openid="oSandboxPayer", now=now, even_closed=True)


def expire_due(*, now: datetime) -> None:
    """Close what nobody paid in time."""
    due = PayOrder.objects.filter(state=PayOrder.NOTPAY, expires_at__lte=now)
    if due.exists():
        with writing():
            due.update(state=PayOrder.CLOSED)


def refunded_fen(order: PayOrder) -> int:
    """The sum of all refunds that were not given up, done or under way."""
    total = Refund.objects.filter(order=order).exclude(status=Refund.CLOSED).aggregate(sum=Sum("refund_fen"))["sum"]
    return int(total or 0)


def settle(*, refund_pk: int, status: str, now: datetime) -> Refund:
    """PROCESSING becomes `status`, and the merchant is told. Raises NotSettleable."""
    with writing():
        refund = Refund.objects.select_related("order").get(pk=refund_pk)
        if refund.status != Refund.PROCESSING:
            raise NotSettleable(refund.status)
        refund.status, refund.settle_at = status, None
        refund.success_time = now if status == Refund.SUCCESS else None
        refund.save()
        notifications.owe_refund(refund, now=now)
    runtime.wake.set()
    return refund


def settle_due(*, now: datetime) -> None:
    due = Refund.objects.filter(status=Refund.PROCESSING, settle_at__lte=now).values_list("pk", "settle_to")
    for pk, status in list(due):
        with suppress(Refund.DoesNotExist, NotSettleable):  # forgotten or decided meanwhile by the control API
            settle(refund_pk=pk, status=status, now=now)


def current(*, order_pk: int, now: datetime) -> PayOrder:
    """The order as it is now: closed, if its time is over."""
    with writing():
        return refresh(PayOrder.objects.get(pk=order_pk), now=now)


def refresh(order: PayOrder, *, now: datetime) -> PayOrder:
    """Close it if its time is over. Inside the transaction of the caller that has read it."""
    _expire(order, now=now)
    return order


def _expire(order: PayOrder, *, now: datetime) -> None:
    if order.state == PayOrder.NOTPAY and order.expires_at <= now:
        order.state = PayOrder.CLOSED
        order.save(update_fields=["state"])
