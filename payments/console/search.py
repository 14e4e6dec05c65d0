"""Finding rows by a number that somebody reads out. Exact and indexed: a search that scans a table is one click away
from a slow database.
"""

from dataclasses import dataclass

from django.db.models import Q

from openplatform.models import App, Notification
from payments.models import Order, Payment, Refund

BIGINT_MAX = 2**63 - 1
DIGITS_MAX = 19
TEXT_LENGTH_MAX = 64
ORDERS_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an operator typed: always text, and a number too when it is one that we could have given out."""

    text: str
    number: int | None

    @classmethod
    def read(cls, typed: str) -> "Told":
        text = typed.replace("\0", "").strip()[:TEXT_LENGTH_MAX]
        is_number = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX and int(text) <= BIGINT_MAX
        return cls(text=text, number=int(text) if is_number else None)

    def matches(self, *, numbers: tuple[str, ...] = (), texts: tuple[str, ...] = ()) -> Q:
        """Rows where one of these fields is exactly what was typed."""
        found = Q(pk__in=[])
        if self.number is not None:
            for field in numbers:
                found |= Q(**{field: self.number})
        for field in texts:
            found |= Q(**{field: self.text})
        return found


def orders_about(told: Told) -> list[int]:
    """The order numbers that any number of an order, of its payments, refunds or notifications leads to."""
    found = set(Order.objects.filter(told.matches(numbers=("pk",))).values_list("pk", flat=True))
    found |= set(Order.objects.filter(out_trade_no=told.text).values_list("pk", flat=True)[:ORDERS_MAX])
    payments = Payment.objects.filter(told.matches(numbers=("pk",), texts=("channel_trade_no",)))
    found |= set(payments.values_list("order_id", flat=True)[:ORDERS_MAX])
    refunds = Refund.objects.filter(told.matches(numbers=("pk",), texts=("out_refund_no", "channel_refund_no")))
    found |= set(refunds.values_list("order_id", flat=True)[:ORDERS_MAX])
    return sorted(found)


def order_of_number(number: int) -> int | None:
    """The order that an order's, a refund's or a notification's number belongs to."""
    notified = Notification.objects.filter(pk=number).values_list("object_no", flat=True).first()
    number = number if notified is None else notified
    if Order.objects.filter(pk=number).exists():
        return number
    return Refund.objects.filter(pk=number).values_list("order_id", flat=True).first()


def app_id_of(told: Told) -> int | None:
    """What was typed, if it is the id of an app."""
    if told.number is None:
        return None
    return App.objects.filter(pk=told.number).values_list("pk", flat=True).first()
