"""The payer's phone: where WeChat itself would ask. The payer confirms or cancels, then goes back to the merchant.

The page checks what WeChat checks (paySign, prepay_id, the order's state). The browser's way back says only how the
page was left, `pay=ok|cancel|fail`; the merchant's server must learn the truth from the notification or a query.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core import signing as django_signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from sandbox import clock, crypto
from sandbox.models import PayOrder, Prepay
from sandbox.pages import language_of, page
from sandbox.redirects import allowed, origin, with_query
from sandbox.wechatpay import ledger, payer
from sandbox.wechatpay.products import CODE_URL_START
from sandbox.wechatpay.signing import platform

TICKET_SALT = "sandbox.phone"
TICKET_LIFETIME_S = 7_200
LATEST = 20
_PACKAGE = re.compile(r"prepay_id=([0-9A-Za-z]{1,64})")
_PAID = {PayOrder.SUCCESS, PayOrder.REFUND}


class CannotPay(Exception):
    """The payment sheet cannot be shown; the argument is what the payer reads."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What the payment sheet is about."""

    prepay: Prepay
    order: PayOrder
    redirect: str


def jsapi(request: HttpRequest) -> HttpResponseBase:
    """GET: what `getBrandWCPayRequest` would open, with the page's six parameters and `redirect`."""
    return _show(request, find=lambda: _signed_prepay(request))


def scan(request: HttpRequest) -> HttpResponseBase:
    """GET: what scanning the QR code of `code_url` would open."""
    return _show(request, find=lambda: _scanned_prepay(request))


def confirm(request: HttpRequest) -> HttpResponseBase:
    """POST of the sheet's form: pay or cancel. The ticket proves that this very browser was shown the sheet."""
    if request.method != "POST":
        return HttpResponse(status=405)
    who = payer.payer_of(request)
    try:
        ticket = django_signing.loads(request.POST.get("ticket", ""), salt=TICKET_SALT, max_age=TICKET_LIFETIME_S)
    except django_signing.BadSignature:
        return _refuse(request, _("This page is too old. Please start again."), redirect="")
    if ticket["payer"] != who:
        return _refuse(request, _("This page belongs to another browser."), redirect="")
    outcome, order = _decide(ticket["prepay"], pays=request.POST.get("action") == "pay", who=who)
    if ticket["redirect"]:
        return HttpResponseRedirect(with_query(ticket["redirect"], pay=outcome))
    return page(request, "phone/result.html", {"outcome": outcome, **_described(request, order)})


def home(request: HttpRequest) -> HttpResponseBase:
    """A little home screen: paste a code_url, see the latest orders."""
    orders = PayOrder.objects.order_by("-pk")[:LATEST]
    rows = [_described(request, order) | {"code_url": _open_code(order)} for order in orders]
    return page(request, "phone/home.html", {"orders": rows})


def _show(request: HttpRequest, *, find: Any) -> HttpResponseBase:
    if request.method != "GET":
        return HttpResponse(status=405)
    redirect = request.GET.get("redirect", "")
    if redirect and not allowed(redirect):
        return _refuse(request, _("The address to go back to is not allowed."), redirect="")
    try:
        prepay: Prepay = find()
        order = _payable(prepay)
    except CannotPay as problem:
        return _refuse(request, problem.args[0], redirect=redirect)
    return _sheet(request, Sheet(prepay=prepay, order=order, redirect=redirect))


def _sheet(request: HttpRequest, sheet: Sheet) -> HttpResponse:
    who = payer.payer_of(request)
    ticket = {"prepay": sheet.prepay.token, "redirect": sheet.redirect, "payer": who}
    context = {
        "ticket": django_signing.dumps(ticket, salt=TICKET_SALT),
        "lang": "zh" if language_of(request) == "zh-hans" else "en",
        **_described(request, sheet.order),
    }
    response = page(request, "phone/sheet.html", context, form_targets=origin(sheet.redirect))
    payer.remember(response, who)
    return response


