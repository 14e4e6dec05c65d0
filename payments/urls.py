"""What payments serves: the merchant API in two languages, the channels' callbacks and the payer's cashier."""

from django.urls import include, path

from payments.api import callbacks

urlpatterns = [
    path("openapi/v1/", include("payments.api.urls")),
    path("v3/", include("payments.api.wechatpay.urls")),
    path("callbacks/<slug:channel>/<int:account_id>", callbacks.receive, name="callback"),
    path("", include("payments.cashier.urls")),
]
