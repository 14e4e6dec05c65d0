"""Driving one payment: ask the channel outside any transaction, then write down what it said.

`drive_payment` may be killed at any line. The claim is a lease that runs out, the status tells the next worker where
the money may be, and asking again with the same number is always safe.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from openplatform.faults import fault_point
from openplatform.tracing import span
from payments.channels.base import Accepted, Channel, PayRequest, Prepay, Rejected, TradeFacts, TradeState, Unknown
from payments.models import Case, LedgerEntry, Order, Payment
from payments.operations import schedules
from payments.operations.accounts import callback_url, open_account
from payments.operations.notices import owe_order_notification
from payments.operations.orders import begin_closing
from payments.states import ORDER_OPEN, ORDER_UNPAID, OrderEvent, OrderStatus, PaymentStatus

Clock = Callable[[], datetime]


def drive_payment(*, payment_no: int, clock: Clock) -> bool:
    """Take one payment one step further. False when it was not due, not open, or in other hands.

    Steps: not yet accepted → query (if it may have been sent before) → create; payable → query, and close when it has
    expired; closing → query → close → query.
    """
    payment = Payment.claim(payment_no, now=clock(), lease=schedules.lease())
    if payment is None:
        return False
    with span("payments.drive", traceparent=payment.traceparent, attributes={"fenpay.payment_no": str(payment_no)}):
        channel = open_account(payment.account)
        match PaymentStatus(payment.status):
            case PaymentStatus.SUBMITTING | PaymentStatus.UNKNOWN:
                _submit(payment, channel, clock=clock)
            case PaymentStatus.PAYING:
                _look(payment, channel, clock=clock)
            case PaymentStatus.CLOSING:
                _close(payment, channel, clock=clock)
            case _:
                raise AssertionError("claim returns open payments only")
    return True


def _submit(payment: Payment, channel: Channel, *, clock: Clock) -> None:
    """Get the payment accepted. What may have been sent before is asked about first: it may even be paid."""
    is_known_upstream = False
    if payment.was_sent_before:
        answer = channel.query(payment_no=payment.pk, now=clock())
        if not isinstance(answer, Accepted) or answer.facts.state in {TradeState.PAID, TradeState.CLOSED}:
            record_query(payment_no=payment.pk, answer=answer, now=clock())
            return
        is_known_upstream = answer.facts.state is TradeState.NOT_PAID
    if clock() >= payment.order.expires_at:
        record_expiry(payment_no=payment.pk, now=clock())
        return
    created = channel.create(_request(payment), now=clock())
    fault_point("payment.created_upstream")
    if isinstance(created, Rejected) and is_known_upstream:
        created = Unknown(reason=created.code)  # an earlier request was executed: this refusal does not undo it
    record_create(payment_no=payment.pk, answer=created, now=clock())


def _look(payment: Payment, channel: Channel, *, clock: Clock) -> None:
    if clock() >= payment.order.expires_at:
        record_expiry(payment_no=payment.pk, now=clock())
        return
    answer = channel.query(payment_no=payment.pk, now=clock())
    if _still_wanted(answer) and payment.prepay_has_run_out(now=clock()):
        # The same number and the same content again: the channel gives fresh parameters for the same trade.
        record_prepay(payment_no=payment.pk, answer=channel.create(_request(payment), now=clock()), now=clock())
    record_query(payment_no=payment.pk, answer=answer, now=clock())


def _still_wanted(answer: Accepted[TradeFacts] | Rejected | Unknown) -> bool:
    return isinstance(answer, Accepted) and answer.facts.state is TradeState.NOT_PAID


def _close(payment: Payment, channel: Channel, *, clock: Clock) -> None:
    """Query → close upstream → confirm by query. Only a query that says CLOSED, or knows nothing, closes here."""
    before = channel.query(payment_no=payment.pk, now=clock())
    if isinstance(before, Accepted) and before.facts.state is TradeState.NOT_PAID:
        channel.close(payment_no=payment.pk, now=clock())  # whatever it answers, the query decides
        fault_point("payment.closed_upstream")
        before = channel.query(payment_no=payment.pk, now=clock())
    record_query(payment_no=payment.pk, answer=before, now=clock())


def _request(payment: Payment) -> PayRequest:
    return PayRequest(
        payment_no=payment.pk, method=payment.method, amount_fen=payment.amount_fen, subject=payment.order.subject,
        payer_id=payment.payer_id, expires_at=payment.order.expires_at, notify_url=callback_url(payment.account),
    )  # fmt: skip


def record_create(*, payment_no: int, answer: Accepted[Prepay] | Rejected | Unknown, now: datetime) -> None:
    """Write down what the channel said to a create. A callback may have been faster: then this adds nothing."""
    with transaction.atomic(durable=True):
        order, payment = lock_payment(payment_no)
        payment.release()
        if payment.status not in {PaymentStatus.SUBMITTING, PaymentStatus.UNKNOWN}:
            return
        match answer:
            case Accepted(facts=prepay):
                payment.remember_prepay(prepay=prepay.values, expires_at=now + prepay.valid_for)
                _move_both(order, payment, OrderEvent.ACCEPTED, now=now, at=_next_query(payment, order, now=now))
            case Rejected(code=code, message=message):
                order.failure_code = code[:64]
                _move_both(order, payment, OrderEvent.REJECTED, now=now, because=f"{code} {message}".strip())
                owe_order_notification(order, event_type="order.failed", now=now)
            case Unknown():
                _record_unknown(order, payment, answer, now=now)


def record_prepay(*, payment_no: int, answer: Accepted[Prepay] | Rejected | Unknown, now: datetime) -> None:
    """Write down fresh parameters for the payer's page. Any other answer changes nothing; it is tried again."""
    if not isinstance(answer, Accepted):
        return
    with transaction.atomic(durable=True):
        _order, payment = lock_payment(payment_no)
        if payment.status == PaymentStatus.PAYING:
            payment.remember_prepay(prepay=answer.facts.values, expires_at=now + answer.facts.valid_for)
            payment.save(update_fields=["prepay", "prepay_expires_at"])


