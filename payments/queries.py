"""Every read that spans rows. Nothing here writes."""

import time
from collections.abc import Callable, Container
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import F, Model, Q, QuerySet

from openplatform.models import App
from openplatform.models.app import AppStatus
from openplatform.models.merchant import MerchantStatus
from payments.errors import NotFound
from payments.models import Order, PayCode, Payment, Refund
from payments.models.driven import leased
from payments.states import OrderStatus, RefundStatus

HINT_AGAIN_AFTER = timedelta(seconds=30)
POLL_FIRST_S, POLL_LAST_S = 0.03, 0.25

Row = TypeVar("Row", Order, Refund)
AnyRow = TypeVar("AnyRow", bound=Model)

# What a caller who waits is waiting to see the end of.
ORDER_IN_FLIGHT = frozenset({OrderStatus.SUBMITTING})
ORDER_ENDING = frozenset({OrderStatus.CLOSING})
REFUND_IN_FLIGHT = frozenset({RefundStatus.SUBMITTING})


def own_order(*, app: App, order_no: int) -> Order:
    """The app's own order. Raises NotFound, also for another app's."""
    return _first(Order.objects.filter(app=app, pk=order_no).select_related("app"))


def own_order_by_out_trade_no(*, app: App, out_trade_no: str) -> Order:
    return _first(Order.objects.filter(app=app, out_trade_no=out_trade_no).select_related("app"))


def own_order_at_channel(*, app: App, channel: str, out_trade_no: str = "", channel_trade_no: str = "") -> Order:
    """The app's own order at `channel`, named by the merchant's number, by the channel's, or by both.

    The number of a payment too many names nothing: a refund of it would take the money of the one that counts.
    """
    rows = Order.objects.filter(app=app, channel=channel).select_related("app")
    if out_trade_no:
        rows = rows.filter(out_trade_no=out_trade_no)
    if channel_trade_no:
        # With the account, which the index on the channel's numbers begins with.
        rows = rows.filter(
            payments__account__merchant_id=app.merchant_id, payments__channel_trade_no=channel_trade_no,
            payments__is_surplus=False,
        )  # fmt: skip
    return _first(rows)


def own_refund(*, app: App, refund_no: int) -> Refund:
    return _first(Refund.objects.filter(app=app, pk=refund_no).select_related("order"))


def own_refund_by_out_refund_no(*, app: App, out_refund_no: str) -> Refund:
    return _first(Refund.objects.filter(app=app, out_refund_no=out_refund_no).select_related("order"))


def order_of_cashier(*, cashier_token: str) -> Order:
    """The order behind a payer's link. The token is the right to see and to pay it, nothing more."""
    return _first(Order.objects.filter(cashier_token=cashier_token).select_related("app__merchant"))


def active_pay_code(*, token: str) -> PayCode:
    codes = PayCode.objects.filter(
        token=token, is_active=True, app__status=AppStatus.ACTIVE, app__merchant__status=MerchantStatus.ACTIVE
    )
    return _first(codes.select_related("app__merchant"))


def visible_payment(order: Order) -> Payment | None:
    """The try that the payer sees: the newest one."""
    return order.payments.select_related("account").order_by("-payment_no").first()


def calling_app(*, app_id: int) -> App:
    """The app that signed the request."""
    return App.objects.select_related("merchant").get(pk=app_id)


def order_no_of(*, app: App, order_no: str = "", out_trade_no: str = "") -> int:
    """Our number of the app's own order, named by either number. Raises NotFound."""
    named = Q(pk=int(order_no)) if order_no else Q(out_trade_no=out_trade_no)
    number = Order.objects.filter(named, app=app).values_list("pk", flat=True).first()
    if number is None:
        raise NotFound
    return number


def wait_for_order(order: Order, *, in_states: frozenset[OrderStatus], wait_s: float) -> Order:
    """The order once its status has left `in_states`, or as it is after `wait_s` seconds."""
    return _wait(lambda: Order.objects.select_related("app").get(pk=order.pk), in_states=in_states, wait_s=wait_s)


def wait_for_refund(refund: Refund, *, in_states: frozenset[RefundStatus], wait_s: float) -> Refund:
    """The refund once its status has left `in_states`, or as it is after `wait_s` seconds."""
    return _wait(lambda: Refund.objects.select_related("order").get(pk=refund.pk), in_states=in_states, wait_s=wait_s)


def _wait(read: Callable[[], Row], *, in_states: Container[str], wait_s: float) -> Row:
    ends_at, pause_s = time.monotonic() + wait_s, POLL_FIRST_S
    row = read()
    while row.status in in_states and (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(pause_s, left))
        pause_s = min(pause_s * 1.5, POLL_LAST_S)
        row = read()
    return row


def due_payments(*, now: datetime, lease: timedelta, limit: int) -> list[Payment]:
    """Open payments that somebody should ask about, the longest overdue first."""
    return list(_due(Payment.objects.all(), now=now, lease=lease).only("payment_no", "channel")[:limit])


def due_rechecks(*, now: datetime, limit: int) -> list[Payment]:
    """Ended payments that are asked about once more, the longest overdue first."""
    due = Payment.objects.filter(recheck_at__lte=now).order_by("recheck_at")
    return list(due.only("payment_no", "channel")[:limit])


def due_refunds(*, now: datetime, lease: timedelta, limit: int) -> list[Refund]:
    """Open refunds that somebody should ask about, the longest overdue first."""
    return list(_due(Refund.objects.select_related("payment"), now=now, lease=lease)[:limit])


def _due(rows: QuerySet[AnyRow], *, now: datetime, lease: timedelta) -> QuerySet[AnyRow]:
    return rows.filter(
        Q(next_check_at__lte=now),
        Q(lease_until__isnull=True) | ~leased(now=now, lease=lease),
        # A worker was woken for it a moment ago: give the queue time, but not for ever, for it may have lost the task.
        # A hint from the future was written by a wrong clock.
        Q(hinted_at__isnull=True)
        | Q(hinted_at__lte=now - HINT_AGAIN_AFTER)
        | Q(hinted_at__gt=now)
        | Q(hinted_at__lt=F("next_check_at")),
    ).order_by("next_check_at")


def _first(rows: QuerySet[AnyRow]) -> AnyRow:
    row = rows.first()
    if row is None:
        raise NotFound
    return row
