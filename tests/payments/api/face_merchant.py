"""A merchant whose program signs as a client of WeChat Pay does, and orders that came in that way."""

import pytest
from django.utils import timezone

from openplatform.models import App
from payments.channels.base import Accepted
from payments.models import Order
from payments.operations import payments
from tests import factories
from tests.factories import again, the_payment
from tests.payments.api.test_orders_api import accepted
from tests.signed import Merchant

JSAPI, NATIVE = "/v3/pay/transactions/jsapi", "/v3/pay/transactions/native"
REFUNDS = "/v3/refund/domestic/refunds"
NOTIFY_URL = "https://shop.example/notify"


class FaceMerchant(Merchant):
    """Signs as a client of WeChat Pay does."""

    prefix, scheme = "", "WECHATPAY2-SHA256-RSA2048"

    def __init__(self, app: App) -> None:
        self.api_key = app.open_wechatpay_face()
        super().__init__(app)

    def wish(self, **changes):
        fields = {
            "appid": "wx0000000000000001", "mchid": str(self.app.pk), "description": "两杯咖啡",
            "out_trade_no": "A20261123000001", "notify_url": NOTIFY_URL, "amount": {"total": 4030, "currency": "CNY"},
        }  # fmt: skip
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def refund_wish(self, order, **changes):
        fields = {
            "out_trade_no": order.out_trade_no, "out_refund_no": "R1", "reason": "洒了",
            "amount": {"refund": 1000, "total": 4030, "currency": "CNY"},
        }  # fmt: skip
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def query(self, number: str, **sign):
        return self.send(
            "GET", f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.app.pk}", b"", sign=sign or None
        )

    def close(self, number: str):
        return self.post(f"/v3/pay/transactions/out-trade-no/{number}/close", {"mchid": str(self.app.pk)})


@pytest.fixture(autouse=True)
def nobody_waits(settings):
    settings.CREATE_WAIT_S = 0.0


@pytest.fixture
def merchant(transactional_db):
    return FaceMerchant(factories.an_app())


@pytest.fixture
def stranger(merchant):
    return FaceMerchant(factories.an_app())


def native(merchant, **changes):
    """An order that came in by the face, as the channel has accepted it."""
    assert merchant.post(NATIVE, merchant.wish(**changes)).code == "SYSTEM_ERROR"  # nobody has asked the channel yet
    order = Order.objects.latest("created_at")
    answer = accepted(code_url="weixin://wxpay/bizpayurl?pr=1")
    payments.record_create(claimed=the_payment(order), answer=answer, now=timezone.now())
    return again(order)


def paid(merchant, **changes):
    order = native(merchant, **changes)
    answer = Accepted(facts=factories.paid(order))
    payments.record_query(claimed=the_payment(order), answer=answer, now=timezone.now())
    return again(order)
