"""Orders, refunds and what was told about them: the lists, one order with everything, and the payer's decisions."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from sandbox import bills, clock, ledger, notices
from sandbox.alipay import trades
from sandbox.console.access import HOME, back, render
from sandbox.models import ALIPAY, Attempt, Call, Notification, PayOrder, Prepay, Refund
from sandbox.phone import home

SHOWN = 100
Act = Callable[[PayOrder], object]


def listing(request: HttpRequest) -> HttpResponseBase:
    channel, wanted = request.GET.get("channel", ""), request.GET.get("q", "").strip()
    found = PayOrder.objects.order_by("-pk")
    if channel:
        found = found.filter(channel=channel)
    if wanted:
        found = found.filter(Q(out_trade_no__icontains=wanted) | Q(transaction_id=wanted))
    rows = [_row(order) for order in found[:SHOWN]]
    return render(request, "console/orders.html", {"tab": "orders", "rows": rows, "channel": channel, "q": wanted})


def show(request: HttpRequest, order: int) -> HttpResponseBase:
    found = PayOrder.objects.filter(pk=order).first()
    if found is None:
        return HttpResponse(status=404)
    found = ledger.current(order_pk=found.pk, now=clock.now())
    numbers = [found.out_trade_no, *Refund.objects.filter(order=found).values_list("out_refund_no", flat=True)]
    context = {
        "tab": "orders",
        **_row(found),
        "code": home.open_code(found),
        "tokens": Prepay.objects.filter(order=found).order_by("pk"),
        "refunds": [_refund(refund) for refund in Refund.objects.filter(order=found).order_by("-pk")],
        "notifications": told(Notification.objects.filter(order=found).order_by("-pk")[:SHOWN]),
        "calls": Call.objects.filter(channel=found.channel, number__in=numbers).order_by("-pk")[:SHOWN],
    }
    return render(request, "console/order.html", context)


def act(request: HttpRequest, order: int, name: str) -> HttpResponseBase:
    """One of the payer's decisions. What cannot happen any more changes nothing."""
    found, do = PayOrder.objects.filter(pk=order).first(), _ACTS.get(name)
    if found is None or do is None:
        return HttpResponse(status=404)
    try:
        do(found)
    except ledger.NotPayable:
        return render(request, "console/too_late.html", {"tab": "orders", **_row(found)}, status=409)
    return back(request, f"{HOME}/{found.pk}")


def settle(request: HttpRequest, refund: int, status: str) -> HttpResponseBase:
    found = Refund.objects.select_related("order").filter(pk=refund).first()
    if found is None or status not in {Refund.SUCCESS, Refund.ABNORMAL, Refund.CLOSED}:
        return HttpResponse(status=404)
    try:
        ledger.settle(refund_pk=found.pk, status=status, now=clock.now())
    except ledger.NotSettleable:
        return render(request, "console/too_late.html", {"tab": "orders", **_row(found.order)}, status=409)
    return back(request, f"{HOME}/{found.order.pk}")


def notifications(request: HttpRequest) -> HttpResponseBase:
    state = request.GET.get("state", "")
    found = Notification.objects.order_by("-pk")
    if state:
        found = found.filter(state=state)
    context = {"tab": "notifications", "notifications": told(found[:SHOWN]), "state": state}
    return render(request, "console/notifications.html", context)


def resend(request: HttpRequest, notification: int) -> HttpResponseBase:
    found = Notification.objects.filter(pk=notification).first()
    if found is None:
        return HttpResponse(status=404)
    if found.state != Notification.SENDING:
        notices.resend(found, now=clock.now())
    return back(request, "/_sandbox/ui/notifications")


def told(found: Any) -> list[dict[str, Any]]:
    """Notifications with their attempts."""
    return [
        {"notification": row, "attempts": Attempt.objects.filter(notification=row).order_by("pk")}
        for row in found.select_related("order")
    ]


def _row(order: PayOrder) -> dict[str, Any]:
    return {"order": order, "yuan": bills.yuan(order.total_fen), "refunded": bills.yuan(order.refunded_fen())}


def _refund(refund: Refund) -> dict[str, Any]:
    may_settle = refund.status in {Refund.PROCESSING, Refund.ABNORMAL}
    return {"refund": refund, "yuan": bills.yuan(refund.refund_fen), "may_settle": may_settle}


def _scan(order: PayOrder) -> None:
    if order.channel == ALIPAY and order.is_unpaid and not order.is_known:
        trades.scanned(order, now=clock.now())


_ACTS: Mapping[str, Act] = {
    "pay": lambda order: ledger.pay(order_pk=order.pk, openid=ledger.ANYBODY, now=clock.now()),
    "pay-closed": lambda order: ledger.pay(order_pk=order.pk, openid=ledger.ANYBODY, now=clock.now(), even_closed=True),
    "refuse": lambda order: ledger.refuse(order_pk=order.pk, now=clock.now()),
    "expire": lambda order: ledger.expire(order_pk=order.pk, now=clock.now()),
    "scan": _scan,
}
