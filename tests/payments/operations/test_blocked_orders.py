"""A blocked payer gets no new order, and a blocked host is not promised any news. What was there before stays."""

import pytest

from openplatform.blocks import lists
from openplatform.models import BlockEntry
from openplatform.problems import Blacklisted as BlacklistedProblem
from payments.models import Order, Payment
from payments.operations import orders
from payments.operations.orders import Blacklisted, OutTradeNoReused
from tests import factories
from tests.factories import NOW
from tests.signed import Merchant

pytestmark = pytest.mark.django_db(transaction=True)

HOST, URL = "shop.example.com", "https://n.shop.example.com/fenpay"


def block(kind, text):
    entry = BlockEntry.block(kind=kind, text=text, reason="fraud", by="olga", now=NOW)
    lists.forget()
    return entry


@pytest.fixture
def app(db):
    return factories.an_app()


@pytest.mark.parametrize(("kind", "text"), [("payer_hash", "o-payer-1"), ("notify_host", HOST)])
def test_no_order_is_placed_for_a_blocked_payer_or_host(app, kind, text):
    entry = block(kind, text)
    with pytest.raises(Blacklisted):
        orders.create_order(app=app, wish=factories.an_order_wish(notify_url=URL), now=NOW)
    assert not Order.objects.exists()
    assert not Payment.objects.exists()
    other = factories.an_order_wish(payer_id="o-payer-2", notify_url="https://other.example.com/n")
    assert orders.create_order(app=app, wish=other, now=NOW)[1]
    entry.lift(by="olga", now=NOW)
    lists.forget()
    assert orders.create_order(app=app, wish=factories.an_order_wish(notify_url=URL), now=NOW)[1]


def test_an_order_without_payer_and_host_is_nobodys(app):
    block("payer_hash", "o-payer-1")
    wish = factories.an_order_wish(method="native", payer_id="", notify_url="")
    assert orders.create_order(app=app, wish=wish, now=NOW)[1]


def test_an_order_from_before_the_block_is_still_given_when_it_is_asked_for_again(app):
    wish = factories.an_order_wish()
    placed, _created = orders.create_order(app=app, wish=wish, now=NOW)
    block("payer_hash", "o-payer-1")
    assert orders.create_order(app=app, wish=wish, now=NOW) == (placed, False)
    with pytest.raises(OutTradeNoReused):
        orders.create_order(app=app, wish=factories.an_order_wish(out_trade_no=wish.out_trade_no), now=NOW)
    with pytest.raises(Blacklisted):
        orders.create_order(app=factories.an_app(), wish=wish, now=NOW)


def test_the_merchant_hears_what_every_blocked_caller_hears(app):
    merchant = Merchant(app)
    block("payer_hash", "o-payer-1")
    fields = {
        "out_trade_no": "A20260102000001", "amount": "40.30", "subject": "咖啡", "channel": "wechatpay",
        "method": "jsapi", "payer": {"openid": "o-payer-1"}, "metadata": {},
    }  # fmt: skip
    answer = merchant.post("/orders", fields)
    assert (answer.status, answer.code) == (403, "BLACKLISTED")
    assert answer.is_signed
    expected = BlacklistedProblem().document() | {"request_id": answer.fields["request_id"]}
    assert answer.fields == expected
    assert not Order.objects.exists()
    assert merchant.post("/orders", fields | {"payer": {"openid": "o-payer-2"}}).status in {201, 202}


def test_a_refund_to_a_payer_who_is_blocked_now_goes_out(app):
    order = factories.a_paid_order(app=app)
    block("payer_hash", "o-payer-1")
    assert factories.a_submitting_refund(order=order).pk
