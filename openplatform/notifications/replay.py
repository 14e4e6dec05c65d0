"""Sending again what was sent, held or given up: a person's or the merchant's own decision.

One goes out at once. Of many, the sweep gives out a few at a time (turns.py): a thousand are a stream, not a flood. Of
more than that each question takes a part, and says where the next one begins.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.notification import NotificationStatus
from openplatform.notifications import cursors
from openplatform.notifications.cursors import Place
from openplatform.notifications.owing import hint_delivery
from openplatform.notifications.queries import NotificationNotFound, own_notification

REPLAY_MAX = 1_000
CHOSEN_MAX = 20_000  # of those that an operator chose, in one answer
# Whoever has not heard our first answer asks again within this time, without a cursor.
ASKED_AGAIN_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How many are owed again, and with which cursor the same question goes on; None when all that match are."""

    count: int
    next_cursor: str | None = None


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


def replay_matching(*, matching: Filter, now: datetime, cursor: str = "") -> Replayed:
    """Owe all that match again, the oldest first, at most REPLAY_MAX at once. Raises CursorUnknown.

    With the cursor of each answer for the next question, each of any number is owed again once: also when an answer is
    lost and the question asked again, and although some of the first are delivered while the last are still to come.
    What is newer than the first question is left out.
    """
    about = repr(matching)
    place = cursors.read(cursor, about=about) if cursor else Place(since=now - ASKED_AGAIN_WITHIN)
    asked_at = place.since + ASKED_AGAIN_WITHIN
    matches = Notification.objects.filter(matching.condition(), created_at__lte=asked_at)
    count, following = _replay_part(matches, place=place, now=now)
    next_cursor = cursors.write(following, about=about) if following else None
    return Replayed(count=count, next_cursor=next_cursor)


def replay_chosen(*, chosen: QuerySet[Notification], now: datetime) -> tuple[int, Notification | None]:
    """Owe these again, the oldest first, CHOSEN_MAX at most. How many, and the last one if there are more."""
    place: Place | None = Place(since=now)  # whoever presses the button again means it
    count = 0
    matches = Notification.objects.filter(pk__in=chosen.order_by().values("pk"))
    while place is not None and count < CHOSEN_MAX:
        more, place = _replay_part(matches, place=place, now=now)
        count += more
    return count, None if place is None else Notification.objects.get(pk=place.after)


def _replay_part(matches: QuerySet[Notification], *, place: Place, now: datetime) -> tuple[int, Place | None]:
    """How many were owed again, and the place after them; None when these were the last.

    What is at the beginning of its schedule is left out too.
    """
    at_the_beginning = Q(status=NotificationStatus.OWED, schedule_step=0)
    sent_again = Q(replayed_at__gte=place.since)
    with transaction.atomic():
        rows = matches.select_for_update().filter(pk__gt=place.after).exclude(at_the_beginning).exclude(sent_again)
        found = list(rows.order_by("pk")[: REPLAY_MAX + 1])
        replayed = found[:REPLAY_MAX]
        Notification.replay_all([row.pk for row in replayed], now=now)
    _probe_hosts(replayed, now=now)
    has_more = len(found) > REPLAY_MAX
    return len(replayed), replace(place, after=replayed[-1].pk) if has_more else None


def _probe_hosts(replayed: list[Notification], *, now: datetime) -> None:
    for app_id in {row.app_id for row in replayed}:
        hosts = {row.notify_host for row in replayed if row.app_id == app_id}
        NotifyEndpoint.probe_soon(now=now, app_id=app_id, host__in=hosts)
