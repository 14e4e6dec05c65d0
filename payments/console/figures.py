"""The numbers of the first page, by a handful of queries that each have an index."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from openplatform.models import Alarm, Notification
from openplatform.models.notification import NotificationStatus
from payments.models import Case, LedgerEntry, Order, Payment, Refund
from payments.states import PaymentStatus, RefundStatus

DAYS = 14
FULL = 100  # the tallest bar, in per cent


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """How many rows wait, and since when the oldest of them does."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Day:
    """Money of one day in the console's time zone, from the ledger. Heights are per cent of the tallest bar."""

    day: date
    paid_count: int
    paid_fen: int
    refunded_count: int
    refunded_fen: int
    paid_height: int = 0
    refunded_height: int = 0


@dataclass(frozen=True, kw_only=True)
class Figures:
    created_count: int
    days: list[Day]  # oldest first; the last one is today
    unknown_payments: Waiting
    unknown_refunds: Waiting
    open_cases: Waiting
    held_count: int
    open_alarms: Waiting
    owed: Waiting  # notifications; `oldest_at` is when the most overdue one should have been sent

    @property
    def today(self) -> Day:
        return self.days[-1]


def read_figures(*, now: datetime) -> Figures:
    """What happened today and what waits, as of `now`."""
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    notifications = Notification.objects.filter(status=NotificationStatus.OWED)
    return Figures(
        created_count=Order.objects.filter(created_at__gte=midnight).count(),
        days=read_days(midnight=midnight),
        unknown_payments=_waiting(_open(Payment).filter(status=PaymentStatus.UNKNOWN), since="created_at"),
        unknown_refunds=_waiting(_open(Refund).filter(status=RefundStatus.UNKNOWN), since="created_at"),
        open_cases=_waiting(Case.objects.filter(status=Case.Status.OPEN), since="opened_at"),
        open_alarms=_waiting(Alarm.objects.filter(closed_at=None), since="opened_at"),
        held_count=Notification.objects.filter(status=NotificationStatus.HELD).count(),
        owed=_waiting(notifications, since="next_attempt_at"),
    )


def open_cases_count() -> int:
    return Case.objects.filter(status=Case.Status.OPEN).count()


def _open(rows: type[Payment] | type[Refund]) -> QuerySet[Any]:
    """Rows that somebody will ask about: a small part of the table, with an index of its own."""
    return rows.objects.filter(next_check_at__isnull=False)


def _waiting(rows: QuerySet[Any], *, since: str) -> Waiting:
    found = rows.aggregate(count=Count("pk"), oldest_at=Min(since))
    return Waiting(count=found["count"], oldest_at=found["oldest_at"])


def read_days(*, midnight: datetime) -> list[Day]:
    """The money of the last days, today's last; a day without any is there too."""
    first = midnight - timedelta(days=DAYS - 1)
    rows = (
        LedgerEntry.objects.filter(created_at__gte=first)
        .annotate(day=TruncDate("created_at"))
        .values("day", "kind")
        .annotate(
            entries=Count("pk", distinct=True), fen=Sum("postings__amount_fen", filter=Q(postings__amount_fen__gt=0))
        )
    )
    found = {(row["day"], row["kind"]): (row["entries"], row["fen"]) for row in rows}
    dates = [(first + timedelta(days=number)).date() for number in range(DAYS)]
    return _with_heights([_day(day, found) for day in dates])


def _day(day: date, found: dict[tuple[date, str], tuple[int, int]]) -> Day:
    paid_count, paid_fen = found.get((day, LedgerEntry.Kind.PAYMENT), (0, 0))
    refunded_count, refunded_fen = found.get((day, LedgerEntry.Kind.REFUND), (0, 0))
    return Day(
        day=day, paid_count=paid_count, paid_fen=paid_fen, refunded_count=refunded_count, refunded_fen=refunded_fen
    )


def _with_heights(days: list[Day]) -> list[Day]:
    tallest = max(chain.from_iterable((day.paid_fen, day.refunded_fen) for day in days)) or 1
    return [
        replace(day, paid_height=_height(day.paid_fen, tallest), refunded_height=_height(day.refunded_fen, tallest))
        for day in days
    ]


def _height(fen: int, tallest: int) -> int:
    """Per cent of the tallest bar, in integers; the smallest amount is still seen."""
    return max(1, FULL * fen // tallest) if fen else 0
