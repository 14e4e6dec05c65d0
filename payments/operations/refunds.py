"""Refunds: reserved under the order's lock before the channel is asked, and never let go by time."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from openplatform.faults import fault_point
from openplatform.models import App
from openplatform.tracing import span
from payments.channels.base import Accepted, RefundFacts, RefundRequest, RefundState, Rejected, Unknown
from payments.errors import PaymentsError
from payments.models import Case, LedgerEntry, Order, Payment, Refund, RefundWish
from payments.operations import schedules
from payments.operations.accounts import callback_url, capabilities_of, open_account
from payments.operations.guarded import GuardedChannel, open_guarded
from payments.operations.notices import owe_refund_notification
from payments.operations.orders import NotifyHostNotRegistered, lock_own_order, may_be_told
from payments.operations.payments import lock_payment
from payments.operations.returns import hint_refund
from payments.states import PaymentStatus, RefundEvent, RefundStatus

NUMBER_TAKEN = "refund_out_refund_no_unique"
Clock = Callable[[], datetime]
Told = Accepted[RefundFacts] | Rejected | Unknown
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class NotItsTurn:
    """Another refund of the payment was sent just now, and the channel wants them apart. Nothing was sent."""

    until: datetime


class OutRefundNoReused(PaymentsError):
    """This out_refund_no was used before with other content."""

    code = "OUT_REFUND_NO_REUSED"


class OrderAmountDiffers(PaymentsError):
    """The order has another amount than the one that the refund names."""

    code = "ORDER_AMOUNT_DIFFERS"


def create_refund(*, app: App, order_no: int, wish: RefundWish, now: datetime) -> tuple[Refund, bool]:
    """Record the merchant's wish to return money; the channel is asked later.

    The same number with the same content gives the refund that is there (and False). Raises NotFound,
    OutRefundNoReused, OrderNotPaid, OrderAmountDiffers, RefundExceedsPaid, NotifyHostNotRegistered.
    """
    is_told = may_be_told(app, wish.notify_url)
    try:
        with transaction.atomic(durable=True):
            order = lock_own_order(app=app, order_no=order_no)
            # Under the order's lock, so that a retry is answered before the money that it reserved is missed.
            if (known := Refund.objects.filter(app=app, out_refund_no=wish.out_refund_no).first()) is not None:
                return _same(known, wish=wish), False
            if not is_told:
                raise NotifyHostNotRegistered
            return _reserve(order, wish=wish, now=now), True
    except IntegrityError as error:
        if NUMBER_TAKEN not in str(error):
            raise
    # The same number raced on two different orders: each held its own lock, and the database decided.
    return _same(Refund.objects.get(app=app, out_refund_no=wish.out_refund_no), wish=wish), False


def _reserve(order: Order, *, wish: RefundWish, now: datetime) -> Refund:
    if wish.order_fen not in {None, order.amount_fen}:
        raise OrderAmountDiffers
    order.reserve_refund(amount_fen=wish.amount_fen)
    payment = Payment.lock(order.payments.get(status=PaymentStatus.SUCCEEDED, is_surplus=False).pk)
    refund = Refund.ask(order=order, payment=payment, wish=wish, now=now)
    refund.move(RefundEvent.SUBMITTED, now=now, next_check_at=now)
    hint_refund(refund)
    return refund


def _same(refund: Refund, *, wish: RefundWish) -> Refund:
    if refund.content_digest != wish.digest:
        raise OutRefundNoReused
    return refund


def drive_refund(*, refund_no: int, clock: Clock) -> bool:
    """Take one refund one step further. False when it was not due, not open, or in other hands.

    What may have been sent before is asked about first, and is sent again only when the channel does not know it:
    with the same number and amounts, which the channel executes once.
    """
    refund = Refund.claim(refund_no, now=clock(), lease=schedules.lease())
    if refund is None:
        return False
    with span("refunds.drive", traceparent=refund.traceparent, attributes={"fenpay.refund_no": str(refund_no)}):
        answer: Told | NotItsTurn
        try:
            answer = _ask(refund, open_guarded(refund.payment.account), clock=clock)
        except Exception as error:
            # A defect, a lost database, the soft limit: the row must not come back every lease as if nothing had been.
            logger.exception("refund %s could not be driven", refund_no)
            answer = Unknown(reason=type(error).__name__)
        record_refund(claimed=refund, answer=answer, now=clock())
    return True


def _ask(refund: Refund, channel: GuardedChannel, *, clock: Clock) -> Told | NotItsTurn:
    if refund.was_sent_before:
        known = _known_there(refund, channel, clock=clock)
        if not _is_unknown_there(known) or refund.status in {RefundStatus.PROCESSING, RefundStatus.ABNORMAL}:
            return known
    if (until := _not_before(refund, now=clock())) is not None:
        return NotItsTurn(until=until)
    answer = channel.refund(_request(refund), now=clock())
    fault_point("refund.sent_upstream")
    if isinstance(answer, Rejected):
        # A refusal is not signed, and does not undo an earlier request that was executed.
        known = _known_there(refund, channel, clock=clock)
        if not _is_unknown_there(known):
            return known
    return answer


def _not_before(refund: Refund, *, now: datetime) -> datetime | None:
    """When the channel takes this one, if another refund of the payment is not long enough ago; else None."""
    gap = capabilities_of(refund.payment.account).refund_gap
    return Payment.take_refund_turn(refund.payment_id, refund_no=refund.pk, now=now, gap=gap) if gap else None


def _known_there(refund: Refund, channel: GuardedChannel, *, clock: Clock) -> Accepted[RefundFacts] | Unknown:
    """What the channel says that it knows. A question that it refuses is about us, and says nothing of the refund."""
    answer = channel.query_refund(refund_no=refund.pk, payment_no=refund.payment_id, now=clock())
    return Unknown(reason=answer.code) if isinstance(answer, Rejected) else answer


def _is_unknown_there(answer: Accepted[RefundFacts] | Unknown) -> bool:
    return isinstance(answer, Accepted) and answer.facts.state is RefundState.NOT_FOUND


def _request(refund: Refund) -> RefundRequest:
    payment = refund.payment
    return RefundRequest(
        refund_no=refund.pk, payment_no=payment.pk, amount_fen=refund.amount_fen, paid_fen=payment.amount_fen,
        reason=refund.reason, notify_url=callback_url(payment.account),
    )  # fmt: skip


def record_refund(*, claimed: Refund, answer: Told | NotItsTurn, now: datetime) -> None:
    """Write down what the channel said. From a worker that was too slow only that the money went back is believed."""
    with transaction.atomic(durable=True):
        order, payment, refund = lock_refund(claimed.pk)
        is_ours = refund.release(claimed)
        has_moved = refund.version != claimed.version  # since the question: a callback knows more than "under way"
        if has_moved and isinstance(answer, Accepted) and answer.facts.state is RefundState.PROCESSING:
            return
        if isinstance(answer, Accepted) and (is_ours or answer.facts.state is RefundState.SUCCEEDED):
            apply_facts(order, payment, refund, facts=answer.facts, now=now)
        elif is_ours and refund.is_open and isinstance(answer, Rejected):
            _record_refusal(order, refund, answer, now=now)
        elif is_ours and refund.is_open and isinstance(answer, Unknown):
            _unknown(refund, reason=answer.reason, now=now)
        elif is_ours and refund.is_open and isinstance(answer, NotItsTurn):
            refund.check_again(at=answer.until, answer="waits for its turn")


def _record_refusal(order: Order, refund: Refund, answer: Rejected, *, now: datetime) -> None:
    """FAILED only when the channel refused, and did not know the number, often enough over some minutes.

    A refund that is called failed too early is paid twice: the merchant will ask for another one.
    """
    if refund.refused_count + 1 >= schedules.EVIDENCE_COUNT:
        because = f"{answer.code} {answer.message}".strip()
        _fail(order, refund, RefundEvent.REJECTED, code=answer.code, because=because, now=now)
    else:
        _unknown(refund, reason=answer.code, refused=True, now=now)


def apply_facts(
    order: Order, payment: Payment, refund: Refund, *, facts: RefundFacts, now: datetime, because: str = ""
) -> str:
    """Move a locked refund to what the channel says. Returns the effect, for the record.

    `because`: what a person did that it is under way again.
    """
    if facts.state is RefundState.NOT_FOUND:
        if refund.is_open:
            _unknown(refund, reason="not known to the channel", now=now)
        return "unknown"
    if facts.amount_fen != refund.amount_fen or facts.payment_no != payment.pk:
        return _report_mismatch(refund, facts=facts, now=now)
    if not refund.is_open:
        return _after_the_end(order, payment, refund, facts=facts, now=now)
    refund.channel_refund_no = facts.channel_refund_no
    match facts.state:
        case RefundState.SUCCEEDED:
            refund.move(RefundEvent.SUCCEEDED, now=now, next_check_at=None)
            _settle(order, refund, done=True)
            _post_and_tell(payment, refund, event_type="refund.succeeded", now=now)
        case RefundState.NOT_DONE:
            _fail(order, refund, RefundEvent.FAILED, code="CLOSED", because="closed by the channel", now=now)
        case RefundState.ABNORMAL:
            _abnormal(order, refund, destination=facts.destination, now=now)
        case RefundState.PROCESSING:
            _processing(refund, because=because, now=now)
    return facts.state.lower()


def _after_the_end(order: Order, payment: Payment, refund: Refund, *, facts: RefundFacts, now: datetime) -> str:
    """What the channel says of a refund that is over here. Money that moved is always posted, told and seen."""
    if refund.status == RefundStatus.FAILED and facts.state is RefundState.SUCCEEDED:
        refund.channel_refund_no = facts.channel_refund_no
        refund.move(RefundEvent.SUCCEEDED_LATE, now=now, next_check_at=None)
        counted = not refund.counts_on_order or order.count_late_refund(amount_fen=refund.amount_fen)
        Case.report(
            kind=Case.Kind.REFUND_LATE, key=str(refund.pk), order=order, refund=refund, now=now,
            details={"counted": counted},
        )  # fmt: skip
        _post_and_tell(payment, refund, event_type="refund.succeeded_late", now=now)
        return "succeeded late"
    is_told_again = (
        facts.state is RefundState.SUCCEEDED
        if refund.status == RefundStatus.SUCCEEDED
        else facts.state in {RefundState.NOT_DONE, RefundState.PROCESSING}
    )
    if is_told_again:
        return "duplicate"
    Case.report(
        kind=Case.Kind.REFUND_CONTRADICTED, key=str(refund.pk), order=order, refund=refund, now=now,
        details={"ours": refund.status, "told": facts.state},
    )  # fmt: skip
    return "contradicted"


def _settle(order: Order, refund: Refund, *, done: bool) -> None:
    if refund.counts_on_order:
        order.settle_refund(amount_fen=refund.amount_fen, done=done)


def _post_and_tell(payment: Payment, refund: Refund, *, event_type: str, now: datetime) -> None:
    LedgerEntry.post_refund(refund=refund, payment=payment, now=now)
    owe_refund_notification(refund, event_type=event_type, now=now)


def lock_refund(refund_no: int) -> tuple[Order, Payment, Refund]:
    """The order, the payment and the refund, locked in that order."""
    payment_no = Refund.objects.values_list("payment_id", flat=True).get(pk=refund_no)
    order, payment = lock_payment(payment_no)
    refund = Refund.lock(refund_no)
    refund.order, refund.payment = order, payment
    return order, payment, refund


def _processing(refund: Refund, *, because: str, now: datetime) -> None:
    schedule = open_account(refund.payment.account).refund_schedule_s
    at = schedules.at_step(schedule, step=refund.checks_count, now=now)
    if refund.status != RefundStatus.PROCESSING:
        refund.move(RefundEvent.ACCEPTED, now=now, next_check_at=at, because=because)
    else:
        refund.check_again(at=at, answer="PROCESSING")


def _abnormal(order: Order, refund: Refund, *, destination: str, now: datetime) -> None:
    """A person must act, here or at the channel. What they did is found by asking, once a day."""
    at = schedules.at_step(schedules.ABNORMAL_S, step=0, now=now)
    if refund.status == RefundStatus.ABNORMAL:
        refund.check_again(at=at, answer="ABNORMAL")
        return
    refund.move(RefundEvent.ABNORMAL, now=now, next_check_at=at)
    Case.report_again(
        kind=Case.Kind.REFUND_ABNORMAL, key=str(refund.pk), order=order, refund=refund, now=now,
        details={"destination": destination} if destination else {},
    )  # fmt: skip
    owe_refund_notification(refund, event_type="refund.abnormal", now=now)


def _unknown(refund: Refund, *, reason: str, refused: bool = False, now: datetime) -> None:
    schedule, step = schedules.UNKNOWN_S, refund.checks_count
    if refused:
        schedule, step = schedules.EVIDENCE_S, refund.refused_count
    elif refund.status == RefundStatus.ABNORMAL:
        schedule, step = schedules.ABNORMAL_S, 0
    at = schedules.at_step(schedule, step=step, now=now)
    if refund.status == RefundStatus.SUBMITTING:
        refund.move(RefundEvent.LOST, now=now, next_check_at=at, because=reason)
    refund.check_again(at=at, answer=reason, refused=refused)


def _fail(order: Order, refund: Refund, event: RefundEvent, *, code: str, because: str, now: datetime) -> None:
    """The money is certainly still with the merchant: let the reservation go."""
    refund.failure_code = code[:64]
    refund.move(event, now=now, next_check_at=None, because=because)
    _settle(order, refund, done=False)
    owe_refund_notification(refund, event_type="refund.failed", now=now)
    if refund.kind != Refund.Kind.MERCHANT:  # nobody asked for it, so nobody may be waiting for its end
        Case.report(
            kind=Case.Kind.REFUND_ABNORMAL, key=f"failed:{refund.pk}", order=order, refund=refund, now=now,
            details={"code": refund.failure_code},
        )  # fmt: skip


def _report_mismatch(refund: Refund, *, facts: RefundFacts, now: datetime) -> str:
    Case.report(
        kind=Case.Kind.AMOUNT_MISMATCH, key=f"refund:{refund.pk}", order=refund.order, refund=refund, now=now,
        details={"expected_fen": refund.amount_fen, "told_fen": facts.amount_fen},
    )  # fmt: skip
    if refund.is_open:
        _unknown(refund, reason="mismatch", now=now)
    return "mismatch"
