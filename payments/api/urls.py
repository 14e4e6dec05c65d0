"""The merchant API. Numbers in paths are plain decimal or the merchant's own characters; nothing needs an escape."""

from django.urls import path, register_converter

from payments.api import views


class NumberConverter:
    """One of our numbers: up to 19 digits that fit into 63 bits."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number >= 2**63:
            raise ValueError("not one of our numbers")
        return number

    def to_url(self, value: int) -> str:
        return str(value)


class OutNoConverter:
    """A merchant's own number."""

    regex = "[A-Za-z0-9_-]{1,64}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NumberConverter, "number")
register_converter(OutNoConverter, "out_no")

urlpatterns = [
    path("orders", views.OrdersView.as_view(), name="orders"),
    path("orders/out-trade-no/<out_no:out_trade_no>", views.OrderByOutTradeNoView.as_view(), name="order-by-out"),
    path("orders/<number:order_no>", views.OrderView.as_view(), name="order"),
    path("orders/<number:order_no>/close", views.CloseOrderView.as_view(), name="order-close"),
    path("refunds", views.RefundsView.as_view(), name="refunds"),
    path("refunds/out-refund-no/<out_no:out_refund_no>", views.RefundByOutRefundNoView.as_view(), name="refund-by-out"),
    path("refunds/<number:refund_no>", views.RefundView.as_view(), name="refund"),
]
