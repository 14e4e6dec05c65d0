"""Driving one payment: ask the channel outside any transaction, then write down what it said.

`drive_payment` may be killed at any line. The claim is a lease that runs out, the status tells the next worker where
the money may be, and asking again with the same number is always safe.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from openplatform.faults import fault_point
from openplatform.tracing import span
from payments.channels.base import Accepted, PayRequest, Prepay, Rejected, TradeFacts, TradeState, Unknown
from payments.models import Case, ChannelAccount, LatePayment, LedgerEntry, Order, OrderPolicy, Payment
from payments.operations import schedules
from payments.operations.accounts import (
    callback_url,
    capabilities_of,
    cashier_url,
    next_account,
    open_account,
)
from payments.operations.guarded import GuardedChannel, open_guarded
from payments.operations.notices import owe_order_notification
from payments.operations.orders import begin_closing, hint_payment
from payments.operations.payers import blocked_payer, report_blocked_payer
from payments.operations.returns import return_late, return_surplus
from payments.states import ORDER_OPEN, ORDER_UNPAID, PAYMENT_OPEN, OrderEvent, OrderStatus, PaymentStatus

Clock = Callable[[], datetime]
RECHECK_AFTER = timedelta(days=1)  # of a payment that ended unpaid, see payments.operations.rechecks
BY_POLICY = "policy of the app"
logger = logging.getLogger(__name__)


def drive_payment(*, payment_no: int, clock: Clock) -> bool:
    """Take one payment one step further. False when it was not due, not open, or in other hands.

    Steps: not yet accepted → query (if it may have been sent before) → create; payable → query, and close when it has
    expired; closing → query → close → query.
    """
    payment = Payment.claim(payment_no, now=clock(), lease=schedules.lease())
    if payment is None:
        return False
    with span("payments.drive", traceparent=payment.traceparent, attributes={"fenpay.payment_no": str(payment_no)}):
        try:
            _step(payment, clock=clock)
        except Exception as error:
            # A defect, a lost database, the soft limit: the row must not come back every lease as if nothing had been.
            logger.exception("payment %s could not be driven", payment_no)
            record_query(claimed=payment, answer=Unknown(reason=type(error).__name__), now=clock())
    return True


def _step(payment: Payment, *, clock: Clock) -> None:
    channel = open_guarded(payment.account)
    match PaymentStatus(payment.status):
        case PaymentStatus.PAYING:
            _look(payment, channel, clock=clock)
        case PaymentStatus.CLOSING:
            _close(payment, channel, clock=clock)
        case _:
            _submit(payment, channel, clock=clock)


def _submit(payment: Payment, channel: GuardedChannel, *, clock: Clock) -> None:
    """Get the payment accepted. What may have been sent before is asked about first: it may even be paid."""
    if payment.was_sent_before:
        answer = channel.query(payment_no=payment.pk, now=clock())
        if not isinstance(answer, Accepted) or answer.facts.state not in {TradeState.NOT_FOUND, TradeState.NOT_PAID}:
            record_query(claimed=payment, answer=answer, now=clock())
            return
    if clock() >= payment.order.expires_at:
        record_expiry(claimed=payment, now=clock())
        return
    created = channel.create(_request(payment), now=clock())
    fault_point("payment.created_upstream")
    is_unknown_there = False
    if isinstance(created, Rejected):
        # A refusal is not signed, and does not undo an earlier request that was executed.
        known = channel.query(payment_no=payment.pk, now=clock())
        is_unknown_there = isinstance(known, Accepted) and known.facts.state in {
            TradeState.NOT_FOUND,
            TradeState.FAILED,
        }
    record_create(claimed=payment, answer=created, is_unknown_there=is_unknown_there, now=clock())


def _look(payment: Payment, channel: GuardedChannel, *, clock: Clock) -> None:
    if clock() >= payment.order.expires_at:
        record_expiry(claimed=payment, now=clock())
        return
    answer = channel.query(payment_no=payment.pk, now=clock())
    if payment.prepay_has_run_out(now=clock()) and _still_wanted(payment, answer):
        # The same number and the same content again: the channel gives fresh parameters for the same trade.
        record_prepay(payment_no=payment.pk, answer=channel.create(_request(payment), now=clock()), now=clock())
    record_query(claimed=payment, answer=answer, now=clock())


def _still_wanted(payment: Payment, answer: Accepted[TradeFacts] | Rejected | Unknown) -> bool:
    """Not paid yet; nor begun, where the channel only knows of a payment once the payer has begun it."""
    wanted = {TradeState.NOT_PAID}
    if _begins_with_the_payer(payment):
        wanted.add(TradeState.NOT_FOUND)
    return isinstance(answer, Accepted) and answer.facts.state in wanted


def _begins_with_the_payer(payment: Payment) -> bool:
    return payment.method in capabilities_of(payment.account).unseen_methods


def _close(payment: Payment, channel: GuardedChannel, *, clock: Clock) -> None:
    """Query → close upstream → confirm by query. What is not known there yet is closed too: it may still arrive."""
    answer = channel.query(payment_no=payment.pk, now=clock())
    if isinstance(answer, Accepted) and answer.facts.state in {TradeState.NOT_PAID, TradeState.NOT_FOUND}:
        channel.close(
            payment_no=payment.pk, method=payment.method, now=clock()
        )  # whatever it answers, the query decides
        fault_point("payment.closed_upstream")
        answer = channel.query(payment_no=payment.pk, now=clock())
    record_query(claimed=payment, answer=answer, now=clock())


def _request(payment: Payment) -> PayRequest:
    shows_code = "auth_code" in capabilities_of(payment.account).methods[payment.method]
    return PayRequest(
        payment_no=payment.pk, method=payment.method, amount_fen=payment.amount_fen, subject=payment.order.subject,
        payer_id="" if shows_code else payment.payer_id, auth_code=payment.payer_id if shows_code else "",
        client_ip=payment.client_ip or "", begun_at=payment.created_at, expires_at=payment.order.expires_at,
        notify_url=callback_url(payment.account), page_url=cashier_url(payment.order),
    )  # fmt: skip


def record_create(
    *, claimed: Payment, answer: Accepted[Prepay | TradeFacts] | Rejected | Unknown, is_unknown_there: bool = False,
    now: datetime,
) -> None:  # fmt: skip
    """Write down what the channel said to a create. A callback may have been faster: then this adds nothing.

    `is_unknown_there`: asked again after a refusal, the channel does not know the number either.
    """
    if isinstance(answer, Accepted) and isinstance(answer.facts, TradeFacts) and answer.facts.state is TradeState.PAID:
        record_query(claimed=claimed, answer=Accepted(facts=answer.facts), now=now)  # a bar code is paid at once
        return
    with transaction.atomic(durable=True):
        order, payment = lock_payment(claimed.pk)
        is_ours = payment.release(claimed)
        if payment.status not in {PaymentStatus.SUBMITTING, PaymentStatus.UNKNOWN}:
            return
        if isinstance(answer, Accepted):
            if isinstance(answer.facts, Prepay):
                prepay = answer.facts
                payment.remember_prepay(prepay=prepay.values, expires_at=now + prepay.valid_for)
            _move_both(order, payment, OrderEvent.ACCEPTED, now=now, at=_next_query(payment, order, now=now))
        elif is_ours:
            _record_refusal(order, payment, answer, is_unknown_there=is_unknown_there, now=now)


def _record_refusal(
    order: Order, payment: Payment, answer: Rejected | Unknown, *, is_unknown_there: bool, now: datetime
) -> None:
    """FAILED when nothing was ever sent but this, or when the same refusal came often enough; else ask again."""
    counts = isinstance(answer, Rejected) and is_unknown_there
    is_enough = not payment.was_sent_before or payment.refused_count + 1 >= schedules.EVIDENCE_COUNT
    if isinstance(answer, Rejected) and counts and is_enough:
        because = f"{answer.code} {answer.message}".strip()
        if answer.account_refused and (account := next_account(payment)) is not None:
            _turn_to(account, order=order, payment=payment, because=because, now=now)
            return
        order.failure_code = answer.code[:64]
        _move_both(order, payment, OrderEvent.REJECTED, now=now, because=because)
        owe_order_notification(order, event_type="order.failed", now=now)
        return
    _record_unknown(order, payment, answer, refused=counts, now=now)


def _turn_to(account: ChannelAccount, *, order: Order, payment: Payment, because: str, now: datetime) -> None:
    """Try the merchant's next account, under a number of its own. The payer cannot have paid: the channel has refused
    this one and does not know it, and nothing of it was ever shown.
    """
    payment.move(OrderEvent.REJECTED, now=now, next_check_at=None, because=because)
    payment.plan_recheck(at=now + RECHECK_AFTER)
    another = Payment.start(
        order=order, account=account, payer_id=payment.payer_id, client_ip=payment.client_ip or "", now=now
    )
    hint_payment(another)
    logger.error("account %s is refused by its channel; account %s is asked instead", payment.account_id, account.pk)


def record_prepay(
    *, payment_no: int, answer: Accepted[Prepay | TradeFacts] | Rejected | Unknown, now: datetime
) -> None:
    """Write down fresh parameters for the payer's page. Any other answer changes nothing; it is tried again."""
    if not isinstance(answer, Accepted) or not isinstance(answer.facts, Prepay):
        return
    with transaction.atomic(durable=True):
        _order, payment = lock_payment(payment_no)
        if payment.status == PaymentStatus.PAYING:
            payment.remember_prepay(prepay=answer.facts.values, expires_at=now + answer.facts.valid_for)
            payment.save(update_fields=["prepay", "prepay_expires_at"])


