"""The page of one order: what it is, what the server knows of it, and the way to pay it."""

from dataclasses import asdict, dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

import segno
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from openplatform.limits import per_address
from payments import queries
from payments.cashier import pages, wording
from payments.cashier.wording import Look
from payments.channels.registry import CHANNELS
from payments.errors import NotFound
from payments.models import Order
from payments.money import yuan_text
from payments.operations.cashier import CashierState, cashier_state
from payments.return_urls import ReturnUrlRefused, shown_host
from payments.states import OrderStatus

DOOR = "cashier"  # what rate rules call these pages
QR_MODULE_PX = 8
QR_QUIET_MODULES = 4  # the standard's margin; scanners need it

LOOKS: dict[OrderStatus, Look] = {
    OrderStatus.CREATED: Look.PREPARING,
    OrderStatus.SUBMITTING: Look.PREPARING,
    OrderStatus.UNKNOWN: Look.UNKNOWN,
    OrderStatus.CLOSING: Look.CLOSING,
    OrderStatus.SUCCEEDED: Look.PAID,
    OrderStatus.SUCCEEDED_LATE: Look.LATE,
    OrderStatus.FAILED: Look.FAILED,
    OrderStatus.CLOSED: Look.CLOSED,
}
OVER = frozenset({Look.STALE, Look.FAILED, Look.CLOSED, Look.EXPIRED})


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """The merchant's own page. The host is shown, so that the payer sees where the link leads."""

    url: str
    host: str


@pages.page_view
@require_safe
@per_address(DOOR)
def show(request: HttpRequest, cashier_token: str) -> HttpResponse:
    order, known, now = _known(cashier_token)
    look = look_of(order, known, now=now)
    context = {
        "order": order, "yuan": yuan_text(order.amount_fen), "merchant": order.app.merchant.name,
        "reference": order.order_no if order.pay_code_id else order.out_trade_no,
        "refunded": yuan_text(order.refunded_fen) if order.refunded_fen else "", "look": look,
        "words": wording.named(wording.ORDER_WORDS[look], channel=order.channel),
        "way_back": way_back(order.return_url), "again_url": _again_url(order),
        "is_over": look in OVER, "is_sandbox": known.is_sandbox, "config": _config(order, known, now=now),
    }  # fmt: skip
    return pages.show_page(request, "cashier/order.html", context)


@pages.json_view
@require_safe
@per_address(DOOR)
def state(_request: HttpRequest, cashier_token: str) -> HttpResponse:
    """For polling, and for fresh parameters at the moment of paying: their signature is made for this answer."""
    order, known, now = _known(cashier_token)
    return JsonResponse(_present(order, known, now=now) | {"pay": known.pay, "sandbox_url": known.sandbox_url})


@pages.page_view
@require_safe
@per_address(DOOR)
def qr_code(_request: HttpRequest, cashier_token: str) -> HttpResponse:
    """What the payer scans, as a picture; 404 unless the order is one to be scanned and can be paid now."""
    _order, known, _now = _known(cashier_token)
    code_url = (known.pay or {}).get("code_url")
    if code_url is None:
        raise NotFound
    picture = BytesIO()
    segno.make_qr(code_url, error="m").save(
        picture, kind="svg", scale=QR_MODULE_PX, border=QR_QUIET_MODULES, dark="#000", light="#fff", xmldecl=False,
        svgclass=None, lineclass=None,
    )  # fmt: skip
    return HttpResponse(picture.getvalue(), content_type="image/svg+xml")


def look_of(order: Order, known: CashierState, *, now: datetime) -> Look:
    """What the page shows for what the server knows."""
    status = OrderStatus(order.status)
    if status == OrderStatus.CLOSED and order.closed_at is not None and order.closed_at >= order.expires_at:
        return Look.EXPIRED
    if status != OrderStatus.PAYING:
        return LOOKS[status]
    if now >= order.expires_at:
        return Look.CLOSING  # the sweep has not come by yet
    if known.pay is None:
        return Look.STALE
    return Look.SCAN if "code_url" in known.pay else Look.READY


def way_back(return_url: str) -> WayBack | None:
    """A link to the merchant's page, or None when it is not a plain web address."""
    try:
        return WayBack(url=return_url, host=shown_host(return_url))
    except ReturnUrlRefused:
        return None


def _known(cashier_token: str) -> tuple[Order, CashierState, datetime]:
    """Raises NotFound."""
    order, now = queries.order_of_cashier(cashier_token=cashier_token), timezone.now()
    return order, cashier_state(order, language=pages.page_language(), now=now), now


def _present(order: Order, known: CashierState, *, now: datetime) -> dict[str, Any]:
    paid_at = timezone.localtime(order.paid_at).strftime("%Y-%m-%d %H:%M") if order.paid_at else ""
    look = look_of(order, known, now=now)
    return {"status": known.status, "look": look, "may_change": known.may_change, "paid_at": paid_at}


def _config(order: Order, known: CashierState, *, now: datetime) -> dict[str, Any]:
    """What the page's script is told. Nothing signed: it asks again when the payer taps."""
    token = order.cashier_token
    return {
        "state_url": reverse("cashier-state", args=[token]), "qr_url": reverse("cashier-qr", args=[token]),
        "words": wording.order_words(order.channel), "wallet": _wallet(order.channel),
        "known": _present(order, known, now=now), "is_sandbox": known.is_sandbox,
        "no_network": str(wording.WAITING_FOR_NETWORK),
    }  # fmt: skip


def _wallet(channel: str) -> dict[str, Any]:
    """How the page knows the payer's app, and opens its sheet."""
    wallet = CHANNELS[channel].wallet
    return {"agent": wallet.agent, "bridge": asdict(wallet.bridge) if wallet.bridge else None}


def _again_url(order: Order) -> str:
    """Where a payer who typed the amount can type it again."""
    return reverse("cashier-pay", args=[order.pay_code_id]) if order.pay_code_id else ""
