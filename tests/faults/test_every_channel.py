"""Whatever a channel does, in its own gateway, words and signatures, a payment ends where the money is."""

from datetime import timedelta

import pytest

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
def test_an_expired_order_is_closed_upstream_first(shop):
    order = shop.drive_until(shop.order(expires_at=shop.now() + timedelta(minutes=2)), "PAYING")
    shop.later(121)
    order = shop.drive_until(order, "CLOSED")
    assert shop.control.order(str(the_payment(order).pk))["state"] == "CLOSED"
