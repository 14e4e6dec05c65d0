"""The payer's addresses. A token in the path is the whole right: see models.PayCode and Order.cashier_token."""

from django.urls import path, register_converter

from payments.cashier import codes, orders
from payments.cashier.tokens import TokenConverter

register_converter(TokenConverter, "token")

urlpatterns = [
    path("pay/oauth", codes.identified, name="cashier-identified"),
    path("pay/<token:token>", codes.show, name="cashier-pay"),
    path("pay/<token:token>/orders", codes.place_order, name="cashier-place-order"),
    path("cashier/<token:cashier_token>", orders.show, name="cashier-order"),
    path("cashier/<token:cashier_token>/state", orders.state, name="cashier-state"),
    path("cashier/<token:cashier_token>/qr.svg", orders.qr_code, name="cashier-qr"),
]
