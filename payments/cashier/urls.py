"""The payer's addresses. A token in the path is the whole right: see models.PayCode and Order.cashier_token."""

from django.urls import path

from payments.cashier import codes, orders

urlpatterns = [
    path("pay/oauth", codes.identified, name="cashier-identified"),
    path("pay/<str:token>", codes.show, name="cashier-pay"),
    path("pay/<str:token>/orders", codes.place_order, name="cashier-place-order"),
    path("cashier/<str:cashier_token>", orders.show, name="cashier-order"),
    path("cashier/<str:cashier_token>/state", orders.state, name="cashier-state"),
    path("cashier/<str:cashier_token>/qr.svg", orders.qr_code, name="cashier-qr"),
]
