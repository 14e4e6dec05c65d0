"""Sending again what was sent, held or given up: a person's or the merchant's own decision."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from openplatform.models import Notification
from openplatform.notifications.owing import hint_delivery

REPLAY_MAX = 1_000


class NotificationNotFound(LookupError):
    """There is no such notification, or it is another app's."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which notifications: every part that is given must fit. Times are half open: from <= created_at < until."""

    app_id: int | None = None
    status: str = ""
    event_type: str = ""
    created_from: datetime | None = None
    created_until: datetime | None = None

    def condition(self) -> Q:
        parts = {
            "app_id": self.app_id,
            "status": self.status,
            "event_type": self.event_type,
            "created_at__gte": self.created_from,
            "created_at__lt": self.created_until,
        }
        return Q(**{name: value for name, value in parts.items() if value not in {None, ""}})


def replay_one(*, app_id: int, notification_id: int, now: datetime) -> Notification:
    """Owe the app's own notification again, from now on. Raises NotificationNotFound."""
    with transaction.atomic():
        rows = Notification.objects.select_for_update().filter(pk=notification_id, app_id=app_id)
        notification = rows.first()
        if notification is None:
            raise NotificationNotFound
        _replay(notification, now=now)
    return notification


def replay_many(*, notification_ids: Iterable[int], now: datetime) -> int:
    """Owe these again. Returns how many."""
    return _replay_where(Q(pk__in=list(notification_ids)), now=now)


def replay_matching(*, matching: Filter, now: datetime) -> int:
    """Owe all that match again, the oldest first, at most REPLAY_MAX at once. Returns how many."""
    return _replay_where(matching.condition(), now=now)


def _replay_where(condition: Q, *, now: datetime) -> int:
    with transaction.atomic():
        rows = list(Notification.objects.select_for_update().filter(condition).order_by("pk")[:REPLAY_MAX])
        for notification in rows:
            _replay(notification, now=now)
    return len(rows)


def _replay(notification: Notification, *, now: datetime) -> None:
    notification.replay(now=now)
    hint_delivery(notification.pk)
