"""A blocked payer gets no new order, and a blocked host is not promised any news. What was there before stays."""

import pytest

from openplatform.blocks import lists
from openplatform.models import BlockEntry
from openplatform.problems import Blacklisted as BlacklistedProblem
from payments.channels.base import Accepted, Callback, TradeState
from payments.models import Case, LedgerEntry, Order, Payment
from payments.operations import callbacks, guarded, orders, payments, rechecks
from payments.operations.orders import Blacklisted, OutTradeNoReused
from tests import factories
from tests.factories import NOW, again, the_payment
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


# --- who was not named before -----------------------------------------------------------------------------------------


def an_order_that_anybody_may_pay(app):
    return factories.a_paying_order(app=app, method="native", payer_id="")


def told_by_a_query(order, *payer_ids):
    facts = factories.paid(order, payer_ids=payer_ids)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=NOW)


def told_by_a_callback(order, *payer_ids):
    payment = the_payment(order)
    told = Callback(callback_id="c1", event_type="x", facts=factories.paid(order, payer_ids=payer_ids))
    callbacks._apply(payment.account, payment, told, body=b"", now=NOW)


@pytest.mark.parametrize("tell", [told_by_a_query, told_by_a_callback])
def test_a_blocked_payer_who_was_not_named_pays_and_a_person_is_told(app, tell):
    block("payer_hash", "o-payer-1")
    order = an_order_that_anybody_may_pay(app)
    for _ in range(3):
        tell(order, "o-known-by-two-names", "o-payer-1")
    assert again(order).status == "SUCCEEDED"
    assert LedgerEntry.objects.count() == 1
    case = Case.objects.get()
    assert (case.kind, case.order, case.payment, case.seen_count) == ("BLOCKED_PAYER", order, the_payment(order), 1)
    assert case.details == {"payer": "…er-1"}


def test_a_payment_that_is_found_late_by_a_recheck_is_looked_at_too(app, monkeypatch):
    block("payer_hash", "o-payer-1")
    order = factories.a_closed_order(app=app, method="native", payer_id="")
    answer = Accepted(facts=factories.paid(order, payer_ids=("o-payer-1",)))
    monkeypatch.setattr(guarded.GuardedChannel, "query", lambda _self, **_names: answer)
    at = the_payment(order).recheck_at
    assert rechecks.recheck_payment(payment_no=the_payment(order).pk, clock=lambda: at)
    assert sorted(Case.objects.values_list("kind", flat=True)) == ["BLOCKED_PAYER", "PAID_LATE"]


def test_somebody_else_and_somebody_who_is_not_told_open_no_case(app):
    block("payer_hash", "o-payer-1")
    for payer_ids in [(), ("o-payer-2",), ("o-payer-11",)]:
        told_by_a_query(an_order_that_anybody_may_pay(app), *payer_ids)
    assert not Case.objects.exists()


def test_who_was_named_before_the_block_may_pay_and_nobody_is_troubled(app):
    order = factories.a_paying_order(app=app)
    block("payer_hash", "o-payer-1")
    told_by_a_query(order, "o-payer-1")
    assert again(order).status == "SUCCEEDED"
    assert not Case.objects.exists()


def test_what_is_not_paid_yet_names_nobody(app):
    block("payer_hash", "o-payer-1")
    order = an_order_that_anybody_may_pay(app)
    facts = factories.paid(order, state=TradeState.NOT_PAID, payer_ids=("o-payer-1",))
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=facts), now=NOW)
    assert not Case.objects.exists()
