"""Who has paid, where nobody was named before: by a bar code, or by a code that anybody may scan."""

from datetime import datetime

from openplatform.blocks.lists import current_lists
from payments.channels.base import TradeFacts
from payments.models import Case, Payment

TAIL_LENGTH = 4


def blocked_payer(payment: Payment, *, facts: TradeFacts, now: datetime) -> str:
    """The end of the id of a payer on the blacklist who paid; "" for anybody else, and where the channel tells nobody.

    Whoever was named when the order was placed was asked about then: an order from before a block may be paid. Not to
    be called inside a transaction.
    """
    strangers = [payer_id for payer_id in facts.payer_ids if payer_id != payment.payer_id]
    if not strangers:
        return ""
    lists = current_lists()
    blocked = (payer_id for payer_id in strangers if lists.blocks_payer(payer_id, now=now))
    return next(blocked, "")[-TAIL_LENGTH:]


def report_blocked_payer(payment: Payment, *, tail: str, now: datetime) -> None:
    """The money is there and counts, and a person decides: goods may be gone already. Nothing when `tail` is ""."""
    if tail:
        Case.report(
            kind=Case.Kind.BLOCKED_PAYER, key=str(payment.pk), order=payment.order, payment=payment, now=now,
            details={"payer": f"…{tail}"},
        )  # fmt: skip