def _refuse(request: HttpRequest, reason: Any, *, redirect: str) -> HttpResponse:
    back = with_query(redirect, pay="fail") if redirect else ""
    return page(request, "phone/refused.html", {"reason": reason, "back": back}, status=400)


def _signed_prepay(request: HttpRequest) -> Prepay:
    """The prepay_id of the page's parameters, once their signature is proven. Raises CannotPay."""
    asked = request.GET
    merchant = platform().merchant_of_app(asked.get("appId", ""))
    package = _PACKAGE.fullmatch(asked.get("package", ""))
    timestamp, nonce = asked.get("timeStamp", ""), asked.get("nonceStr", "")
    if merchant is None:
        raise CannotPay(_("Unknown appId."))
    if asked.get("signType") != "RSA" or not package or not timestamp.isdigit() or not 1 <= len(nonce) <= 32:
        raise CannotPay(_("The payment parameters are not complete."))
    message = crypto.page_message(app_id=merchant.appid, timestamp=timestamp, nonce=nonce, package=package.group())
    if not crypto.verify(message, asked.get("paySign", ""), key=merchant.public_key):
        raise CannotPay(_("The signature of the payment parameters (paySign) is wrong."))
    return _prepay(package.group(1), product="jsapi", appid=merchant.appid)


def _scanned_prepay(request: HttpRequest) -> Prepay:
    code_url = request.GET.get("code_url", "").strip()
    if not code_url.startswith(CODE_URL_START):
        raise CannotPay(_("This is not a WeChat Pay code."))
    return _prepay(code_url.removeprefix(CODE_URL_START), product="native")


def _prepay(token: str, *, product: str, **more: str) -> Prepay:
    named = {f"order__{name}": value for name, value in more.items()}
    prepay = Prepay.objects.select_related("order").filter(token=token, order__product=product, **named).first()
    if prepay is None:
        raise CannotPay(_("There is no such payment."))
    return prepay


def _payable(prepay: Prepay) -> PayOrder:
    """The order, if the sheet may be shown: waiting for the payer, or paid already. Raises CannotPay."""
    now = clock.now()
    order = ledger.current(order_pk=prepay.order.pk, now=now)
    if order.state == PayOrder.CLOSED:
        raise CannotPay(_("The merchant has closed this order, or its time is over."))
    if order.state not in _PAID and prepay.expires_at <= now:
        raise CannotPay(_("This payment has expired. Please start again from the merchant's page."))
    return order


def _decide(token: str, *, pays: bool, who: str) -> tuple[str, PayOrder]:
    prepay = Prepay.objects.select_related("order").get(token=token)
    order: PayOrder = prepay.order
    if not pays and order.state not in _PAID:
        return "cancel", order
    try:
        _payable(prepay)
        openid = payer.openid(appid=order.appid, payer=who)
        return "ok", ledger.pay(order_pk=order.pk, openid=openid, now=clock.now())
    except (CannotPay, ledger.NotPayable):
        return "fail", order


def _open_code(order: PayOrder) -> str:
    """The code_url of a native order that still waits to be scanned, else ""."""
    if order.product != "native" or order.state != PayOrder.NOTPAY:
        return ""
    valid = Prepay.objects.filter(order=order, expires_at__gt=clock.now()).order_by("-pk").first()
    return CODE_URL_START + valid.token if valid else ""


def _described(request: HttpRequest, order: PayOrder) -> dict[str, Any]:
    merchant = platform().merchant(order.mchid)
    names = merchant.name if merchant else {}
    return {
        "merchant": names.get(language_of(request)) or names.get("en", order.mchid),
        "description": order.description,
        "yuan": f"{Decimal(order.total_fen) / 100:.2f}",
        "number": order.out_trade_no,
        "state": order.state,
        "paid": order.state in _PAID,
        "created_at": order.created_at,
    }