def record_query(*, claimed: Payment, answer: Accepted[TradeFacts] | Rejected | Unknown, now: datetime) -> None:
    """Write down what the channel said to a query. Anything but a clear statement only means: ask again.

    From a worker that was too slow only what cannot become untrue is believed: that the channel has the money.
    """
    blocked = blocked_payer(claimed, facts=answer.facts, now=now) if isinstance(answer, Accepted) else ""
    with transaction.atomic(durable=True):
        order, payment = lock_payment(claimed.pk)
        is_ours = payment.release(claimed)
        if isinstance(answer, Accepted) and answer.facts.state is TradeState.PAID:
            record_paid(order, payment, facts=answer.facts, blocked=blocked, now=now)
        elif is_ours and payment.status == PaymentStatus.SUCCEEDED and isinstance(answer, Accepted):
            _check_not_undone(payment, facts=answer.facts, now=now)
        elif not (is_ours and payment.is_open):
            return
        elif isinstance(answer, Accepted):
            _record_unpaid(order, payment, facts=answer.facts, now=now)
        else:
            _record_unknown(order, payment, answer, now=now)


def record_paid(order: Order, payment: Payment, *, facts: TradeFacts, blocked: str, now: datetime) -> str:
    """Write down that the channel has the payer's money. Both rows are locked. Returns the effect, for the record.

    A wrong amount moves nothing and opens a case. Money that comes after a close is kept, and said so. `blocked` is
    what blocked_payer() said, before the transaction.
    """
    is_expected = facts.amount_fen == payment.amount_fen and facts.currency == order.currency
    if payment.status == PaymentStatus.SUCCEEDED and is_expected and facts.channel_trade_no == payment.channel_trade_no:
        return "duplicate"
    if payment.status == PaymentStatus.SUCCEEDED or not is_expected or payment.is_number_taken(facts.channel_trade_no):
        return _report_mismatch(payment, facts=facts, now=now)
    if payment.status == PaymentStatus.CLOSED and payment.last_answer == TradeState.RETURNED:
        # Told before the cancel, and slower than it: the channel itself said since that the payer has the money.
        return _report_undone(payment, facts=facts, now=now)
    late = not payment.is_open
    payment.is_surplus = order.is_paid
    payment.remember_paid(channel_trade_no=facts.channel_trade_no, paid_at=facts.paid_at or now)
    payment.move(OrderEvent.PAID_LATE if late else OrderEvent.PAID, now=now, next_check_at=None)
    LedgerEntry.post_payment(payment=payment, now=now)
    report_blocked_payer(payment, tail=blocked, now=now)
    if OrderStatus(order.status) in ORDER_OPEN:
        order.move(OrderEvent.PAID, now=now)
        owe_order_notification(order, event_type="order.succeeded", now=now)
        _close_other(order, now=now)
        return "paid"
    if OrderStatus(order.status) in ORDER_UNPAID:
        return _record_late(order, payment, now=now)
    return _record_surplus(order, payment, now=now)


