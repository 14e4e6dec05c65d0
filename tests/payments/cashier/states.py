"""An order in each state that a payer may meet, at the real time: the pages read the clock."""

from datetime import datetime, timedelta

from django.utils import timezone

from payments.channels.base import Accepted, Prepay, Rejected, Unknown
from payments.models import Order, Payment
from payments.operations import orders, payments
from tests import factories
from tests.factories import again, the_payment

LIFETIME = timedelta(hours=2)


def order_in(name: str, **changes: object) -> Order:
    """An order whose page begins with the look `name`."""
    return _MAKERS[name](timezone.now(), **changes)


def accept(order: Order) -> Order:
    """The channel takes the order: it can be paid now."""
    prepay = {"prepay_id": "wx-prepay-1"} if order.method == "jsapi" else {"code_url": "weixin://wxpay/bizpayurl?pr=1"}
    answer = Accepted(facts=Prepay(values=prepay, valid_for=LIFETIME))
    payments.record_create(claimed=the_payment(order), answer=answer, now=timezone.now())
    return again(order)


def pay(order: Order) -> Order:
    """The channel says, in a verified answer, that the money is there."""
    now = timezone.now()
    facts = factories.paid(order, paid_at=now)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=now)
    return again(order)


def _preparing(now: datetime, **changes: object) -> Order:
    return factories.a_submitting_order(now=now, **({"expires_at": now + LIFETIME} | changes))


def _ready(now: datetime, **changes: object) -> Order:
    return accept(_preparing(now, **changes))


def _scan(now: datetime, **changes: object) -> Order:
    return _ready(now, method="native", payer_id="", **changes)


def _stale(now: datetime, **changes: object) -> Order:
    """Still open, but what the channel gave for the page is too old."""
    order = _ready(now, **changes)
    Payment.objects.filter(order=order).update(prepay_expires_at=now - timedelta(seconds=1))
    return order


def _unknown(now: datetime, **changes: object) -> Order:
    order = _preparing(now, **changes)
    payments.record_create(claimed=the_payment(order), answer=Unknown(reason="deadline"), now=now)
    return again(order)


def _failed(now: datetime, **changes: object) -> Order:
    order = _preparing(now, **changes)
    payments.record_create(claimed=the_payment(order), answer=Rejected(code="NO_AUTH"), is_unknown_there=True, now=now)
    return again(order)


def _closing(now: datetime, **changes: object) -> Order:
    order = _ready(now, **changes)
    return orders.close_order(app=order.app, order_no=order.pk, now=now)


def _closed(now: datetime, **changes: object) -> Order:
    return factories.a_closed_order(now=now, **({"expires_at": now + LIFETIME} | changes))


def _expired(now: datetime, **changes: object) -> Order:
    before = now - LIFETIME
    order = factories.a_paying_order(now=before, **({"expires_at": now - timedelta(minutes=1)} | changes))
    payments.record_expiry(claimed=factories.the_payment(order), now=now)
    facts = factories.paid(order, state=factories.TradeState.CLOSED, channel_trade_no="", amount_fen=0, paid_at=None)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=now)
    return again(order)


def _paid(now: datetime, **changes: object) -> Order:
    return pay(_ready(now, **changes))


def _late(now: datetime, **changes: object) -> Order:
    return pay(_closed(now, **changes))


_MAKERS = {
    "preparing": _preparing, "ready": _ready, "scan": _scan, "stale": _stale, "unknown": _unknown, "failed": _failed,
    "closing": _closing, "closed": _closed, "expired": _expired, "paid": _paid, "late": _late,
}  # fmt: skip
