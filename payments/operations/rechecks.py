"""Asking about payments that ended unpaid, day by day, until the bills of their days have told.

A callback may have been lost with all its repeats, and a payer may have been faster than a close that was confirmed.
Where an account has no bills, some days in a row are the last chance to hear of money that came late.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from openplatform.hints import send_now
from openplatform.tracing import span
from payments import queries
from payments.channels.base import Accepted, TradeState
from payments.channels.registry import queue_of
from payments.models import Payment
from payments.operations.bill_evidence import BillsSay, what_bills_say
from payments.operations.guarded import open_guarded
from payments.operations.payers import blocked_payer
from payments.operations.payments import RECHECK_AFTER, lock_payment, record_paid
from payments.operations.sweeps import channels_with_room

TIMES = 3  # without bills: by then the merchant's own reports have told, too
AGAIN_AFTER = timedelta(hours=1)


def recheck_payment(*, payment_no: int, clock: Callable[[], datetime]) -> bool:
    """Ask once about an ended payment, unless the bills have told. False when it is not due, or somebody is at it."""
    now = clock()
    payment = Payment.claim_recheck(payment_no, now=now, again_at=now + AGAIN_AFTER)
    if payment is None:
        return False
    with span("payments.recheck", traceparent=payment.traceparent, attributes={"fenpay.payment_no": str(payment_no)}):
        said = what_bills_say(payment, now=now)
        if said is BillsSay.UNPAID:
            _confirm_unpaid(payment, now=now)
        else:
            _ask(payment, said=said, clock=clock)
    return True


def _confirm_unpaid(payment: Payment, *, now: datetime) -> None:
    with transaction.atomic(durable=True):
        _order, row = lock_payment(payment.pk)
        if row.paid_at is None:  # a callback may have been faster than the bills
            row.confirm_unpaid(now=now)


def _ask(payment: Payment, *, said: BillsSay, clock: Callable[[], datetime]) -> None:
    answer = open_guarded(payment.account).query(payment_no=payment.pk, now=clock())
    if not isinstance(answer, Accepted):
        return  # asked again in an hour, until it is known: a refused question says nothing of the money
    blocked = blocked_payer(payment, facts=answer.facts, now=clock())
    with transaction.atomic(durable=True):
        order, row = lock_payment(payment.pk)
        if answer.facts.state is TradeState.PAID:
            record_paid(order, row, facts=answer.facts, blocked=blocked, now=clock())
        row.plan_recheck(at=_next(row, said=said, now=clock()))


def sweep_rechecks(*, now: datetime) -> int:
    """Wake workers for the ended payments that are due. Returns how many."""
    done = 0
    for channel, room in channels_with_room():
        for payment in queries.due_rechecks(now=now, limit=room, channel=channel):
            if not send_now("payments.recheck_payment", queue=queue_of(channel), payment_no=payment.pk):
                return done
            done += 1
    return done


def _next(payment: Payment, *, said: BillsSay, now: datetime) -> datetime | None:
    """None once it is paid, or was asked about often enough and no bill is still to come."""
    is_enough = payment.recheck_count >= TIMES and said is not BillsSay.LATER
    return None if payment.paid_at is not None or is_enough else now + RECHECK_AFTER