def _record_late(order: Order, payment: Payment, *, now: datetime) -> str:
    """The money came after we had called the order closed or failed; what becomes of it is the merchant's policy."""
    order.move(OrderEvent.PAID_LATE, now=now)
    case = Case.report(kind=Case.Kind.PAID_LATE, key=str(payment.pk), order=order, payment=payment, now=now)
    wanted = OrderPolicy.of(order.app_id).late_payment
    if wanted == LatePayment.REFUND:
        refund = return_late(payment, order=order, now=now)
        case.resolve(resolution=f"refund {refund.pk}", by=BY_POLICY, now=now)
    elif wanted == LatePayment.ACCEPT:
        case.resolve(resolution="accepted", by=BY_POLICY, now=now)
    # Behind the decision: what goes back at once is not told in words that have no "late".
    owe_order_notification(order, event_type="order.succeeded_late", now=now)
    return "paid late"


def _record_surplus(order: Order, payment: Payment, *, now: datetime) -> str:
    """The order is paid already, by another try. Nobody may keep this money: it goes back by itself."""
    refund = return_surplus(payment, order=order, now=now)
    Case.report(
        kind=Case.Kind.DUPLICATE_PAID, key=str(payment.pk), order=order, payment=payment, refund=refund, now=now
    )
    owe_order_notification(order, event_type="order.duplicate_paid", now=now)
    return "paid twice"


