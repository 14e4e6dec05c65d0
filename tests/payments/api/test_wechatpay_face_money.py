"""WeChat Pay's addresses where money comes twice or too late."""

import pytest
from django.utils import timezone

from openplatform.models import Notification
from payments.channels.base import Accepted, TradeFacts, TradeState
from payments.models import ChannelAccount, OrderPolicy, Payment, Refund
from payments.operations import orders, payments
from tests import factories
from tests.factories import NOW, again, the_payment
from tests.payments.api.face_merchant import REFUNDS, merchant, native, nobody_waits, paid

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
