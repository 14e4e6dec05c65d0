"""Asking about payments that ended unpaid, some days in a row: the last chance to hear of money that came late.

A callback may have been lost with all its repeats, and a payer may have been faster than a close that was confirmed.
The day's bill would tell of the money too; this finds it without one.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from openplatform.hints import send_now
from openplatform.tracing import span
from payments import queries
from payments.channels.base import Accepted, TradeState
from payments.models import Payment
from payments.operations.accounts import open_account
from payments.operations.guarded import GuardedChannel
from payments.operations.payments import RECHECK_AFTER, lock_payment, record_paid

TIMES = 3  # the bill of a day is there on the next one, and rows move over midnight by one more
AGAIN_AFTER = timedelta(hours=1)
BATCH_MAX = 500


def recheck_payment(*, payment_no: int, clock: Callable[[], datetime]) -> bool:
    """Ask once about an ended payment. False when it is not due, or somebody else is at it."""
    now = clock()
    payment = Payment.claim_recheck(payment_no, now=now, again_at=now + AGAIN_AFTER)
    if payment is None:
        return False
    with span("payments.recheck", traceparent=payment.traceparent, attributes={"fenpay.payment_no": str(payment_no)}):
        answer = GuardedChannel(open_account(payment.account)).query(payment_no=payment.pk, now=clock())
    if not isinstance(answer, Accepted):
        return True  # asked again in an hour, until it is known: a refused question says nothing of the money
    with transaction.atomic(durable=True):
        order, row = lock_payment(payment.pk)
        if answer.facts.state is TradeState.PAID:
            record_paid(order, row, facts=answer.facts, now=clock())
        row.plan_recheck(at=_next(row, now=now))
    return True


def sweep_rechecks(*, now: datetime) -> int:
    """Wake workers for the ended payments that are due. Returns how many."""
    due = queries.due_rechecks(now=now, limit=BATCH_MAX)
    for done, payment in enumerate(due):
        if not send_now("payments.recheck_payment", queue=f"channel.{payment.channel}", payment_no=payment.pk):
            return done
    return len(due)


def _next(payment: Payment, *, now: datetime) -> datetime | None:
    """None once it is paid, or was asked about often enough."""
    is_over = payment.paid_at is not None or payment.recheck_count >= TIMES
    return None if is_over else now + RECHECK_AFTER