def record_query(*, payment_no: int, answer: Accepted[TradeFacts] | Rejected | Unknown, now: datetime) -> None:
    """Write down what the channel said to a query. Anything but a clear statement only means: ask again."""
    with transaction.atomic(durable=True):
        order, payment = lock_payment(payment_no)
        payment.release()
        if not isinstance(answer, Accepted):
            if payment.is_open:
                _record_unknown(order, payment, answer, now=now)
            return
        facts = answer.facts
        if facts.state is TradeState.PAID:
            record_paid(order, payment, facts=facts, now=now)
        elif payment.is_open:
            _record_unpaid(order, payment, facts=facts, now=now)


def record_paid(order: Order, payment: Payment, *, facts: TradeFacts, now: datetime) -> str:
    """Write down that the channel has the payer's money. Both rows are locked. Returns the effect, for the record.

    A wrong amount moves nothing and opens a case. Money that comes after a close is kept, and said so.
    """
    if payment.status == PaymentStatus.SUCCEEDED:
        return "duplicate"
    if facts.amount_fen != payment.amount_fen or facts.currency != order.currency:
        return _report_mismatch(payment, facts=facts, now=now)
    late = not payment.is_open
    payment.remember_paid(channel_trade_no=facts.channel_trade_no, paid_at=facts.paid_at or now)
    payment.move(OrderEvent.PAID_LATE if late else OrderEvent.PAID, now=now, next_check_at=None)
    LedgerEntry.post_payment(payment=payment, now=now)
    if OrderStatus(order.status) in ORDER_OPEN:
        order.move(OrderEvent.PAID, now=now)
        owe_order_notification(order, event_type="order.succeeded", now=now)
        return "paid"
    if OrderStatus(order.status) in ORDER_UNPAID:
        order.move(OrderEvent.PAID_LATE, now=now)
        owe_order_notification(order, event_type="order.succeeded_late", now=now)
        Case.report(kind=Case.Kind.PAID_LATE, key=str(payment.pk), order=order, payment=payment, now=now)
        return "paid late"
    Case.report(kind=Case.Kind.DUPLICATE_PAID, key=str(payment.pk), order=order, payment=payment, now=now)
    return "paid twice"


def record_expiry(*, payment_no: int, now: datetime) -> None:
    """The time that the payer had is over: begin to close. The channel is asked before anything ends here."""
    with transaction.atomic(durable=True):
        order, payment = lock_payment(payment_no)
        payment.release()
        if payment.is_open and payment.status != PaymentStatus.CLOSING:
            begin_closing(order, event=OrderEvent.EXPIRED, now=now)


def lock_payment(payment_no: int) -> tuple[Order, Payment]:
    """The order and its payment, locked in that order."""
    order = Order.lock(Payment.objects.values_list("order_id", flat=True).get(pk=payment_no))
    return order, Payment.lock(payment_no)


def _record_unpaid(order: Order, payment: Payment, *, facts: TradeFacts, now: datetime) -> None:
    closing = payment.status == PaymentStatus.CLOSING
    never_arrived = (
        closing and facts.state is TradeState.NOT_FOUND and payment.checks_count + 1 >= schedules.NOT_FOUND_CHECKS
    )
    if facts.state is TradeState.CLOSED or never_arrived:
        _move_both(order, payment, OrderEvent.CLOSED, now=now, because=facts.state)
        owe_order_notification(order, event_type="order.closed", now=now)
        return
    if closing:
        at = schedules.at_step(schedules.CLOSING_S, step=payment.checks_count, now=now)
    else:
        at = _next_query(payment, order, now=now)
    payment.check_again(at=at, answer=facts.state)


def _record_unknown(order: Order, payment: Payment, answer: Rejected | Unknown, *, now: datetime) -> None:
    reason = answer.reason if isinstance(answer, Unknown) else answer.code
    at = schedules.at_step(schedules.UNKNOWN_S, step=payment.checks_count, now=now)
    if payment.status == PaymentStatus.SUBMITTING:
        _move_both(order, payment, OrderEvent.LOST, now=now, at=at, because=reason)
    else:
        payment.check_again(at=at, answer=reason)


def _move_both(
    order: Order, payment: Payment, event: OrderEvent, *, now: datetime, at: datetime | None = None, because: str = ""
) -> None:
    payment.move(event, now=now, next_check_at=at, because=because)
    order.move(event, now=now, because=because)


def _next_query(payment: Payment, order: Order, *, now: datetime) -> datetime:
    """By the channel's schedule, but not past the end of the parameters or of the order: then there is work to do."""
    at = schedules.at_step(open_account(payment.account).query_schedule_s, step=payment.checks_count, now=now)
    ends = [end for end in (payment.prepay_expires_at, order.expires_at) if end is not None and end > now]
    return min([at, *ends])


def _report_mismatch(payment: Payment, *, facts: TradeFacts, now: datetime) -> str:
    """Quarantine: nothing moves, a person looks, and an open payment is asked about again later."""
    Case.report(
        kind=Case.Kind.AMOUNT_MISMATCH, key=str(payment.pk), order=payment.order, payment=payment, now=now,
        details={"expected_fen": payment.amount_fen, "told_fen": facts.amount_fen, "currency": facts.currency},
    )  # fmt: skip
    if payment.is_open:
        at = schedules.at_step(schedules.UNKNOWN_S, step=payment.checks_count, now=now)
        payment.check_again(at=at, answer="amount mismatch")
    return "amount mismatch"
