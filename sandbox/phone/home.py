"""The phone's home screen: scan a code, show one's own code to a cashier, see the latest orders."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sandbox import barcodes, clock, payer
from sandbox.alipay import phone as alipay
from sandbox.models import ALIPAY, CHANNELS, UNIONPAY, WECHATPAY, BarCode, PayOrder
from sandbox.pages import page
from sandbox.phone import sheets
from sandbox.phone.sheets import CannotPay, Sheet
from sandbox.unionpay import phone as unionpay
from sandbox.wechatpay import phone as wechatpay

LATEST = 20
GROUP = 4  # digits of a code that are read together
# Bars and gaps of a digit in interleaved 2 of 5: two of the five are wide.
_WIDE = ("11331", "31113", "13113", "33111", "11313", "31311", "13311", "11133", "31131", "13131")
_SCANNED: Mapping[str, Callable[[HttpRequest, str], HttpResponseBase]] = {
    wechatpay.CODE_START: wechatpay.scanned,
    alipay.CODE_START: alipay.scanned,
    unionpay.CODE_START: unionpay.scanned,
}
_OPEN_CODES: Mapping[str, Callable[[PayOrder], str]] = {
    WECHATPAY: wechatpay.open_code,
    ALIPAY: alipay.open_code,
    UNIONPAY: unionpay.open_code,
}


def home(request: HttpRequest) -> HttpResponseBase:
    rows = [_row(request, order) for order in PayOrder.objects.order_by("-pk")[:LATEST]]
    return page(request, "phone/home.html", {"orders": rows})


def scan(request: HttpRequest) -> HttpResponseBase:
    """GET: any code that a payer can photograph; its beginning says whose it is."""
    code = request.GET.get("code", "").strip()
    for start, scanned in _SCANNED.items():
        if code.startswith(start):
            return scanned(request, code)
    return sheets.show(request, channel="", find=_unknown_code)


def bridge(request: HttpRequest) -> HttpResponseBase:
    """GET: where a sheet that bridge.js has opened comes back to; it tells the merchant's page and is closed."""
    return page(request, "phone/bridge.html", {}, scripts="'self'")


def my_code(request: HttpRequest, channel: str) -> HttpResponseBase:
    """GET: this payer's code of one channel; POST: a fresh one. Each pays one order."""
    if channel not in CHANNELS:
        return HttpResponse(status=404)
    who, now = payer.payer_of(request), clock.now()
    if request.method == "POST":
        barcodes.show(channel=channel, payer=who, now=now)
        response: HttpResponse = HttpResponseRedirect(request.get_full_path())
    else:
        shown = barcodes.last(channel=channel, payer=who, now=now) or barcodes.show(channel=channel, payer=who, now=now)
        response = page(request, "phone/code.html", _code(shown))
    payer.remember(response, who)
    return response


def waiting(request: HttpRequest, order: int) -> HttpResponseBase:
    """GET: the sheet of a bar-code payment that wants the payer's password."""
    found = PayOrder.objects.filter(pk=order).first()

    def find() -> Sheet:
        if found is None or found.state != PayOrder.USERPAYING:
            raise CannotPay(_("There is no such payment."))
        return Sheet(order=found)

    return sheets.show(request, channel=found.channel if found else "", find=find)


def _unknown_code() -> Sheet:
    raise CannotPay(_("This code belongs to no channel that the sandbox knows."))


def _row(request: HttpRequest, order: PayOrder) -> dict[str, Any]:
    return sheets.described(request, order) | {"pk": order.pk, "code": open_code(order)}


def open_code(order: PayOrder) -> str:
    """The code of an order that still waits to be scanned, else ""."""
    return _OPEN_CODES[order.channel](order) if order.state == PayOrder.NOTPAY else ""


def _code(shown: BarCode) -> dict[str, Any]:
    groups = [shown.code[start : start + GROUP] for start in range(0, len(shown.code), GROUP)]
    stripes, width = _stripes(shown.code)
    return {"channel": shown.channel, "groups": groups, "stripes": stripes, "width": width, "used": shown.used_for}


def _stripes(code: str) -> tuple[list[tuple[int, int]], int]:
    """(x, width) of the black bars, and the width of all: interleaved 2 of 5, which a scanner can read."""
    digits = code if len(code) % 2 == 0 else f"0{code}"
    widths = [1, 1, 1, 1]
    for first, second in zip(digits[::2], digits[1::2], strict=True):
        for bar, gap in zip(_WIDE[int(first)], _WIDE[int(second)], strict=True):
            widths += [int(bar), int(gap)]
    widths += [3, 1, 1]
    starts = [sum(widths[:index]) for index in range(len(widths))]
    return [(starts[index], widths[index]) for index in range(0, len(widths), 2)], sum(widths)
