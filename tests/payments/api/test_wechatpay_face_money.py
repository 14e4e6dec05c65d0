"""WeChat Pay's addresses where money comes twice, too late, or by a method that they have no word for here."""

import pytest
from django.utils import timezone

from openplatform.models import Notification
from payments.channels.base import Accepted, TradeFacts, TradeState
from payments.models import ChannelAccount, OrderPolicy, Payment, Refund
from payments.operations import orders, payments
from tests import factories
from tests.factories import NOW, again, the_payment
from tests.payments.api.face_merchant import JSAPI, REFUNDS, merchant, native, nobody_waits, paid

__all__ = ["merchant", "nobody_waits"]


def paid_twice(order):
    """A second try of a paid order, by another account, that was paid too."""
    first = the_payment(order)
    account = ChannelAccount.register(
        merchant=first.account.merchant, channel="wechatpay", name="spare", now=NOW, rank=1,
        settings=dict(first.account.settings) | {"mchid": "1900000999"}, secrets=first.account.secrets(),
    )  # fmt: skip
    surplus = Payment.start(order=order, account=account, payer_id="", now=NOW)
    payments.record_query(claimed=surplus, answer=Accepted(facts=factories.paid(order)), now=timezone.now())
    return first, again(surplus)


def test_the_number_of_a_payment_too_many_does_not_stand_for_the_order(merchant):
    """It goes back by itself. A refund by its number would give back the payment that counts, besides."""
    order = paid(merchant)
    first, surplus = paid_twice(order)
    assert surplus.is_surplus
    wish = merchant.refund_wish(order, out_trade_no=None, transaction_id=surplus.channel_trade_no)
    answer = merchant.post(REFUNDS, wish)
    assert (answer.status, answer.code) == (404, "RESOURCE_NOT_EXISTS")
    assert (again(order).refund_reserved_fen, Refund.objects.get().kind) == (0, "surplus")
    by_number = f"/v3/pay/transactions/id/{{}}?mchid={merchant.app.pk}"
    assert merchant.get(by_number.format(surplus.channel_trade_no)).code == "ORDER_NOT_EXIST"
    assert merchant.get(by_number.format(first.channel_trade_no)).fields["out_trade_no"] == order.out_trade_no


@pytest.mark.parametrize(("policy", "told"), [("accept", ["TRANSACTION.SUCCESS"]), ("refund", [])])
def test_a_late_payment_that_goes_back_at_once_is_not_told_as_a_success(merchant, policy, told):
    """Their programs ship on TRANSACTION.SUCCESS; they have no word for money that came and went."""
    order = native(merchant)
    OrderPolicy.choose(app=merchant.app, late_payment=policy)
    orders.close_order(app=merchant.app, order_no=order.pk, now=timezone.now())
    closed = TradeFacts(state=TradeState.CLOSED, payment_no=the_payment(order).pk)
    for facts in (closed, factories.paid(order)):
        payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=timezone.now())
    assert again(order).status == "SUCCEEDED_LATE"
    assert [row.data["event_type"] for row in Notification.objects.all()] == told


@pytest.mark.parametrize(
    ("method", "payer_id", "trade_type"),
    [("app", "", "APP"), ("h5", "", "MWEB"), ("barcode", "130000000000000000", "MICROPAY")],
)
def test_an_order_of_our_own_door_is_shown_whatever_its_method(merchant, method, payer_id, trade_type):
    order = factories.a_submitting_order(app=merchant.app, method=method, payer_id=payer_id)
    found = merchant.query(order.out_trade_no)
    assert (found.status, found.fields.get("trade_type")) == (200, trade_type)
    assert "payer" not in found.fields, "a bar code is not who the payer is"


@pytest.mark.parametrize("payer", [{}, {"auth_code": "130000000000000000"}, {"openid": "o-1", "client_ip": "1.2.3.4"}])
def test_a_jsapi_order_names_its_payer_by_openid_and_nothing_else(merchant, payer):
    answer = merchant.post(JSAPI, merchant.wish(payer=payer))
    assert (answer.status, answer.code) == (400, "PARAM_ERROR")
    assert not Payment.objects.exists()
