"""How states and events are named and coloured for operators. The code word itself stays beside its translation."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from payments.channels.registry import CHANNELS

Word = str | Promise

STATUSES: dict[str, Word] = {
    "CREATED": pgettext_lazy("status", "created"),
    "SUBMITTING": pgettext_lazy("status", "submitting"),
    "UNKNOWN": pgettext_lazy("status", "not known"),
    "PAYING": pgettext_lazy("status", "waiting for the payer"),
    "CLOSING": pgettext_lazy("status", "closing"),
    "SUCCEEDED": pgettext_lazy("status", "succeeded"),
    "FAILED": pgettext_lazy("status", "failed"),
    "CLOSED": pgettext_lazy("status", "closed"),
    "SUCCEEDED_LATE": pgettext_lazy("status", "paid after close"),
    "PROCESSING": pgettext_lazy("status", "processing"),
    "ABNORMAL": pgettext_lazy("status", "needs a person"),
    "owed": pgettext_lazy("status", "owed"),
    "delivered": pgettext_lazy("status", "delivered"),
    "held": pgettext_lazy("status", "given up"),
    "gone": pgettext_lazy("status", "not wanted"),
    "open": pgettext_lazy("status", "open"),
    "resolved": pgettext_lazy("status", "resolved"),
    "WAITED_FOR": pgettext_lazy("status", "waited for"),
    "FETCHED": pgettext_lazy("status", "fetched"),
    "EMPTY": pgettext_lazy("status", "empty"),
    "MISSING": pgettext_lazy("status", "missing"),
    "REFUSED": pgettext_lazy("status", "refused"),
    "PAID": pgettext_lazy("status", "paid"),
    "NOT_DONE": pgettext_lazy("status", "not done"),
}

# good: done; busy: somebody else's turn; warn: look at it soon; bad: a person must act; quiet: over, and nothing to do.
TONES: dict[str, str] = {
    "CREATED": "busy",
    "SUBMITTING": "busy",
    "UNKNOWN": "warn",
    "PAYING": "busy",
    "CLOSING": "busy",
    "SUCCEEDED": "good",
    "FAILED": "bad",
    "CLOSED": "quiet",
    "SUCCEEDED_LATE": "warn",
    "PROCESSING": "busy",
    "ABNORMAL": "bad",
    "owed": "busy",
    "delivered": "good",
    "held": "bad",
    "gone": "quiet",
    "open": "bad",
    "resolved": "quiet",
    "WAITED_FOR": "busy",
    "FETCHED": "good",
    "EMPTY": "quiet",
    "MISSING": "bad",
    "REFUSED": "bad",
    "PAID": "good",
    "NOT_DONE": "quiet",
}

EVENTS: dict[str, Word] = {
    "SUBMITTED": pgettext_lazy("event", "written down, about to be sent"),
    "ACCEPTED": pgettext_lazy("event", "accepted by the channel"),
    "REJECTED": pgettext_lazy("event", "refused by the channel"),
    "LOST": pgettext_lazy("event", "sent, but the answer was lost"),
    "PAID": pgettext_lazy("event", "paid"),
    "CLOSE_ASKED": pgettext_lazy("event", "close asked for"),
    "EXPIRED": pgettext_lazy("event", "expired"),
    "CLOSED": pgettext_lazy("event", "closed by the channel"),
    "PAID_LATE": pgettext_lazy("event", "paid after close"),
    "SUCCEEDED": pgettext_lazy("event", "money returned"),
    "FAILED": pgettext_lazy("event", "failed: the money is still with the merchant"),
    "ABNORMAL": pgettext_lazy("event", "could not reach the payer"),
}


BILL_KINDS: dict[str, Word] = {
    "trade": pgettext_lazy("bill", "payments and refunds"),
    "fund_flow": pgettext_lazy("bill", "fund flow"),
    "fund_flow_operation": pgettext_lazy("bill", "fund flow: operating account"),
    "fund_flow_fees": pgettext_lazy("bill", "fund flow: account for fees"),
}

ROW_KINDS: dict[str, Word] = {
    "payment": pgettext_lazy("bill", "payment"),
    "refund": pgettext_lazy("bill", "refund"),
    "reversal": pgettext_lazy("bill", "taken back"),
}

# Counts and sums over a bill's rows.
BILL_SUMS: dict[str, Word] = {
    "count": pgettext_lazy("bill", "rows"),
    "paid_count": pgettext_lazy("bill", "payments"),
    "paid_fen": pgettext_lazy("bill", "paid"),
    "settled_paid_fen": pgettext_lazy("bill", "of it the merchant's"),
    "refunded_count": pgettext_lazy("bill", "refunds"),
    "refunded_fen": pgettext_lazy("bill", "refunded"),
    "settled_refunded_fen": pgettext_lazy("bill", "of it from the merchant"),
    "fee_millifen": pgettext_lazy("bill", "fees"),
    "in_count": pgettext_lazy("bill", "movements in"),
    "in_fen": pgettext_lazy("bill", "came in"),
    "out_count": pgettext_lazy("bill", "movements out"),
    "out_fen": pgettext_lazy("bill", "went out"),
}


def bill_kind_word(kind: str) -> Word:
    return BILL_KINDS.get(kind, kind)


def row_kind_word(kind: str) -> Word:
    return ROW_KINDS.get(kind, kind)


def status_word(status: str) -> Word:
    return STATUSES.get(status, status)


def event_word(event: str) -> Word:
    return EVENTS.get(event, event)


def channel_word(channel: str) -> Word:
    """Its name, and whether it is only a model of one."""
    if channel not in CHANNELS:
        return channel or _("every wallet")
    known = CHANNELS[channel]
    return _("%(channel)s (model)") % {"channel": known.label} if known.is_model else known.label


def tone(status: str) -> str:
    return TONES.get(status, "quiet")
