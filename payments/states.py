"""What a payment may do: the explicit graphs of order, payment, refund and bill. Any pair that is not here is refused.

Words: an order is the merchant's wish to be paid, a payment is one try on one channel. See docs/glossary.md.
"""

from enum import StrEnum
from typing import TypeVar

from payments.errors import InvalidMove


class OrderStatus(StrEnum):
    CREATED = "CREATED"
    SUBMITTING = "SUBMITTING"  # written before the channel is asked: the status is the lock
    UNKNOWN = "UNKNOWN"  # bytes have left us and no answer that counts came back
    PAYING = "PAYING"  # the payer can pay
    CLOSING = "CLOSING"  # being closed upstream; the payer may still have been faster
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CLOSED = "CLOSED"
    SUCCEEDED_LATE = "SUCCEEDED_LATE"  # paid after we had called it closed or failed


class OrderEvent(StrEnum):
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    LOST = "LOST"
    PAID = "PAID"
    CLOSE_ASKED = "CLOSE_ASKED"
    EXPIRED = "EXPIRED"
    CLOSED = "CLOSED"
    PAID_LATE = "PAID_LATE"


class PaymentStatus(StrEnum):
    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    PAYING = "PAYING"
    CLOSING = "CLOSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CLOSED = "CLOSED"


class RefundStatus(StrEnum):
    CREATED = "CREATED"
    SUBMITTING = "SUBMITTING"
    UNKNOWN = "UNKNOWN"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABNORMAL = "ABNORMAL"  # the money could not reach the payer; a person must act


class RefundEvent(StrEnum):
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    LOST = "LOST"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABNORMAL = "ABNORMAL"
    SUCCEEDED_LATE = "SUCCEEDED_LATE"  # done after we had called it failed


class BillKind(StrEnum):
    TRADE = "trade"  # each payment and refund
    FUND_FLOW = "fund_flow"  # each movement of the merchant's money at the channel
    FUND_FLOW_OPERATION = "fund_flow_operation"  # the same of its operating account
    FUND_FLOW_FEES = "fund_flow_fees"  # the same of its account for fees


class BillStatus(StrEnum):
    WAITED_FOR = "WAITED_FOR"
    FETCHED = "FETCHED"
    EMPTY = "EMPTY"  # the channel says that nothing happened on that day
    MISSING = "MISSING"  # should have been there for a day; still asked for, now and then
    REFUSED = "REFUSED"  # the account may not have it; still asked for, now and then


class BillEvent(StrEnum):
    FETCHED = "FETCHED"
    EMPTY = "EMPTY"
    OVERDUE = "OVERDUE"
    REFUSED = "REFUSED"


