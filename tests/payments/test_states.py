"""The graphs hold for every (status, event) pair, and no path loses money."""

from itertools import product

import pytest

from payments import states
from payments.errors import InvalidMove
from payments.states import BillEvent, BillStatus, OrderEvent, OrderStatus, PaymentStatus, RefundEvent, RefundStatus

GRAPHS = {
    "order": (OrderStatus, OrderEvent, states.ORDER_MOVES, states.next_order_status),
    "payment": (PaymentStatus, OrderEvent, states.PAYMENT_MOVES, states.next_payment_status),
    "refund": (RefundStatus, RefundEvent, states.REFUND_MOVES, states.next_refund_status),
    "bill": (BillStatus, BillEvent, states.BILL_MOVES, states.next_bill_status),
}
PAIRS = [
    (name, status, event)
    for name, (statuses, events, _, _) in GRAPHS.items()
    for status, event in product(statuses, events)
]


@pytest.mark.parametrize(("name", "status", "event"), PAIRS, ids=[f"{n}-{s}-{e}" for n, s, e in PAIRS])
def test_each_pair_moves_by_the_table_or_is_refused(name, status, event):
    _, _, moves, next_status = GRAPHS[name]
    if (status, event) in moves:
        assert next_status(status, event) == moves[status, event]
    else:
        with pytest.raises(InvalidMove):
            next_status(status, event)


def reachable(moves, start):
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for (status, _), there in moves.items():
            if status == here and there not in seen:
                seen.add(there)
                todo.append(there)
    return seen


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("order", OrderStatus.CREATED),
        ("payment", PaymentStatus.SUBMITTING),
        ("refund", RefundStatus.CREATED),
        ("bill", BillStatus.WAITED_FOR),
    ],
)
def test_every_status_can_be_reached(name, start):
    statuses, _, moves, _ = GRAPHS[name]
    assert reachable(moves, start) == set(statuses)


@pytest.mark.parametrize("status", sorted(states.ORDER_OPEN | states.ORDER_UNPAID))
def test_money_that_arrives_is_never_refused(status):
    event = OrderEvent.PAID if status in states.ORDER_OPEN else OrderEvent.PAID_LATE
    assert states.next_order_status(status, event) in states.ORDER_PAID


@pytest.mark.parametrize("status", sorted(states.ORDER_PAID))
def test_a_paid_order_stays_paid(status):
    assert reachable(states.ORDER_MOVES, status) == {status}


@pytest.mark.parametrize("status", [PaymentStatus.UNKNOWN, PaymentStatus.PAYING, PaymentStatus.CLOSING])
def test_expiry_alone_never_ends_a_payment(status):
    following = states.PAYMENT_MOVES.get((status, OrderEvent.EXPIRED), status)
    assert following in states.PAYMENT_OPEN


def test_an_unknown_refund_can_still_become_anything():
    assert reachable(states.REFUND_MOVES, RefundStatus.UNKNOWN) >= {
        RefundStatus.SUCCEEDED, RefundStatus.FAILED, RefundStatus.ABNORMAL, RefundStatus.PROCESSING,
    }  # fmt: skip


def test_a_bill_that_is_here_stays_here_and_one_that_is_not_can_still_come():
    assert reachable(states.BILL_MOVES, BillStatus.FETCHED) == {BillStatus.FETCHED}
    for status in set(BillStatus) - {BillStatus.FETCHED}:
        assert states.next_bill_status(status, BillEvent.FETCHED) == BillStatus.FETCHED
