"""What Alipay's app would open: `tradePay` of its bridge, and the code of a precreated trade."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from sandbox import clock
from sandbox.alipay import trades
from sandbox.models import ALIPAY, PayOrder, Prepay
from sandbox.phone import sheets
from sandbox.phone.sheets import CannotPay, Sheet

CODE_START = trades.QR_START


def trade(request: HttpRequest) -> HttpResponseBase:
    """GET: what `AlipayJSBridge.call("tradePay", {tradeNO})` would open, with `redirect` as the way back."""
    return sheets.show(request, channel=ALIPAY, find=lambda: _trade(request.GET.get("tradeNO", "")))


def scan(request: HttpRequest) -> HttpResponseBase:
    """GET: what scanning the `qr_code` would open."""
    return scanned(request, request.GET.get("qr_code", "").strip())


def scanned(request: HttpRequest, code: str) -> HttpResponseBase:
    return sheets.show(request, channel=ALIPAY, find=lambda: _scanned(code))


def open_code(order: PayOrder) -> str:
    """The qr_code of a precreated trade, while it can be scanned."""
    valid = Prepay.objects.filter(order=order, expires_at__gt=clock.now()).order_by("-pk").first()
    return CODE_START + valid.token if valid else ""


def _trade(trade_no: str) -> Sheet:
    found = PayOrder.objects.filter(channel=ALIPAY, transaction_id=trade_no, product="jsapi").first()
    if found is None:
        raise CannotPay(_("There is no such payment."))
    return Sheet(order=found)


def _scanned(code: str) -> Sheet:
    """Scanning alone makes the trade: from now on a query finds it."""
    if not code.startswith(CODE_START):
        raise CannotPay(_("This is not an Alipay code."))
    prepay = Prepay.objects.select_related("order").filter(token=code.removeprefix(CODE_START)).first()
    if prepay is None or prepay.order.channel != ALIPAY:
        raise CannotPay(_("There is no such payment."))
    now = clock.now()
    if prepay.expires_at <= now and not prepay.order.is_paid:
        raise CannotPay(_("This payment has expired. Please start again from the merchant's page."))
    if not prepay.order.is_known and prepay.order.is_unpaid:
        trades.scanned(prepay.order, now=now)
    return Sheet(order=prepay.order)
