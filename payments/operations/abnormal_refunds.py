"""A refund that could not reach the payer: a person says where the money goes instead, and the channel is told."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from payments.channels.base import Accepted, BankCard, RedirectsRefunds, RefundFacts, RefundState, Rejected, Unknown
from payments.errors import PaymentsError
from payments.models import Case, Refund
from payments.operations import schedules
from payments.operations.accounts import open_account
from payments.operations.channel_troubles import heed_answer
from payments.operations.refunds import apply_facts, lock_refund

LOOK_AGAIN_AFTER = timedelta(seconds=10)


class RefundNotAbnormal(PaymentsError):
    """The refund does not wait for a person, or somebody is asking the channel about it right now."""

    code = "REFUND_NOT_ABNORMAL"


class RedirectRefused(PaymentsError):
    """The channel does not send this refund elsewhere."""

    code = "REDIRECT_REFUSED"


class RedirectUnknown(PaymentsError):
    """The channel gave no answer that counts. It is asked in some seconds what became of it: look again then."""

    code = "REDIRECT_UNKNOWN"


def redirect_refund(*, refund_no: int, card: BankCard | None, by: str, clock: Callable[[], datetime]) -> Refund:
    """Have an abnormal refund sent to `card`, or without one to the merchant's own account at its bank.

    `card` goes to the channel encrypted, and nowhere else. Twice is harmless: the channel refuses a second time. Raises
    RefundNotAbnormal, RedirectRefused with the channel's reason, RedirectUnknown.
    """
    refund = Refund.claim_abnormal(refund_no, now=clock(), lease=schedules.lease())
    if refund is None:
        raise RefundNotAbnormal
    answer = _ask(refund, card=card, now=clock())
    where = "a card of the payer" if card else "the merchant's own account"
    _record(refund, answer, because=f"sent to {where} by {by}", by=by, now=clock())
    if isinstance(answer, Rejected):
        raise RedirectRefused(f"{answer.code} {answer.message}".strip())
    if isinstance(answer, Unknown):
        raise RedirectUnknown
    return Refund.objects.get(pk=refund_no)


def _ask(refund: Refund, *, card: BankCard | None, now: datetime) -> Accepted[RefundFacts] | Rejected | Unknown:
    channel = open_account(refund.payment.account)
    if not isinstance(channel, RedirectsRefunds) or not refund.channel_refund_no:
        return Rejected(code="", message="this channel cannot do that")
    answer = channel.redirect_refund(
        refund_no=refund.pk, channel_refund_no=refund.channel_refund_no, card=card, now=now
    )
    heed_answer(channel, answer, now=now)
    return answer


def _record(
    claimed: Refund, answer: Accepted[RefundFacts] | Rejected | Unknown, *, because: str, by: str, now: datetime
) -> None:
    with transaction.atomic(durable=True):
        order, payment, refund = lock_refund(claimed.pk)
        refund.release(claimed)
        if isinstance(answer, Accepted):
            apply_facts(order, payment, refund, facts=answer.facts, because=because, now=now)
            if answer.facts.state in {RefundState.PROCESSING, RefundState.SUCCEEDED}:
                Case.resolve_abnormal(refund, resolution=because, by=by, now=now)
        elif isinstance(answer, Unknown) and refund.is_open:
            refund.check_again(at=now + LOOK_AGAIN_AFTER, answer=f"{because}: {answer.reason}")
