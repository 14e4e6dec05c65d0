"""Whatever a channel does, in its own gateway, words and signatures, a payment ends where the money is."""

from datetime import timedelta

import pytest

from openplatform.blocks import lists
from openplatform.models import BlockEntry
from payments.models import Case
from payments.operations.accounts import open_account
from payments.states import OrderStatus
from tests.factories import the_payment
from tests.faults.conftest import ACCEPTED_ALTHOUGH, NOT_EXECUTED

CASES = [(channel, fault) for channel, faults in ACCEPTED_ALTHOUGH.items() for fault in (*faults, *NOT_EXECUTED)]


@pytest.fixture
def shop(channel, open_shop):
    return open_shop(channel)


@pytest.mark.parametrize(("channel", "fault"), CASES)
def test_a_create_without_an_answer_that_counts_is_unknown_then_payable_under_the_same_number(shop, fault):
    shop.control.add_fault("create", fault, times=1)
    order = shop.drive(shop.order())
    assert order.status == OrderStatus.UNKNOWN
    order = shop.drive_until(order, "PAYING")
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
    assert order.payments.count() == 1


@pytest.mark.parametrize(("channel", "fault"), CASES)
def test_a_query_without_an_answer_that_counts_ends_nothing(shop, fault):
    order = shop.drive_until(shop.order(), "PAYING")
    shop.control.pay(str(the_payment(order).pk))
    shop.control.add_fault("query", fault, times=2)
    for _ in range(2):
        order = shop.drive(order)
        assert order.status == OrderStatus.PAYING
    assert shop.drive(order).status == OrderStatus.SUCCEEDED


@pytest.mark.parametrize("channel", list(ACCEPTED_ALTHOUGH))
def test_a_refusal_of_a_retry_does_not_fail_what_was_executed_before(shop):
    shop.control.add_fault("create", "timeout_done", times=1)
    shop.control.add_fault("create", "refused", times=1)
    order = shop.drive(shop.order())
    order = shop.drive(order)
    assert order.status == OrderStatus.UNKNOWN
    assert shop.drive_until(order, "PAYING").status == OrderStatus.PAYING


@pytest.mark.parametrize("channel", list(ACCEPTED_ALTHOUGH))
def test_late_execution_is_found_by_asking_again(shop):
    shop.control.add_fault("create", "late_execution", times=1)
    order = shop.drive(shop.order())
    assert order.status == OrderStatus.UNKNOWN
    assert shop.drive_until(order, "PAYING").status == OrderStatus.PAYING


@pytest.mark.parametrize("channel", list(ACCEPTED_ALTHOUGH))
def test_paid_before_our_own_answer_arrived_is_paid(shop):
    shop.control.add_fault("create", "timeout_done", times=1, params={"pays": "before_answer"})
    order = shop.drive(shop.order())
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED


@pytest.mark.parametrize("channel", list(ACCEPTED_ALTHOUGH))
def test_an_expired_order_is_closed_upstream_first(shop):
    order = shop.drive_until(shop.order(expires_at=shop.now() + timedelta(minutes=2)), "PAYING")
    shop.later(121)
    order = shop.drive_until(order, "CLOSED")
    assert shop.control.order(str(the_payment(order).pk))["state"] == "CLOSED"


NOBODYS_CODE = {"wechatpay": "130000000000000017", "alipay": "280000000000000017"}  # which no phone has shown


def pay_by_code(shop, code=""):
    """At the till: the payer's phone shows a code, and the order is paid by it."""
    code = code or shop.control.post("codes", {"channel": shop.channel})["code"]
    return shop.drive_until(shop.order(method="barcode", payer_id=code), "SUCCEEDED", "FAILED")


def ids_of_payer(shop, order):
    """As the channel says to a query."""
    number = the_payment(order).pk
    return open_account(shop.account).query(payment_no=number, now=shop.now()).facts.payer_ids


@pytest.mark.parametrize("channel", list(NOBODYS_CODE))  # those that say who paid
def test_who_is_on_the_blacklist_cannot_pay_by_a_bar_code_unseen(shop):
    (payer_id,) = ids_of_payer(shop, pay_by_code(shop))
    BlockEntry.block(kind="payer_hash", text=payer_id, reason="chargebacks", by="olga", now=shop.now())
    lists.forget()
    order = pay_by_code(shop)
    assert order.status == OrderStatus.SUCCEEDED, "the channel has the money, so it counts"
    case = Case.objects.get()
    assert (case.kind, case.status, case.payment) == ("BLOCKED_PAYER", "open", the_payment(order))
    assert case.details == {"payer": f"…{payer_id[-4:]}"}
    assert pay_by_code(shop, NOBODYS_CODE[shop.channel]).status == OrderStatus.SUCCEEDED
    assert Case.objects.count() == 1


@pytest.mark.parametrize("channel", list(NOBODYS_CODE))  # those that say who paid
def test_nor_by_a_code_that_anybody_may_scan_whoever_tells_us_first(shop):
    """By a query here; a callback is read by the same code and is tested with the others."""
    first = shop.drive_until(shop.order(method="native", payer_id=""), "PAYING")
    shop.control.pay(str(the_payment(first).pk))
    first = shop.drive_until(first, "SUCCEEDED")
    (payer_id,) = ids_of_payer(shop, first)
    BlockEntry.block(kind="payer_hash", text=payer_id, reason="chargebacks", by="olga", now=shop.now())
    lists.forget()
    order = shop.drive_until(shop.order(method="native", payer_id=""), "PAYING")
    shop.control.pay(str(the_payment(order).pk))
    assert shop.drive_until(order, "SUCCEEDED").status == OrderStatus.SUCCEEDED
    assert Case.objects.get().payment == the_payment(order)