class RowKind(StrEnum):
    """What a line of a trade bill is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    REVERSAL = "reversal"  # a bar code's payment that was taken back without a refund of its own


class RowState(StrEnum):
    PAID = "PAID"
    PROCESSING = "PROCESSING"
    SUCCEEDED = "SUCCEEDED"
    NOT_DONE = "NOT_DONE"
    ABNORMAL = "ABNORMAL"


_O, _OE = OrderStatus, OrderEvent
_OPEN_ORDER = (_O.SUBMITTING, _O.UNKNOWN, _O.PAYING, _O.CLOSING)

ORDER_MOVES: dict[tuple[OrderStatus, OrderEvent], OrderStatus] = {
    (_O.CREATED, _OE.SUBMITTED): _O.SUBMITTING,
    (_O.SUBMITTING, _OE.ACCEPTED): _O.PAYING,
    (_O.SUBMITTING, _OE.REJECTED): _O.FAILED,
    (_O.SUBMITTING, _OE.LOST): _O.UNKNOWN,
    (_O.UNKNOWN, _OE.ACCEPTED): _O.PAYING,
    (_O.UNKNOWN, _OE.REJECTED): _O.FAILED,
    # A bar code is refused after the payer was asked for a password.
    (_O.PAYING, _OE.REJECTED): _O.FAILED,
    # The channel's callback may overtake its answer to our own request.
    **{(status, _OE.PAID): _O.SUCCEEDED for status in _OPEN_ORDER},
    **{(status, event): _O.CLOSING for status in _OPEN_ORDER[:-1] for event in (_OE.CLOSE_ASKED, _OE.EXPIRED)},
    # The channel may close by itself at the time that we gave it.
    **{(status, _OE.CLOSED): _O.CLOSED for status in _OPEN_ORDER},
    (_O.CLOSED, _OE.PAID_LATE): _O.SUCCEEDED_LATE,
    (_O.FAILED, _OE.PAID_LATE): _O.SUCCEEDED_LATE,
}

_P = PaymentStatus
_OPEN_PAYMENT = (_P.SUBMITTING, _P.UNKNOWN, _P.PAYING, _P.CLOSING)

PAYMENT_MOVES: dict[tuple[PaymentStatus, OrderEvent], PaymentStatus] = {
    (_P.SUBMITTING, _OE.ACCEPTED): _P.PAYING,
    (_P.SUBMITTING, _OE.REJECTED): _P.FAILED,
    (_P.SUBMITTING, _OE.LOST): _P.UNKNOWN,
    (_P.UNKNOWN, _OE.ACCEPTED): _P.PAYING,
    (_P.UNKNOWN, _OE.REJECTED): _P.FAILED,
    (_P.PAYING, _OE.REJECTED): _P.FAILED,
    **{(status, _OE.PAID): _P.SUCCEEDED for status in _OPEN_PAYMENT},
    **{(status, event): _P.CLOSING for status in _OPEN_PAYMENT[:-1] for event in (_OE.CLOSE_ASKED, _OE.EXPIRED)},
    **{(status, _OE.CLOSED): _P.CLOSED for status in _OPEN_PAYMENT},
    (_P.CLOSED, _OE.PAID_LATE): _P.SUCCEEDED,
    (_P.FAILED, _OE.PAID_LATE): _P.SUCCEEDED,
}

_R, _RE = RefundStatus, RefundEvent
_OPEN_REFUND = (_R.SUBMITTING, _R.UNKNOWN, _R.PROCESSING, _R.ABNORMAL)

REFUND_MOVES: dict[tuple[RefundStatus, RefundEvent], RefundStatus] = {
    (_R.CREATED, _RE.SUBMITTED): _R.SUBMITTING,
    (_R.SUBMITTING, _RE.ACCEPTED): _R.PROCESSING,
    (_R.SUBMITTING, _RE.REJECTED): _R.FAILED,
    (_R.SUBMITTING, _RE.LOST): _R.UNKNOWN,
    (_R.UNKNOWN, _RE.ACCEPTED): _R.PROCESSING,
    (_R.UNKNOWN, _RE.REJECTED): _R.FAILED,
    **{(status, _RE.SUCCEEDED): _R.SUCCEEDED for status in _OPEN_REFUND},
    # FAILED only when the channel says that the money is still with the merchant; never by time.
    **{(status, _RE.FAILED): _R.FAILED for status in _OPEN_REFUND},
    **{(status, _RE.ABNORMAL): _R.ABNORMAL for status in _OPEN_REFUND[:-1]},
    # A person has acted, here or at the channel: the money is on its way again.
    (_R.ABNORMAL, _RE.ACCEPTED): _R.PROCESSING,
    (_R.FAILED, _RE.SUCCEEDED_LATE): _R.SUCCEEDED,
}

_B, _BE = BillStatus, BillEvent
_NO_BILL = (_B.WAITED_FOR, _B.MISSING, _B.REFUSED)

# Nothing leads away from FETCHED: another file for the same day stands beside the first.
BILL_MOVES: dict[tuple[BillStatus, BillEvent], BillStatus] = {
    **{(status, _BE.FETCHED): _B.FETCHED for status in (*_NO_BILL, _B.EMPTY)},
    **{(status, _BE.EMPTY): _B.EMPTY for status in _NO_BILL},
    (_B.WAITED_FOR, _BE.OVERDUE): _B.MISSING,
    **{(status, _BE.REFUSED): _B.REFUSED for status in (_B.WAITED_FOR, _B.MISSING)},
}

ORDER_OPEN = frozenset(_OPEN_ORDER)
ORDER_PAID = frozenset({_O.SUCCEEDED, _O.SUCCEEDED_LATE})
ORDER_UNPAID = frozenset({_O.CLOSED, _O.FAILED})
PAYMENT_OPEN = frozenset(_OPEN_PAYMENT)
BILL_SETTLED = frozenset({_B.FETCHED, _B.EMPTY})  # the channel has said what happened on that day
REFUND_OPEN = frozenset(_OPEN_REFUND)  # ABNORMAL waits for a person, who may act at the channel: it is asked about too


def next_order_status(status: OrderStatus, event: OrderEvent) -> OrderStatus:
    """Where `event` takes an order in `status`. Raises InvalidMove for any pair that is not in the table."""
    return _next(ORDER_MOVES, status, event, noun="order")


def next_payment_status(status: PaymentStatus, event: OrderEvent) -> PaymentStatus:
    """Where `event` takes a payment in `status`. Raises InvalidMove for any pair that is not in the table."""
    return _next(PAYMENT_MOVES, status, event, noun="payment")


def next_refund_status(status: RefundStatus, event: RefundEvent) -> RefundStatus:
    """Where `event` takes a refund in `status`. Raises InvalidMove for any pair that is not in the table."""
    return _next(REFUND_MOVES, status, event, noun="refund")


def next_bill_status(status: BillStatus, event: BillEvent) -> BillStatus:
    """Where `event` takes a bill in `status`. Raises InvalidMove for any pair that is not in the table."""
    return _next(BILL_MOVES, status, event, noun="bill")


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def _next(moves: dict[tuple[S, E], S], status: S, event: E, *, noun: str) -> S:
    try:
        return moves[status, event]
    except KeyError:
        raise InvalidMove(f"The {noun} is {status} and cannot take {event}.") from None