def _close_other(order: Order, *, now: datetime) -> None:
    """Another try that is still open must not be paid too."""
    number = order.payments.filter(status__in=[status.value for status in PAYMENT_OPEN]).values_list("pk").first()
    if number is None:
        return
    other = Payment.lock(number[0])  # a worker claims without the order's lock: what was read before may be old
    if other.status != PaymentStatus.CLOSING:
        other.move(OrderEvent.CLOSE_ASKED, now=now, next_check_at=now, because="the order is paid by another try")
    hint_payment(other)


def _check_not_undone(payment: Payment, *, facts: TradeFacts, now: datetime) -> None:
    """The payer paid between our query and our cancel, and we heard of that first: the cancel gave the money back."""
    if facts.state in {TradeState.CLOSED, TradeState.RETURNED} and not payment.refunds.exists():
        _report_undone(payment, facts=facts, now=now)


def _report_undone(payment: Payment, *, facts: TradeFacts, now: datetime) -> str:
    """Paid here and given back there, or the other way round: nothing moves, and a person looks."""
    Case.report(
        kind=Case.Kind.AMOUNT_MISMATCH, key=f"undone:{payment.pk}", order=payment.order, payment=payment, now=now,
        details={"ours": payment.status, "told": facts.state},
    )  # fmt: skip
    logger.error("payment %s is %s here, and the channel says %s", payment.pk, payment.status, facts.state)
    return "given back"


def record_expiry(*, claimed: Payment, now: datetime) -> None:
    """The time that the payer had is over: begin to close. The channel is asked before anything ends here."""
    with transaction.atomic(durable=True):
        order, payment = lock_payment(claimed.pk)
        if payment.release(claimed) and payment.is_open and payment.status != PaymentStatus.CLOSING:
            begin_closing(order, event=OrderEvent.EXPIRED, now=now)


def lock_payment(payment_no: int) -> tuple[Order, Payment]:
    """The order and its payment, locked in that order."""
    order = Order.lock(Payment.objects.values_list("order_id", flat=True).get(pk=payment_no))
    return order, Payment.lock(payment_no)


