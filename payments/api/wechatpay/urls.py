"""WeChat Pay's addresses, at the root as they are there."""

from django.urls import path, register_converter

from payments.api.wechatpay import views


class _Text:
    regex = ""

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class OutTradeNoConverter(_Text):
    """A merchant's number as WeChat Pay allows it; its escapes are read by the time that it comes here."""

    regex = "[A-Za-z0-9_|*-]{1,32}"


class OutRefundNoConverter(_Text):
    regex = "[A-Za-z0-9_|*@-]{1,64}"


class TransactionIdConverter(_Text):
    regex = "[A-Za-z0-9]{1,32}"


register_converter(OutTradeNoConverter, "wechatpay_out_trade_no")
register_converter(OutRefundNoConverter, "wechatpay_out_refund_no")
register_converter(TransactionIdConverter, "wechatpay_transaction_id")

_TRANSACTIONS, _REFUNDS = "pay/transactions", "refund/domestic/refunds"
_BY_OUT_TRADE_NO = f"{_TRANSACTIONS}/out-trade-no/<wechatpay_out_trade_no:out_trade_no>"

urlpatterns = [
    path(f"{_TRANSACTIONS}/jsapi", views.JsapiView.as_view()),
    path(f"{_TRANSACTIONS}/native", views.NativeView.as_view()),
    path(f"{_TRANSACTIONS}/id/<wechatpay_transaction_id:transaction_id>", views.OrderByTransactionIdView.as_view()),
    path(_BY_OUT_TRADE_NO, views.OrderByOutTradeNoView.as_view()),
    path(f"{_BY_OUT_TRADE_NO}/close", views.CloseView.as_view()),
    path(_REFUNDS, views.RefundsView.as_view()),
    path(f"{_REFUNDS}/<wechatpay_out_refund_no:out_refund_no>", views.RefundView.as_view()),
    path("certificates", views.CertificatesView.as_view()),
]
