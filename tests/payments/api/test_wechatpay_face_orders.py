"""WeChat Pay's addresses: orders are queried and closed, refunded, and told about."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from openplatform.models import Notification
from payments.channels.base import Accepted, RefundState, TradeFacts, TradeState
from payments.models import Door, Order, Refund
from payments.operations import orders, payments, refunds
from tests import factories
from tests.factories import again, the_payment
from tests.payments.api.face_merchant import NATIVE, NOTIFY_URL, REFUNDS, merchant, native, nobody_waits, paid, stranger

__all__ = ["merchant", "nobody_waits", "stranger"]


# --- query and close --------------------------------------------------------------------------------------------------


def test_a_paid_order_looks_as_theirs_does(merchant):
    order = paid(merchant)
    found = merchant.query(order.out_trade_no)
    assert found.fields == {
        "appid": "wx0000000000000001", "mchid": str(merchant.app.pk), "out_trade_no": order.out_trade_no,
        "transaction_id": the_payment(order).channel_trade_no, "trade_type": "NATIVE", "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功", "bank_type": "OTHERS", "attach": "",
        "success_time": "2026-01-02T12:00:00+08:00",
        "amount": {"total": 4030, "payer_total": 4030, "currency": "CNY", "payer_currency": "CNY"},
    }  # fmt: skip
    assert found.is_signed_under("Wechatpay")
    path = f"/v3/pay/transactions/id/{the_payment(order).channel_trade_no}?mchid={merchant.app.pk}"
    assert merchant.get(path).fields == found.fields


def test_another_apps_order_does_not_exist(merchant, stranger):
    order = paid(merchant)
    assert (stranger.query(order.out_trade_no).status, stranger.close(order.out_trade_no).status) == (404, 404)
    number = the_payment(order).channel_trade_no
    answer = stranger.get(f"/v3/pay/transactions/id/{number}?mchid={stranger.app.pk}")
    assert (answer.status, answer.code) == (404, "ORDER_NOT_EXIST")
    refund = stranger.post(REFUNDS, stranger.refund_wish(order))
    assert (refund.status, refund.code) == (404, "RESOURCE_NOT_EXISTS")
    factories.a_submitting_refund(order=order, out_refund_no="R1")
    assert merchant.get(f"{REFUNDS}/R1").status == 200
    assert (stranger.get(f"{REFUNDS}/R1").status, stranger.get(f"{REFUNDS}/R1").code) == (404, "RESOURCE_NOT_EXISTS")


def test_a_number_may_hold_what_theirs_may_however_a_client_spells_it(merchant):
    order = native(merchant, out_trade_no="A|2026*11-23_1")
    for spelt in ("A%7C2026*11-23_1", "A%7C2026%2A11-23_1"):
        assert merchant.query(spelt).fields["out_trade_no"] == order.out_trade_no
    merchant.post(REFUNDS, merchant.refund_wish(paid(merchant, out_trade_no="B20261123"), out_refund_no="R@1|*"))
    for spelt in ("R@1%7C*", "R%401%7C%2A"):
        assert merchant.get(f"{REFUNDS}/{spelt}").fields["out_refund_no"] == "R@1|*"


def test_an_order_of_another_channel_is_not_one_of_theirs(merchant):
    order = native(merchant)
    with connection.cursor() as cursor:  # no other channel is there yet
        cursor.execute("ALTER TABLE payments_order DISABLE TRIGGER USER")
        cursor.execute("UPDATE payments_order SET channel = 'alipay'")
        cursor.execute("ALTER TABLE payments_order ENABLE TRIGGER USER")
    assert merchant.query(order.out_trade_no).code == "ORDER_NOT_EXIST"


def test_a_close_that_is_not_confirmed_yet_is_unknown_and_then_done(merchant):
    order = native(merchant)
    answer = merchant.close(order.out_trade_no)
    assert (answer.status, answer.code) == (500, "SYSTEM_ERROR")
    facts = TradeFacts(state=TradeState.CLOSED, payment_no=the_payment(order).pk)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=timezone.now())
    for _ in range(2):
        answer = merchant.close(order.out_trade_no)
        assert (answer.status, answer.body) == (204, b"")
        assert answer.is_signed_under("Wechatpay")
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "CLOSED"
    assert merchant.post(NATIVE, merchant.wish()).code == "ORDER_CLOSED"
    assert not Notification.objects.exists()  # theirs has no such event


def test_a_paid_order_cannot_be_closed(merchant):
    answer = merchant.close(paid(merchant).out_trade_no)
    assert (answer.status, answer.code) == (400, "ORDER_PAID")


# --- refund -----------------------------------------------------------------------------------------------------------


def test_a_refund_is_unknown_until_the_channel_has_accepted_it_and_then_the_same_one(merchant):
    order = paid(merchant)
    wish = merchant.refund_wish(order)
    answer = merchant.post(REFUNDS, wish)
    assert (answer.status, answer.code) == (500, "SYSTEM_ERROR")
    assert merchant.get(f"{REFUNDS}/R1").fields["status"] == "PROCESSING"
    refund = Refund.objects.get()
    facts = factories.refund_said(refund, RefundState.PROCESSING)
    refunds.record_refund(claimed=refund, answer=Accepted(facts=facts), now=timezone.now())
    answer = merchant.post(REFUNDS, wish)
    assert (answer.status, answer.fields["status"]) == (200, "PROCESSING")
    assert answer.fields["refund_id"] == facts.channel_refund_no
    assert answer.fields["amount"]["refund"] == 1000
    assert merchant.query(order.out_trade_no).fields["trade_state"] == "REFUND"
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": {"refund": 10, "total": 5000, "currency": "CNY"}}, 400, "INVALID_REQUEST"),
        ({"amount": {"refund": 4031, "total": 4030, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 10.0, "total": 4030, "currency": "CNY"}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 10, "total": 4030}}, 400, "PARAM_ERROR"),
        ({"amount": {"refund": 10, "total": 4030, "currency": "CNY", "from": [{"amount": 1}]}}, 400, "PARAM_ERROR"),
        ({"funds_account": "AVAILABLE"}, 400, "PARAM_ERROR"),
        ({"goods_detail": [{"merchant_goods_id": "1"}]}, 400, "PARAM_ERROR"),
        ({"out_trade_no": None}, 400, "PARAM_ERROR"),
        ({"transaction_id": "4200000000"}, 404, "RESOURCE_NOT_EXISTS"),
    ],
)
def test_a_refund_that_cannot_be_is_refused_and_reserves_nothing(merchant, changes, status, code):
    order = paid(merchant)
    answer = merchant.post(REFUNDS, merchant.refund_wish(order, **changes))
    assert (answer.status, answer.code) == (status, code)
    assert again(order).refund_reserved_fen == 0


def test_more_than_was_paid_cannot_be_refunded_in_parts(merchant):
    order = paid(merchant)
    whole = {"refund": 4030, "total": 4030, "currency": "CNY"}
    merchant.post(REFUNDS, merchant.refund_wish(order, amount=whole))
    answer = merchant.post(REFUNDS, merchant.refund_wish(order, out_refund_no="R2"))
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert again(order).refund_reserved_fen == 4030


def test_the_same_refund_number_with_another_amount_is_refused(merchant):
    order = paid(merchant)
    merchant.post(REFUNDS, merchant.refund_wish(order))
    other = merchant.refund_wish(order, amount={"refund": 1001, "total": 4030, "currency": "CNY"})
    answer = merchant.post(REFUNDS, other)
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert Refund.objects.count() == 1


def test_an_unpaid_order_cannot_be_refunded(merchant):
    answer = merchant.post(REFUNDS, merchant.refund_wish(native(merchant)))
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")


# --- what the merchant is told ----------------------------------------------------------------------------------------


def test_an_order_of_this_door_is_told_in_their_words_and_one_of_ours_in_ours(merchant):
    paid(merchant)
    factories.a_paid_order(app=merchant.app, notify_url=NOTIFY_URL)
    theirs, ours = Notification.objects.order_by("pk")
    assert (theirs.shape, theirs.data["event_type"]) == ("wechatpay", "TRANSACTION.SUCCESS")
    assert theirs.data["resource"]["trade_state"] == "SUCCESS"
    assert (ours.shape, ours.data["status"]) == ("native", "SUCCEEDED")


@pytest.mark.parametrize(
    ("state", "event", "status"),
    [
        (RefundState.SUCCEEDED, "REFUND.SUCCESS", "SUCCESS"),
        (RefundState.NOT_DONE, "REFUND.CLOSED", "CLOSED"),
        (RefundState.ABNORMAL, "REFUND.ABNORMAL", "ABNORMAL"),
    ],
)
def test_a_refund_is_told_under_refund_status(merchant, state, event, status):
    refund = factories.a_submitting_refund(order=paid(merchant))
    answer = Accepted(facts=factories.refund_said(refund, state))
    refunds.record_refund(claimed=refund, answer=answer, now=timezone.now())
    told = Notification.objects.latest("pk").data
    assert (told["event_type"], told["original_type"]) == (event, "refund")
    assert told["resource"]["refund_status"] == status
    assert "status" not in told["resource"]


def test_the_door_of_an_order_never_changes(merchant):
    order = native(merchant)
    with pytest.raises(IntegrityError, match="UPDATE on payments_order is refused"), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(door=Door.NATIVE)


def test_a_close_by_our_own_address_is_seen_at_theirs(merchant):
    order = native(merchant)
    orders.close_order(app=merchant.app, order_no=order.pk, now=timezone.now())
    assert merchant.post(NATIVE, merchant.wish()).code == "ORDER_CLOSED"