def _record_unpaid(order: Order, payment: Payment, *, facts: TradeFacts, now: datetime) -> None:
    is_closing, is_unknown_there = payment.status == PaymentStatus.CLOSING, facts.state is TradeState.NOT_FOUND
    if facts.state is TradeState.FAILED and not is_closing:
        order.failure_code = "PAYER_REFUSED"
        _move_both(order, payment, OrderEvent.REJECTED, now=now, because=facts.state)
        owe_order_notification(order, event_type="order.failed", now=now)
        return
    # One that the channel has accepted, signed, cannot have never arrived there, unless it only begins with the payer.
    may_be_unknown = not payment.prepay or _begins_with_the_payer(payment)
    never_arrived = (
        is_closing and is_unknown_there and may_be_unknown and payment.not_found_count + 1 >= schedules.EVIDENCE_COUNT
    )
    if facts.state in {TradeState.CLOSED, TradeState.RETURNED, TradeState.FAILED} or never_arrived:
        payment.last_answer = facts.state  # saved by the move; what was given back stays known as that
        _move_both(order, payment, OrderEvent.CLOSED, now=now, because=facts.state)
        if order.status == OrderStatus.CLOSED:
            owe_order_notification(order, event_type="order.closed", now=now)
        return
    if is_closing:
        at = schedules.at_step(schedules.CLOSING_S, step=payment.checks_count, now=now)
    else:
        at = _next_query(payment, order, now=now)
    payment.check_again(at=at, answer=facts.state, not_found=is_unknown_there)


def _record_unknown(
    order: Order, payment: Payment, answer: Rejected | Unknown, *, refused: bool = False, now: datetime
) -> None:
    reason = answer.reason if isinstance(answer, Unknown) else answer.code
    schedule, step = schedules.UNKNOWN_S, payment.checks_count
    if refused:
        schedule, step = schedules.EVIDENCE_S, payment.refused_count
    at = schedules.at_step(schedule, step=step, now=now)
    if payment.status == PaymentStatus.SUBMITTING:
        payment.move(OrderEvent.LOST, now=now, next_check_at=at, because=reason)
        if order.status == OrderStatus.SUBMITTING:  # else it is unknown already, since an earlier try
            order.move(OrderEvent.LOST, now=now, because=reason)
    payment.check_again(at=at, answer=reason, refused=refused)


def _move_both(
    order: Order, payment: Payment, event: OrderEvent, *, now: datetime, at: datetime | None = None, because: str = ""
) -> None:
    """Move the payment, and the order unless it is over: another of its tries was paid."""
    payment.move(event, now=now, next_check_at=at, because=because)
    if not payment.is_open:
        payment.plan_recheck(at=now + RECHECK_AFTER)
    if OrderStatus(order.status) in ORDER_OPEN:
        order.move(event, now=now, because=because)


def _next_query(payment: Payment, order: Order, *, now: datetime) -> datetime:
    """By the channel's schedule, but not past the end of the parameters or of the order: then there is work to do."""
    is_at_till = "auth_code" in capabilities_of(payment.account).methods[payment.method]
    schedule = schedules.AT_THE_TILL_S if is_at_till else open_account(payment.account).query_schedule_s
    at = schedules.at_step(schedule, step=payment.checks_count, now=now)
    ends = [end for end in (payment.prepay_expires_at, order.expires_at) if end is not None and end > now]
    return min([at, *ends])


def _report_mismatch(payment: Payment, *, facts: TradeFacts, now: datetime) -> str:
    """Quarantine: nothing moves, a person looks, and an open payment is asked about again later."""
    Case.report(
        kind=Case.Kind.AMOUNT_MISMATCH, key=str(payment.pk), order=payment.order, payment=payment, now=now,
        details={
            "expected_fen": payment.amount_fen, "told_fen": facts.amount_fen, "currency": facts.currency,
            "expected_number": payment.channel_trade_no, "told_number": facts.channel_trade_no,
        },
    )  # fmt: skip
    if payment.is_open:
        at = schedules.at_step(schedules.UNKNOWN_S, step=payment.checks_count, now=now)
        payment.check_again(at=at, answer="mismatch")
    return "mismatch"
