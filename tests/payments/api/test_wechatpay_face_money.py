"""WeChat Pay's addresses where money comes twice, too late, or by a method that they have no word for here."""

import pytest
from django.utils import timezone

from openplatform.models import Notification
from payments.channels.base import Accepted, RefundState, TradeFacts, TradeState
from payments.models import Case, ChannelAccount, OrderPolicy, Payment, Refund
from payments.operations import cases, orders, payments, refunds
from tests import factories
from tests.factories import NOW, again, the_payment
from tests.payments.api.face_merchant import JSAPI, NATIVE, NOTIFY_URL, REFUNDS, merchant, native, nobody_waits, paid

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


def paid_late(merchant, policy, *, ends=TradeState.CLOSED):
    """An order of the face that ended unpaid, and was paid all the same."""
    order = native(merchant)
    OrderPolicy.choose(app=merchant.app, late_payment=policy)
    if ends is TradeState.CLOSED:
        orders.close_order(app=merchant.app, order_no=order.pk, now=timezone.now())
    for facts in (TradeFacts(state=ends, payment_no=the_payment(order).pk), factories.paid(order)):
        payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=timezone.now())
    order = again(order)
    assert order.status == "SUCCEEDED_LATE"
    return order


def told():
    return [row.data["event_type"] for row in Notification.objects.order_by("pk")]


@pytest.mark.parametrize(("policy", "said"), [("accept", ["TRANSACTION.SUCCESS"]), ("refund", []), ("hold", [])])
def test_a_late_payment_that_goes_back_or_waits_is_not_told_as_a_success(merchant, policy, said):
    """Their programs ship on TRANSACTION.SUCCESS; they have no word for money that came and went."""
    paid_late(merchant, policy)
    assert told() == said


@pytest.mark.parametrize(
    ("ends", "state", "refusal"),
    [(TradeState.CLOSED, "CLOSED", "ORDER_CLOSED"), (TradeState.FAILED, "PAYERROR", "TRADE_ERROR")],
)
def test_until_a_person_has_decided_an_order_is_what_it_was_before_the_money_came(merchant, ends, state, refusal):
    order = paid_late(merchant, "hold", ends=ends)
    number = the_payment(order).channel_trade_no
    by_number = merchant.get(f"/v3/pay/transactions/id/{number}?mchid={merchant.app.pk}")
    for found in (merchant.query(order.out_trade_no), by_number):
        assert (found.status, found.fields["trade_state"]) == (200, state)
        assert not {"transaction_id", "success_time", "bank_type"} & found.fields.keys()
    assert merchant.close(order.out_trade_no).status == 204
    assert merchant.post(NATIVE, merchant.wish()).code == refusal
    assert again(order).status == "SUCCEEDED_LATE"


def test_when_a_person_keeps_the_held_money_the_merchant_is_told_of_a_success_once(merchant):
    order = paid_late(merchant, "hold")
    cases.resolve_case(case_id=Case.objects.get().pk, note="shipped all the same", by="wang", now=timezone.now())
    assert told() == ["TRANSACTION.SUCCESS"]
    found = merchant.query(order.out_trade_no).fields
    assert (found["trade_state"], found["transaction_id"]) == ("SUCCESS", the_payment(order).channel_trade_no)
    assert merchant.close(order.out_trade_no).code == "ORDER_PAID"


def test_when_a_person_gives_the_held_money_back_a_query_says_refund_and_no_success_was_ever_told(merchant):
    order = paid_late(merchant, "hold")
    cases.give_late_payment_back(case_id=Case.objects.get().pk, by="wang", now=timezone.now())
    assert told() == []
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "REFUND"
    facts = factories.refund_said(Refund.objects.get(), RefundState.SUCCEEDED)
    refunds.record_refund(claimed=Refund.objects.get(), answer=Accepted(facts=facts), now=timezone.now())
    assert told() == ["REFUND.SUCCESS"]


def test_a_merchant_that_refunds_held_money_itself_has_decided(merchant):
    order = paid_late(merchant, "hold")
    assert (
        merchant.post(REFUNDS, merchant.refund_wish(order)).code == "SYSTEM_ERROR"
    )  # nobody has asked the channel yet
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "REFUND"
    cases.resolve_case(case_id=Case.objects.get().pk, note="they did it", by="wang", now=timezone.now())
    assert told() == []


def test_the_news_of_our_own_door_is_not_told_twice(merchant):
    order = factories.a_closed_order(app=merchant.app, notify_url=NOTIFY_URL)
    OrderPolicy.choose(app=merchant.app, late_payment="hold")
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=factories.paid(order)), now=timezone.now())
    cases.resolve_case(case_id=Case.objects.get().pk, note="kept", by="wang", now=timezone.now())
    assert list(Notification.objects.order_by("pk").values_list("event_type", flat=True)) == [
        "order.closed", "order.succeeded_late",
    ]  # fmt: skip


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
