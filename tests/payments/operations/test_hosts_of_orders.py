"""An order or a refund names only a host that is registered for its app. What was there before, and payers, go on."""

import pytest

from openplatform.blocks import lists
from openplatform.models import NotifyHost
from payments.models import Order, Refund
from payments.operations import orders
from payments.operations.orders import NotifyHostNotRegistered, OutTradeNoReused
from payments.operations.refunds import create_refund
from tests import factories
from tests.factories import NOW
from tests.signed import Merchant

pytestmark = pytest.mark.django_db(transaction=True)

OURS, OTHER = "https://shop.example.com/fenpay", "https://n.shop.example.com/fenpay"


def register(app, host="shop.example.com"):
    NotifyHost.register(app=app, text=host, reason="shop", by="olga", now=NOW)
    lists.forget()


@pytest.fixture
def app(db):
    return factories.an_app()


def test_no_order_is_placed_that_would_be_told_elsewhere(app):
    register(app)
    with pytest.raises(NotifyHostNotRegistered):
        orders.create_order(app=app, wish=factories.an_order_wish(notify_url=OTHER), now=NOW)
    assert not Order.objects.exists()
    for url in (OURS, ""):
        assert orders.create_order(app=app, wish=factories.an_order_wish(notify_url=url), now=NOW)[1]
    wish = factories.an_order_wish(notify_url=OTHER)
    assert orders.create_order(app=factories.an_app(), wish=wish, now=NOW)[1]


def test_an_order_from_before_is_still_given_when_it_is_asked_for_again(app):
    wish = factories.an_order_wish(notify_url=OTHER)
    placed, _created = orders.create_order(app=app, wish=wish, now=NOW)
    register(app)
    assert orders.create_order(app=app, wish=wish, now=NOW) == (placed, False)
    changed = factories.an_order_wish(out_trade_no=wish.out_trade_no, notify_url=OTHER)
    with pytest.raises(OutTradeNoReused):
        orders.create_order(app=app, wish=changed, now=NOW)


def test_a_payer_is_not_refused_because_of_where_the_merchant_is_told(app):
    register(app)
    pay_code = factories.a_pay_code(app)
    order = factories.a_submitting_order(app=app, pay_code=pay_code, notify_url=OTHER)
    assert order.notify_url == OTHER


def test_a_refund_names_a_registered_host_or_none(app):
    order = factories.a_paid_order(app=app, notify_url=OTHER)
    known = factories.a_refund_wish(notify_url=OTHER)
    refund, _created = create_refund(app=app, order_no=order.pk, wish=known, now=NOW)
    register(app)
    assert create_refund(app=app, order_no=order.pk, wish=known, now=NOW) == (refund, False)
    with pytest.raises(NotifyHostNotRegistered):
        create_refund(app=app, order_no=order.pk, wish=factories.a_refund_wish(notify_url=OTHER), now=NOW)
    assert Refund.objects.count() == 1
    assert create_refund(app=app, order_no=order.pk, wish=factories.a_refund_wish(), now=NOW)[1]
    assert create_refund(app=app, order_no=order.pk, wish=factories.a_refund_wish(notify_url=OURS), now=NOW)[1]


def test_the_merchant_is_told_by_name(app):
    register(app)
    fields = {
        "out_trade_no": "A20260102000001", "amount": "40.30", "subject": "咖啡", "channel": "wechatpay",
        "method": "jsapi", "payer": {"openid": "o-payer-1"}, "notify_url": OTHER,
    }  # fmt: skip
    answer = Merchant(app).post("/orders", fields)
    assert (answer.status, answer.code) == (422, "NOTIFY_HOST_NOT_REGISTERED")
    assert not Order.objects.exists()
