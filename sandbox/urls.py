"""The sandbox's addresses. Whatever is not here is 404 with an empty body, as the platform answers it."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path, register_converter
from django.urls.converters import StringConverter

from sandbox import control, pages
from sandbox.wechatpay import certificates, oauth, orders, phone, refunds
from sandbox.wechatpay.products import PRODUCTS


class ProductConverter(StringConverter):
    regex = "|".join(PRODUCTS)


def nothing(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return HttpResponse(status=404)


def healthz(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    return JsonResponse({"status": "ok", "sandbox": True})


register_converter(ProductConverter, "product")
handler404 = nothing

_PAY = "v3/pay/transactions"
_REFUNDS = "v3/refund/domestic/refunds"
urlpatterns = [
    path("healthz", healthz),
    path(f"{_PAY}/<product:product>", orders.create),
    path(f"{_PAY}/out-trade-no/<str:out_trade_no>", orders.query),
    path(f"{_PAY}/id/<str:transaction_id>", orders.query),
    path(f"{_PAY}/out-trade-no/<str:out_trade_no>/close", orders.close),
    path(_REFUNDS, refunds.refund),
    path(f"{_REFUNDS}/<str:out_refund_no>", refunds.refund_query),
    path("v3/certificates", certificates.certificates),
    path("connect/oauth2/authorize", oauth.authorize),
    path("sns/oauth2/access_token", oauth.access_token),
    path("phone/", phone.home),
    path("phone/phone.css", pages.style, {"name": "phone"}),
    path("phone/wechatpay/jsapi", phone.jsapi),
    path("phone/wechatpay/scan", phone.scan),
    path("phone/wechatpay/confirm", phone.confirm),
    *control.urlpatterns,
]
