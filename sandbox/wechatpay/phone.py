"""What WeChat itself would check before it asks the payer: paySign, prepay_id, the code that was scanned."""

import re

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from sandbox import clock, crypto
from sandbox.identity import Merchant
from sandbox.models import WECHATPAY, PayOrder, Prepay
from sandbox.phone import sheets
from sandbox.phone.sheets import CannotPay, Sheet
from sandbox.wechatpay import products
from sandbox.wechatpay.signing import platform

CODE_START = products.CODE_URL_START
_PACKAGE = re.compile(r"prepay_id=([0-9A-Za-z]{1,64})")


def jsapi(request: HttpRequest) -> HttpResponseBase:
    """GET: what `getBrandWCPayRequest` would open, with the page's six parameters and `redirect`."""
    return sheets.show(request, channel=WECHATPAY, find=lambda: _signed_prepay(request))


def scan(request: HttpRequest) -> HttpResponseBase:
    """GET: what scanning the QR code of `code_url` would open."""
    return scanned(request, request.GET.get("code_url", "").strip())


def scanned(request: HttpRequest, code: str) -> HttpResponseBase:
    return sheets.show(request, channel=WECHATPAY, find=lambda: _scanned_prepay(code))


def h5(request: HttpRequest) -> HttpResponseBase:
    """GET of an h5_url: what a browser outside WeChat would be sent to. `redirect_url` is the way back."""
    return sheets.show(
        request, channel=WECHATPAY, find=lambda: _h5_prepay(request), back=request.GET.get("redirect_url", "")
    )


def app(request: HttpRequest) -> HttpResponseBase:
    """GET: what the SDK inside a merchant's app would open, with its seven parameters."""
    return sheets.show(request, channel=WECHATPAY, find=lambda: _app_prepay(request))


def open_code(order: PayOrder) -> str:
    """The code_url of a native order, while it can be scanned."""
    if order.product != "native":
        return ""
    valid = Prepay.objects.filter(order=order, expires_at__gt=clock.now()).order_by("-pk").first()
    return CODE_START + valid.token if valid else ""


def _signed_prepay(request: HttpRequest) -> Sheet:
    """The prepay_id of the page's parameters, once their signature is proven. Raises CannotPay."""
    asked = request.GET
    package = _PACKAGE.fullmatch(asked.get("package", ""))
    merchant = _merchant(asked.get("appId", ""))
    timestamp, nonce = asked.get("timeStamp", ""), asked.get("nonceStr", "")
    if asked.get("signType") != "RSA" or not package or not timestamp.isdigit() or not 1 <= len(nonce) <= 32:
        raise CannotPay(_("The payment parameters are not complete."))
    appid = asked["appId"]
    message = crypto.page_message(app_id=appid, timestamp=timestamp, nonce=nonce, package=package.group())
    if not crypto.verify(message, asked.get("paySign", ""), key=merchant.public_key):
        raise CannotPay(_("The signature of the payment parameters (paySign) is wrong."))
    sheet = _prepay(package.group(1), product="jsapi")
    if appid not in {sheet.order.appid, sheet.order.sub_appid}:
        raise CannotPay(_("There is no such payment."))
    return sheet


def _app_prepay(request: HttpRequest) -> Sheet:
    """The same for an app: the fourth line is the bare prepay_id. Raises CannotPay."""
    asked = request.GET
    merchant = _merchant(asked.get("appid", ""))
    prepay_id, timestamp, nonce = asked.get("prepayid", ""), asked.get("timestamp", ""), asked.get("noncestr", "")
    if asked.get("package") != "Sign=WXPay" or asked.get("partnerid") != merchant.mchid or not timestamp.isdigit():
        raise CannotPay(_("The payment parameters are not complete."))
    message = crypto.page_message(app_id=asked["appid"], timestamp=timestamp, nonce=nonce, package=prepay_id)
    if not crypto.verify(message, asked.get("sign", ""), key=merchant.public_key):
        raise CannotPay(_("The signature of the payment parameters (paySign) is wrong."))
    return _prepay(prepay_id, product="app")


def _merchant(appid: str) -> Merchant:
    found = platform().merchant_of_app(appid)
    if found is None:
        raise CannotPay(_("Unknown appId."))
    return found


def _scanned_prepay(code: str) -> Sheet:
    if not code.startswith(CODE_START):
        raise CannotPay(_("This is not a WeChat Pay code."))
    return _prepay(code.removeprefix(CODE_START), product="native")


def _h5_prepay(request: HttpRequest) -> Sheet:
    token = request.GET.get("prepay_id", "")
    if request.GET.get("package", "") != products.h5_package(token):
        raise CannotPay(_("The payment parameters are not complete."))
    return _prepay(token, product="h5")


def _prepay(token: str, *, product: str) -> Sheet:
    prepay = Prepay.objects.select_related("order").filter(token=token, order__product=product).first()
    if prepay is None:
        raise CannotPay(_("There is no such payment."))
    return Sheet(order=prepay.order, until=prepay.expires_at)
