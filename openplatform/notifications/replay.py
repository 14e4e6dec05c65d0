"""Sending again what was sent, held or given up: a person's or the merchant's own decision.

One goes out at once. Of many, the sweep gives out a few at a time (turns.py): a thousand are a stream, not a flood.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.notification import NotificationStatus
from openplatform.notifications.owing import hint_delivery
from openplatform.notifications.queries import NotificationNotFound, own_notification

REPLAY_MAX = 1_000


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How many are owed again, and whether more match: the same question again goes on with those."""

    count: int
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which notifications: every part that is given must fit. Times are half open: from <= created_at < until."""

    app_id: int | None = None
    status: str = ""
    event_type: str = ""
    object_no: int | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None

    def condition(self) -> Q:
        parts = {
            "app_id": self.app_id,
            "status": self.status,
            "event_type": self.event_type,
            "object_no": self.object_no,
            "created_at__gte": self.created_from,
            "created_at__lt": self.created_until,
        }
        return Q(**{name: value for name, value in parts.items() if value not in {None, ""}})


def replay_one(*, app_id: int, notification_id: int, now: datetime) -> Notification:
    """Owe the app's own notification again, from now on. Raises NotificationNotFound.

    Whoever asks for this believes that its server is well: a paused host is probed now.
    """
    with transaction.atomic():
        rows = Notification.objects.select_for_update().filter(pk=notification_id, app_id=app_id)
        notification = rows.first()
        if notification is None:
            raise NotificationNotFound
        notification.replay(now=now)
        hint_delivery(notification.pk)
    NotifyEndpoint.probe_soon(now=now, app_id=app_id, host__in=[notification.notify_host])
    return own_notification(app_id=app_id, notification_id=notification_id)[0]


def replay_many(*, notification_ids: Iterable[int], now: datetime) -> Replayed:
    """Owe these again."""
    return _replay_where(Q(pk__in=notification_ids), now=now)


def replay_matching(*, matching: Filter, now: datetime) -> Replayed:
    """Owe all that match again, the oldest first, at most REPLAY_MAX at once."""
    return _replay_where(matching.condition(), now=now)


def _replay_where(condition: Q, *, now: datetime) -> Replayed:
    """What is at the beginning of its schedule already is left out: so a repeated question goes on with the rest."""
    at_the_beginning = Q(status=NotificationStatus.OWED, schedule_step=0)
    with transaction.atomic():
        rows = Notification.objects.select_for_update().filter(condition).exclude(at_the_beginning).order_by("pk")
        found = list(rows[: REPLAY_MAX + 1])
        replayed = found[:REPLAY_MAX]
        Notification.replay_all([row.pk for row in replayed], now=now)
    for app_id in {row.app_id for row in replayed}:
        hosts = {row.notify_host for row in replayed if row.app_id == app_id}
        NotifyEndpoint.probe_soon(now=now, app_id=app_id, host__in=hosts)
    return Replayed(count=len(replayed), has_more=len(found) > REPLAY_MAX)
