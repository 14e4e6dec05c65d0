"""The sandbox's addresses. Whatever is not here is 404 with an empty body, as the platforms answer it."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, register_converter
from django.urls.converters import StringConverter

from sandbox import control, pages
from sandbox.alipay import bills as alipay_bills
from sandbox.alipay import oauth as alipay_oauth
from sandbox.alipay import phone as alipay_phone
from sandbox.alipay import views as alipay
from sandbox.console import urls as console
from sandbox.phone import home, sheets
from sandbox.unionpay import orders as unionpay
from sandbox.unionpay import phone as unionpay_phone
from sandbox.unionpay import users as unionpay_users
from sandbox.wechatpay import barcode, bills, certificates, oauth, orders, phone, refunds
from sandbox.wechatpay.products import PRODUCTS


class ProductConverter(StringConverter):
    regex = "|".join(PRODUCTS)


class UnionPayCallConverter(StringConverter):
    regex = "|".join(unionpay.CALLS)


def nothing(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return HttpResponse(status=404)


def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    return JsonResponse({"status": "ok", "sandbox": True})


register_converter(ProductConverter, "product")
register_converter(UnionPayCallConverter, "unionpay_call")
handler404 = nothing

_REFUNDS = "v3/refund/domestic/refunds"


def _payments(prefix: str, *, partner: bool) -> list[object]:
    """The same operations for merchants and, with other names for the numbers, for service providers."""
    mode = {"partner": partner}
    numbered = f"{prefix}/out-trade-no/<str:out_trade_no>"
    return [
        path(f"{prefix}/codepay", barcode.codepay, mode),
        path(f"{prefix}/<product:product>", orders.create, mode),
        path(numbered, orders.query, mode),
        path(f"{prefix}/id/<str:transaction_id>", orders.query, mode),
        path(f"{numbered}/close", orders.close, mode),
        path(f"{numbered}/reverse", barcode.reverse, mode),
    ]


_WECHATPAY = [
    *_payments("v3/pay/transactions", partner=False),
    *_payments("v3/pay/partner/transactions", partner=True),
    path(_REFUNDS, refunds.refund),
    path(f"{_REFUNDS}/<str:refund_id>/apply-abnormal-refund", refunds.abnormal_refund),
    path(f"{_REFUNDS}/<str:out_refund_no>", refunds.refund_query),
    path("v3/certificates", certificates.certificates),
    path("v3/bill/tradebill", bills.trade_bill),
    path("v3/bill/fundflowbill", bills.fund_flow_bill),
    path("v3/billdownload/file", bills.bill_file),
    path("connect/oauth2/authorize", oauth.authorize),
    path("sns/oauth2/access_token", oauth.access_token),
    path("cgi-bin/mmpayweb-bin/checkmweb", phone.h5),
]
_ALIPAY = [
    path("gateway.do", alipay.serve),
    path("oauth2/publicAppAuthorize.htm", alipay_oauth.authorize),
    path("bill/downloadBillFile.resource", alipay_bills.download),
]
_UNIONPAY = [
    path("gateway/api/pay/<unionpay_call:name>", unionpay.call),
    path("qrcGtwWeb-web/api/userAuth", unionpay_users.user_auth),
]
_PHONE = [
    path("phone/", home.home),
    path("phone/phone.css", pages.asset, {"name": "phone.css"}),
    path("phone/bridge.js", pages.asset, {"name": "bridge.js"}),
    path("phone/bridge-back.js", pages.asset, {"name": "bridge-back.js"}),
    path("phone/bridge", home.bridge),
    path("phone/scan", home.scan),
    path("phone/confirm", sheets.confirm),
    path("phone/waiting/<int:order>", home.waiting),
    path("phone/code/<str:channel>", home.my_code),
    path("phone/wechatpay/jsapi", phone.jsapi),
    path("phone/wechatpay/scan", phone.scan),
    path("phone/wechatpay/app", phone.app),
    path("phone/alipay/trade", alipay_phone.trade),
    path("phone/alipay/scan", alipay_phone.scan),
    path("phone/unionpay/<str:token>", unionpay_phone.desk),
]
urlpatterns = [
    path("healthz", healthz),
    *_WECHATPAY,
    *_ALIPAY,
    *_UNIONPAY,
    *_PHONE,
    *console.urlpatterns,
    *control.urlpatterns,
]
