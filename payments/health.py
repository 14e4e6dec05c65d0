"""How the work is going, in one value: what is due, what is not known, and who is there to do it.

The database is the truth; broker and store are asked as well and may be away. Each part is read by itself, in bounded
time, so that the rest is known while one of them is on fire: a part that could not be read is None.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Count, Exists, Min, OuterRef, QuerySet

from idgen.errors import IdgenUnavailable
from idgen.leases.base import StoreDown as LeaseStoreDown
from idgen.status import Overview, overview
from idgen.stores import store_from_settings
from openplatform.breaker import OpenBreaker, open_breakers
from openplatform.broker import BrokerLook, look_at_broker
from openplatform.heartbeats import Signs, common_queues, read_signs
from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.notification import NotificationStatus, told_host
from openplatform.store import StoreDown
from payments.channels.registry import CHANNELS, queue_of
from payments.models import ChannelAccount, Payment, Refund
from payments.states import PaymentStatus, RefundStatus

PART_TIMEOUT_MS = 1_000
COUNTED_MAX = 10_000  # nobody needs to know how much more than this it is, and counting on would cost more and more
# Unknown for less than this many seconds; what is older is in the last bucket.
AGE_BUCKETS_S = (60, 600, 3_600, 86_400)

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Due:
    """Work whose time has come. `count` stops at COUNTED_MAX; `late_s` is how late the oldest of it is."""

    count: int = 0
    late_s: int = 0


@dataclass(frozen=True, kw_only=True)
class Aged:
    """Rows whose result is not known: how many in each bucket of age, young ones first, and the age of the oldest."""

    counts: tuple[int, ...] = (0,) * (len(AGE_BUCKETS_S) + 1)
    oldest_s: int = 0

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, kw_only=True)
class ChannelFigures:
    """One channel. `is_used`: some account of it is switched on."""

    name: str
    is_used: bool
    payments: Due
    refunds: Due
    rechecks: Due
    unknown_payments: Aged
    unknown_refunds: Aged

    @property
    def queue(self) -> str:
        return queue_of(self.name)


@dataclass(frozen=True, kw_only=True)
class NotificationFigures:
    """`paused` are due at a host that does not answer, and wait for it on purpose."""

    due: Due
    paused_count: int
    held_count: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All that is known. None: that part could not be read."""

    at: datetime
    channels: list[ChannelFigures] | None
    notifications: NotificationFigures | None
    signs: Signs | None
    broker: BrokerLook
    breakers: list[OpenBreaker] | None
    numbers: Overview | None

    @property
    def queues(self) -> list[str]:
        """The queues that somebody must work on."""
        used = [channel.queue for channel in self.channels or () if channel.is_used]
        return [*common_queues(), *used]


def read_figures(*, now: datetime) -> Figures:
    """Ask everybody. Raises nothing; takes some tens of milliseconds, and some seconds at worst."""
    database = _Database()
    return Figures(
        at=now,
        channels=database.read(lambda: _channels(now=now)),
        notifications=database.read(lambda: _notifications(now=now)),
        signs=database.read(read_signs),
        broker=look_at_broker([*common_queues(), *(queue_of(name) for name in CHANNELS)]),
        breakers=_breakers(),
        numbers=None if database.is_gone else _numbers(now=now),
    )


class _Database:
    """Each part in a transaction of its own that gives up after a second. One that is gone is not asked again."""

    is_gone = False

    def read(self, part: Callable[[], T]) -> T | None:
        if self.is_gone:
            return None
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = {PART_TIMEOUT_MS}")
                return part()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("a part of the figures could not be read: %s", type(error).__name__)
            self.is_gone = not connection.is_usable()
            return None


def _breakers() -> list[OpenBreaker] | None:
    try:
        return open_breakers()
    except StoreDown:
        return None


def _numbers(*, now: datetime) -> Overview | None:
    try:
        return overview(store_from_settings(), now_ms=int(now.timestamp() * 1000))
    except (LeaseStoreDown, IdgenUnavailable) as error:
        logger.warning("the leases of worker ids could not be read: %s", type(error).__name__)
        return None


