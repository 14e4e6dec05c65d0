"""Waiting for an order or a refund to move on, by looking again and again: for a caller who asked us to."""

import time
from collections.abc import Callable, Container
from typing import TypeVar

from payments.models import Order, Refund
from payments.states import OrderStatus, RefundStatus

POLL_FIRST_S, POLL_LAST_S = 0.03, 0.25

Row = TypeVar("Row", Order, Refund)

# What a caller who waits is waiting to see the end of.
ORDER_IN_FLIGHT = frozenset({OrderStatus.SUBMITTING})
ORDER_ENDING = frozenset({OrderStatus.CLOSING})
REFUND_IN_FLIGHT = frozenset({RefundStatus.SUBMITTING})


def wait_for_order(order: Order, *, in_states: frozenset[OrderStatus], wait_s: float) -> Order:
    """The order once its status has left `in_states`, or as it is after `wait_s` seconds."""
    return _wait(lambda: Order.objects.select_related("app").get(pk=order.pk), in_states=in_states, wait_s=wait_s)


def wait_for_refund(refund: Refund, *, in_states: frozenset[RefundStatus], wait_s: float) -> Refund:
    """The refund once its status has left `in_states`, or as it is after `wait_s` seconds."""
    return _wait(lambda: Refund.objects.select_related("order").get(pk=refund.pk), in_states=in_states, wait_s=wait_s)


def _wait(read: Callable[[], Row], *, in_states: Container[str], wait_s: float) -> Row:
    ends_at, pause_s = time.monotonic() + wait_s, POLL_FIRST_S
    row = read()
    while row.status in in_states and (left := ends_at - time.monotonic()) > 0:
        time.sleep(min(pause_s, left))
        pause_s = min(pause_s * 1.5, POLL_LAST_S)
        row = read()
    return row
