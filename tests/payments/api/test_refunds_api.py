"""`/openapi/v1/refunds`: what a merchant's engineer sees."""

import pytest

from payments.channels.base import Accepted, RefundState
from payments.models import Refund
from payments.operations import payments, refunds
from tests import factories
from tests.factories import again, the_payment

ASYNC = {"Prefer": "respond-async"}


def wish(order, **changes):
    fields = {"out_refund_no": "R20261123000001", "order_no": str(order.pk), "amount": "10", "reason": "洒了"}
    return {name: value for name, value in (fields | changes).items() if value is not None}


@pytest.fixture
def order(merchant):
    return factories.a_paid_order(app=merchant.app)


def test_a_refund_is_reserved_and_answered_with_202_while_nobody_has_asked_the_channel(merchant, order):
    answer = merchant.post("/refunds", wish(order), **ASYNC)
    assert (answer.status, answer.fields["status"], answer.fields["amount_fen"]) == (202, "SUBMITTING", 1000)
    assert again(order).refund_reserved_fen == 1000
    assert answer.is_signed


def test_the_order_may_be_named_by_the_merchants_number(merchant, order):
    answer = merchant.post("/refunds", wish(order, order_no=None, out_trade_no=order.out_trade_no), **ASYNC)
    assert answer.fields["order_no"] == str(order.pk)


@pytest.mark.parametrize("named", [{"order_no": None}, {"out_trade_no": "T00000001"}], ids=["by nothing", "by both"])
def test_the_order_must_be_named_once(merchant, order, named):
    answer = merchant.post("/refunds", wish(order, **named), **ASYNC)
    assert (answer.status, answer.code) == (400, "PARAM_ERROR")
    assert "order_no" in answer.reasons


def test_repeating_a_refund_is_the_same_refund(merchant, order):
    first = merchant.post("/refunds", wish(order), **ASYNC)
    second = merchant.post("/refunds", wish(order), **ASYNC)
    assert first.fields["refund_no"] == second.fields["refund_no"]
    assert again(order).refund_reserved_fen == 1000


def test_the_same_number_with_another_amount_is_refused(merchant, order):
    merchant.post("/refunds", wish(order), **ASYNC)
    answer = merchant.post("/refunds", wish(order, amount="11"), **ASYNC)
    assert (answer.status, answer.code) == (422, "OUT_REFUND_NO_REUSED")
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("amount", "status", "code"),
    [("40.31", 409, "REFUND_EXCEEDS_PAID"), ("0", 400, "PARAM_ERROR"), ("-1", 400, "PARAM_ERROR")],
)
def test_an_amount_that_cannot_be_refunded_is_refused(merchant, order, amount, status, code):
    answer = merchant.post("/refunds", wish(order, amount=amount), **ASYNC)
    assert (answer.status, answer.code) == (status, code)
    assert again(order).refund_reserved_fen == 0


def test_an_unpaid_order_cannot_be_refunded(merchant):
    answer = merchant.post("/refunds", wish(factories.a_paying_order(app=merchant.app)), **ASYNC)
    assert (answer.status, answer.code) == (409, "INVALID_STATE")


def test_a_refusal_is_not_repeated_under_the_same_idempotency_key_when_it_is_no_longer_true(merchant):
    """Not found, then not paid, then done; and what was done is told again and not done twice."""
    key = {"Idempotency-Key": "refund-2026-11-23-1"}
    fields = {"out_refund_no": "R20261123000009", "amount": "10", "out_trade_no": "T20261123000009"}

    def ask():
        return merchant.post("/refunds", fields, **key)

    assert (ask().status, ask().code) == (404, "NOT_FOUND")
    order = factories.a_paying_order(app=merchant.app, out_trade_no="T20261123000009")
    assert (ask().status, ask().code) == (409, "INVALID_STATE")
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=factories.paid(order)), now=factories.NOW)
    assert ask().status == 202
    refund = Refund.objects.get()
    facts = factories.refund_said(refund, RefundState.SUCCEEDED)
    refunds.record_refund(claimed=refund, answer=Accepted(facts=facts), now=factories.NOW)
    first, second = ask(), ask()
    assert (first.status, second.status) == (200, 200)
    assert (first.headers.get("Idempotent-Replayed"), second.headers.get("Idempotent-Replayed")) == (None, "true")
    assert Refund.objects.count() == 1


def test_another_apps_order_cannot_be_refunded_and_its_refunds_cannot_be_seen(merchant, stranger, order):
    assert stranger.post("/refunds", wish(order), **ASYNC).code == "NOT_FOUND"
    refund = factories.a_submitting_refund(order=order)
    for path in (f"/refunds/{refund.pk}", f"/refunds/out-refund-no/{refund.out_refund_no}"):
        assert merchant.get(path).fields["refund_no"] == str(refund.pk)
        assert stranger.get(path).code == "NOT_FOUND"
    assert Refund.objects.count() == 1
