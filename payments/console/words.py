"""How states and events are named and coloured for operators. The code word itself stays beside its translation."""

from django.utils.functional import Promise
from django.utils.translation import pgettext_lazy

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

CHANNELS: dict[str, Word] = {
    "wechatpay": pgettext_lazy("channel", "WeChat Pay"),
    "alipay": pgettext_lazy("channel", "Alipay"),
}


def status_word(status: str) -> Word:
    return STATUSES.get(status, status)


def event_word(event: str) -> Word:
    return EVENTS.get(event, event)


def channel_word(channel: str) -> Word:
    return CHANNELS.get(channel, channel)


def tone(status: str) -> str:
    return TONES.get(status, "quiet")
