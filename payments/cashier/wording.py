"""Every sentence that a payer reads, in English; the Chinese is in payments/locale."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from enum import StrEnum

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from payments.channels.registry import CHANNELS
from payments.channels.wallets import Text
from payments.money import AmountError, AmountTooLarge, yuan_text


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a page says: what is the case, what it means for the payer, and what the button does ("" for none)."""

    title: Text
    detail: Text = ""
    button: Text = ""


class Look(StrEnum):
    """What an order's page shows: first what the server knows, then what only this phone has just seen."""

    PREPARING = "preparing"
    READY = "ready"
    SCAN = "scan"
    STALE = "stale"
    CLOSING = "closing"
    UNKNOWN = "unknown"
    PAID = "paid"
    LATE = "late"
    FAILED = "failed"
    CLOSED = "closed"
    EXPIRED = "expired"

    PAYING = "paying"
    CONFIRMING = "confirming"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    CONTRADICTED = "contradicted"
    OUTSIDE = "outside"


ORDER_WORDS: dict[Look, Words] = {
    Look.PREPARING: Words(title=_("Preparing your payment"), detail=_("This takes a moment.")),
    Look.READY: Words(title=_("Waiting for your payment"), button=_("Pay with %(wallet)s")),
    Look.SCAN: Words(
        title=_("Scan with %(wallet)s to pay"),
        detail=_("Open %(wallet)s on your phone and scan this code. The result appears here by itself."),
        button=_("Open the sandbox phone"),
    ),
    Look.STALE: Words(
        title=_("This payment can no longer be started"),
        detail=_("Go back to the merchant and start again."),
    ),
    Look.CLOSING: Words(
        title=_("This order is being closed"),
        detail=_("Do not pay now. If you have just paid, the result appears here by itself."),
    ),
    Look.UNKNOWN: Words(
        title=_("Result not known yet"),
        detail=_("%(service)s has not answered yet. Do not pay again; this page updates by itself."),
    ),
    Look.PAID: Words(title=_("Paid"), detail=_("Your payment has been received.")),
    Look.LATE: Words(
        title=_("Payment received late"),
        detail=_(
            "Your payment arrived after the order had been closed. Do not pay again: the merchant will either"
            " complete the order or refund you."
        ),
    ),
    Look.FAILED: Words(
        title=_("This order cannot be paid"),
        detail=_("%(service)s did not accept it, and nothing was charged. Go back to the merchant and start again."),
    ),
    Look.CLOSED: Words(
        title=_("This order is closed"),
        detail=_("It was not paid. If you still want to buy, go back to the merchant and start again."),
    ),
    Look.EXPIRED: Words(
        title=_("This order has expired"),
        detail=_("It was not paid in time. If you still want to buy, go back to the merchant and start again."),
    ),
    Look.PAYING: Words(title=_("Finish the payment in %(wallet)s"), detail=_("The result appears here by itself.")),
    Look.CONFIRMING: Words(
        title=_("Confirming your payment"),
        detail=_("We are waiting for %(service)s to confirm it. Do not pay again; this page updates by itself."),
    ),
    Look.CANCELLED: Words(
        title=_("You cancelled the payment"),
        detail=_("You can still pay this order."),
        button=_("Pay again"),
    ),
    Look.DECLINED: Words(
        title=_("The payment did not go through"),
        detail=_(
            "%(wallet)s could not complete it. You can try again. If it went through after all, this page shows it."
        ),
        button=_("Try again"),
    ),
    Look.CONTRADICTED: Words(
        title=_("Please do not pay again"),
        detail=_(
            "%(wallet)s reported your payment, but the order was closed meanwhile. If you were charged, the merchant"
            " will complete the order or refund you. This page updates by itself."
        ),
    ),
    Look.OUTSIDE: Words(
        title=_("Please open this page in %(wallet)s"),
        detail=_("This payment works inside %(wallet)s only. Send yourself the link there and open it."),
    ),
}

