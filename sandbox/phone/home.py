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
BARS = 95
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
    return sheets.described(request, order) | {"pk": order.pk, "code": _open_code(order)}


def _open_code(order: PayOrder) -> str:
    """The code of an order that still waits to be scanned, else ""."""
    return _OPEN_CODES[order.channel](order) if order.state == PayOrder.NOTPAY else ""


def _code(shown: BarCode) -> dict[str, Any]:
    groups = [shown.code[start : start + GROUP] for start in range(0, len(shown.code), GROUP)]
    # A drawing in the style of a bar code, made from the digits: people know at once what to show.
    bits = [(int(digit) >> bit) & 1 for digit in shown.code for bit in range(3, -1, -1)]
    return {"channel": shown.channel, "groups": groups, "code": shown.code, "bars": bits[:BARS], "used": shown.used_for}
