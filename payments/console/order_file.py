"""Everything there is about one order, read by a fixed number of indexed queries."""

from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Model, Prefetch, QuerySet

from openplatform.models import Notification, NotificationAttempt
from payments.models import Callback, Case, LedgerEntry, Order, Payment, Posting, Refund, StateEvent

Row = TypeVar("Row", bound=Model)

ROWS_MAX = 300  # of each kind; an ordinary order has a handful


@dataclass(frozen=True, kw_only=True)
class OrderFile:
    order: Order
    payments: list[Payment]
    refunds: list[Refund]
    events: list[StateEvent]
    callbacks: list[Callback]
    entries: list[LedgerEntry]
    cases: list[Case]
    notifications: list[Notification]

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than are shown."""
        kinds = (self.payments, self.refunds, self.events, self.callbacks, self.entries, self.cases, self.notifications)
        return any(len(rows) >= ROWS_MAX for rows in kinds)


def read_order_file(order: Order) -> OrderFile:
    """The newest rows of each kind, at most ROWS_MAX, in the order in which they came."""
    refunds = _newest(order.refunds.order_by("-refund_no"))
    told = Notification.objects.filter(app_id=order.app_id, object_no__in=[order.pk, *(row.pk for row in refunds)])
    attempts = Prefetch("attempts", NotificationAttempt.objects.order_by("attempt_no"))
    postings = Prefetch("postings", Posting.objects.order_by("id"))
    return OrderFile(
        order=order,
        payments=_newest(order.payments.select_related("account").order_by("-payment_no")),
        refunds=refunds,
        events=_newest(order.events.order_by("-id")),
        callbacks=_newest(order.callbacks.defer("body").order_by("-id")),
        entries=_newest(order.ledger_entries.prefetch_related(postings).order_by("-id")),
        cases=_newest(order.cases.order_by("-id")),
        notifications=_newest(told.defer("data").prefetch_related(attempts).order_by("-id")),
    )


def _newest(rows: QuerySet[Row]) -> list[Row]:
    return list(reversed(rows[:ROWS_MAX]))