NOT_FOUND = Words(
    title=_("Page not found"),
    detail=_("This link is not valid. Scan the code again, or ask the merchant for a new link."),
)
TOO_MANY = Words(
    title=_("One moment, please"),
    # On the page of a paid order too: nothing is said of what was charged.
    detail=_(
        "Too many requests come from your network at once. Try again in a few seconds; a payment that you have made is"
        " safe."
    ),
)
SCAN_IN_THE_WALLET = Words(
    title=_("Please open this page in %(wallet)s"), detail=_("Scan the merchant's code with %(wallet)s to pay.")
)
CHOOSE = Words(
    title=_("How do you want to pay?"),
    detail=_("On a phone, the app that scans the code decides. This is the sandbox, so choose one."),
)
NOT_AVAILABLE = Words(
    title=_("Payment is not possible at the moment"),
    detail=_("The merchant cannot receive payments here. Please ask the merchant."),
)
REFUSED = Words(
    title=_("This payment is not possible"),
    detail=_("Nothing was charged. Please pay in another way, or ask the merchant."),
)
PAYER_UNKNOWN = Words(
    title=_("%(wallet)s did not say who you are"), detail=_("Nothing was charged."), button=_("Open again")
)
OTHER_BROWSER = Words(
    title=_("This link is too old, or from another phone"),
    detail=_("Nothing was charged. Open the payment page again here."),
    button=_("Open again"),
)

OPEN_AGAIN = _("This page was open for too long. Open it again to pay.")
CHANGED = _("You changed the amount after tapping pay. Check it and tap once more.")
NO_NETWORK = _("No connection. Nothing was charged; tap again when you are online.")
WAITING_FOR_NETWORK = _("No connection. This page goes on by itself when you are online.")
SERVER_DOWN = _("We cannot take your order right now. Nothing was charged; tap again in a moment.")
MALFORMED = _("Something went wrong on this page. Open it again to pay.")

AMOUNT_WORDS: dict[str, Text] = {
    "AMOUNT_MALFORMED": _("Enter the amount in yuan, in plain digits, for example 40.3"),
    "AMOUNT_HAS_EXPONENT": _("Write the amount out in full, without an exponent."),
    "AMOUNT_NOT_FINITE": _("The amount must be a number."),
    "AMOUNT_NEGATIVE": _("The amount cannot be negative."),
    "AMOUNT_NEGATIVE_ZERO": _("The amount cannot be negative."),
    "AMOUNT_ZERO": _("The amount must be at least 0.01 yuan."),
    "AMOUNT_TOO_LARGE": _("The amount can be at most %(max)s yuan."),
    "AMOUNT_HAS_PART_OF_FEN": _("At most two digits after the decimal point."),
}


def amount_words() -> dict[str, str]:
    """What is wrong with an amount, by reason, in the language of the request."""
    limit = yuan_text(settings.ORDER_AMOUNT_MAX_FEN)
    return {reason: str(words) for reason, words in AMOUNT_WORDS.items()} | {
        AmountTooLarge.reason: AMOUNT_WORDS[AmountTooLarge.reason] % {"max": limit}
    }


def amount_problem(error: AmountError) -> str:
    return amount_words()[error.reason]


def order_words(channel: str) -> dict[str, dict[str, str]]:
    """What an order's page may say, by look, in the language of the request."""
    return {look: asdict(named(words, channel=channel)) for look, words in ORDER_WORDS.items()}


def named(words: Words, *, channel: str) -> Words:
    """The same words with the names that the payer knows: of the app on the phone, and of the service in it."""
    return named_all(words, channels=[channel])


def named_all(words: Words, *, channels: Collection[str]) -> Words:
    """The same for several apps, each of which will do."""
    wallets = [CHANNELS[channel].wallet for channel in channels]
    names = {
        "wallet": " / ".join(str(wallet.app) for wallet in wallets),
        "service": " / ".join(str(wallet.service) for wallet in wallets),
    }
    return Words(**{part: str(text) % names for part, text in asdict(words).items()})