def _channels(*, now: datetime) -> list[ChannelFigures]:
    """Each channel that we speak. Payments are counted for each by itself: one that hangs hides no other."""
    used = set(ChannelAccount.objects.filter(is_active=True).values_list("channel", flat=True).distinct())
    refunds = _due_by_channel(Refund.objects.filter(next_check_at__lte=now), at="next_check_at", now=now)
    rechecks = _due_by_channel(Payment.objects.filter(recheck_at__lte=now), at="recheck_at", now=now)
    unknown_refunds = _ages_by_channel(Refund.objects.filter(status=RefundStatus.UNKNOWN), now=now)
    return [
        ChannelFigures(
            name=name,
            is_used=name in used,
            payments=_due(Payment.objects.filter(channel=name, next_check_at__lte=now), at="next_check_at", now=now),
            refunds=refunds.get(name, Due()),
            rechecks=rechecks.get(name, Due()),
            unknown_payments=_ages(
                _oldest(Payment.objects.filter(channel=name, status=PaymentStatus.UNKNOWN)), now=now
            ),
            unknown_refunds=unknown_refunds.get(name, Aged()),
        )
        for name in CHANNELS
    ]


def _notifications(*, now: datetime) -> NotificationFigures:
    owed = Notification.objects.filter(status=NotificationStatus.OWED, next_attempt_at__lte=now)
    paused = NotifyEndpoint.objects.filter(paused_at__isnull=False)
    here = paused.filter(app=OuterRef("app"), host=told_host(OuterRef("notify_url")))
    held = Notification.objects.filter(status=NotificationStatus.HELD)
    return NotificationFigures(
        due=_due(owed.filter(~Exists(here)), at="next_attempt_at", now=now),
        paused_count=owed.filter(Exists(here))[:COUNTED_MAX].count() if paused.exists() else 0,
        held_count=held[:COUNTED_MAX].count(),
    )


# Each of these walks an index from its oldest entry, and no further than COUNTED_MAX.


def _due(rows: QuerySet[Any], *, at: str, now: datetime) -> Due:
    found = rows.order_by(at)[:COUNTED_MAX].aggregate(count=Count("pk"), oldest_at=Min(at))
    return Due(count=found["count"], late_s=_seconds_since(found["oldest_at"], now=now))


def _due_by_channel(rows: QuerySet[Any], *, at: str, now: datetime) -> dict[str, Due]:
    path = "channel" if rows.model is Payment else "payment__channel"
    times: dict[str, list[datetime]] = {}
    for channel, due_at in rows.order_by(at).values_list(path, at)[:COUNTED_MAX]:
        times.setdefault(channel, []).append(due_at)
    return {name: Due(count=len(found), late_s=_seconds_since(found[0], now=now)) for name, found in times.items()}


def _oldest(payments: QuerySet[Payment]) -> Iterable[datetime]:
    return payments.order_by("created_at").values_list("created_at", flat=True)[:COUNTED_MAX]


def _ages_by_channel(refunds: QuerySet[Refund], *, now: datetime) -> dict[str, Aged]:
    times: dict[str, list[datetime]] = {}
    for channel, created_at in refunds.order_by("created_at").values_list("payment__channel", "created_at")[
        :COUNTED_MAX
    ]:
        times.setdefault(channel, []).append(created_at)
    return {name: _ages(found, now=now) for name, found in times.items()}


def _ages(times: Iterable[datetime], *, now: datetime) -> Aged:
    counts, oldest_s = [0] * (len(AGE_BUCKETS_S) + 1), 0
    for created_at in times:
        age_s = _seconds_since(created_at, now=now)
        counts[bisect_right(AGE_BUCKETS_S, age_s)] += 1
        oldest_s = max(oldest_s, age_s)
    return Aged(counts=tuple(counts), oldest_s=oldest_s)


def _seconds_since(at: datetime | None, *, now: datetime) -> int:
    return 0 if at is None else max(0, int((now - at).total_seconds()))
