"""Callbacks: verify, read, lock, apply once, and only then acknowledge."""

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from openplatform.tracing import current_traceparent, span, trace_id_of
from payments.channels.base import Callback as Told
from payments.channels.base import CallbackRefused, RefundFacts, TradeFacts, TradeState
from payments.models import Callback, Case, ChannelAccount, Payment, Refund
from payments.operations.accounts import open_account
from payments.operations.channel_troubles import heed_callback
from payments.operations.payers import blocked_payer
from payments.operations.payments import lock_payment, record_paid
from payments.operations.refunds import apply_facts, lock_refund

logger = logging.getLogger(__name__)


def receive_callback(
    *, channel: str, account_id: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> tuple[int, bytes] | None:
    """HTTP status and body that the channel expects, or None when there is no such account.

    What cannot be verified is refused and writes nothing. What is verified and belongs to nobody here becomes a case,
    and is refused too, so that the channel keeps telling us.
    """
    account = ChannelAccount.objects.filter(pk=account_id, channel=channel).first()
    if account is None:
        return None
    opened = open_account(account)
    try:
        told = opened.read_callback(headers=headers, body=body, now=now)
    except CallbackRefused as error:
        logger.warning("callback refused: %s (account %s)", error.reason, account_id)
        heed_callback(account, error, now=now)
        return opened.callback_answer(problem="not accepted")
    payment = Payment.objects.filter(pk=told.facts.payment_no, account=account).first()
    if payment is None or told.mismatch:
        _report_foreign(account, told, payment=payment, now=now)
        return opened.callback_answer(problem="not known here")
    with span("callbacks.apply", traceparent=payment.traceparent):
        effect = _apply(account, payment, told, body=body, now=now)
    return opened.callback_answer(problem="" if effect else "not known here")


def _apply(account: ChannelAccount, payment: Payment, told: Told, *, body: bytes, now: datetime) -> str:
    """Apply once. The row of the callback and its effect are one transaction: either both are there or none.

    A copy of what is applied already is told so without the lock: fifty at once need not wait for each other.
    """
    if _was_applied(account, told):
        return "duplicate"
    if isinstance(told.facts, RefundFacts):
        return _apply_refund(account, payment, told, told.facts, body=body, now=now)
    blocked = blocked_payer(payment, facts=told.facts, now=now)
    with transaction.atomic(durable=True):
        order, payment = lock_payment(payment.pk)
        if _was_applied(account, told):
            return "duplicate"
        effect = "nothing"
        if told.facts.state is TradeState.PAID:
            effect = record_paid(order, payment, facts=told.facts, blocked=blocked, now=now)
        _write(account, told, payment=payment, refund=None, effect=effect, body=body, now=now)
        return effect


def _apply_refund(
    account: ChannelAccount, payment: Payment, told: Told, facts: RefundFacts, *, body: bytes, now: datetime
) -> str:
    if not Refund.objects.filter(pk=facts.refund_no, payment=payment).exists():
        _report_foreign(account, told, payment=payment, now=now)
        return ""
    with transaction.atomic(durable=True):
        order, payment, refund = lock_refund(facts.refund_no)
        if _was_applied(account, told):
            return "duplicate"
        effect = apply_facts(order, payment, refund, facts=facts, now=now)
        _write(account, told, payment=payment, refund=refund, effect=effect, body=body, now=now)
        return effect


def _was_applied(account: ChannelAccount, told: Told) -> bool:
    """Asked once more under the payment's lock, where of two first copies one sees the other."""
    return Callback.objects.filter(account=account, channel_callback_id=told.callback_id).exists()


def _write(
    account: ChannelAccount, told: Told, *, payment: Payment, refund: Refund | None, effect: str, body: bytes,
    now: datetime,
) -> None:  # fmt: skip
    Callback.objects.create(
        account=account, channel_callback_id=told.callback_id, event_type=told.event_type[:32],
        kind=Callback.Kind.REFUND if refund else Callback.Kind.PAYMENT, order_id=payment.order_id, payment=payment,
        refund=refund, effect=effect, body=body.decode("utf-8", "replace"), received_at=now,
        trace_id=trace_id_of(current_traceparent()),
    )  # fmt: skip


def _report_foreign(account: ChannelAccount, told: Told, *, payment: Payment | None, now: datetime) -> None:
    facts = told.facts
    Case.report(
        kind=Case.Kind.FOREIGN_CALLBACK, key=f"{account.pk}:{told.callback_id}"[:100], account=account,
        payment=payment, order=payment and payment.order, now=now,
        details={
            "event_type": told.event_type, "mismatch": told.mismatch, "payment_no": str(facts.payment_no),
            "amount_fen": facts.amount_fen,
            "channel_number": facts.channel_trade_no if isinstance(facts, TradeFacts) else facts.channel_refund_no,
        },
    )  # fmt: skip
    logger.error("callback for nobody here: account %s, case opened", account.pk)
