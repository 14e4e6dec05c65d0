"""A bar code or a QR code that is cancelled while its payer pays: the channel gives the money back, and nobody here may
go on counting on it.
"""

import pytest

from openplatform.models import Notification
from payments.channels.base import Accepted, TradeFacts, TradeState
from payments.models import Case, LedgerEntry, OrderPolicy, Refund
from payments.operations import orders, payments
from payments.states import OrderStatus, PaymentStatus
from tests import factories
from tests.factories import NOW, again, paid, the_payment

pytestmark = pytest.mark.django_db(transaction=True)
NOTIFY = {"notify_url": "https://shop.example/notify"}


def a_closing_order():
    order = factories.a_paying_order(**NOTIFY)
    orders.close_order(app=order.app, order_no=order.pk, now=NOW)
    return again(order)


def told(order, state):
    return Accepted(facts=TradeFacts(state=state, payment_no=the_payment(order).pk))


@pytest.mark.parametrize("policy", ["accept", "refund", "hold"])
def test_news_of_a_payment_that_the_channel_has_given_back_already_is_no_late_payment(policy):
    order = a_closing_order()
    OrderPolicy.choose(app=order.app, late_payment=policy)
    said_paid = paid(order)  # on its way to us while the cancel is carried out
    payments.record_query(claimed=the_payment(order), answer=told(order, TradeState.RETURNED), now=NOW)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=said_paid), now=NOW)
    assert (again(order).status, the_payment(order).status) == (OrderStatus.CLOSED, PaymentStatus.CLOSED)
    assert not LedgerEntry.objects.exists(), "the channel holds nothing for us"
    assert not Refund.objects.exists(), "it is back already"
    assert list(Notification.objects.values_list("event_type", flat=True)) == ["order.closed"]
    case = Case.objects.get()
    assert (case.kind, case.status, case.details["told"]) == ("AMOUNT_MISMATCH", "open", "PAID")


@pytest.mark.parametrize("state", [TradeState.RETURNED, TradeState.CLOSED])
def test_a_cancel_that_undid_a_payment_that_is_written_down_here_is_seen_by_a_person(state):
    order = a_closing_order()
    worker = the_payment(order)  # it has asked, heard NOTPAY, and cancels
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=paid(order)), now=NOW)
    payments.record_query(claimed=worker, answer=told(order, state), now=NOW)
    assert again(order).status == OrderStatus.SUCCEEDED, "what was told was told"
    case = Case.objects.get()
    assert (case.kind, case.status, case.details["told"]) == ("AMOUNT_MISMATCH", "open", state)


def test_a_payment_whose_money_goes_back_by_a_refund_of_ours_is_no_such_case():
    order = a_closing_order()
    worker = the_payment(order)
    payments.record_query(claimed=the_payment(order), answer=Accepted(facts=paid(order)), now=NOW)
    factories.a_submitting_refund(order=again(order), amount_fen=order.amount_fen)
    payments.record_query(claimed=worker, answer=told(order, TradeState.RETURNED), now=NOW)
    assert not Case.objects.exists()
