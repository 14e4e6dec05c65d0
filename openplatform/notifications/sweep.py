"""The guarantee: whatever is owed and due is found in the database and given to a worker again.

Of an app's rows no more are given out at once than it has places, the oldest first: one that does not answer cannot
fill the queue. Of a paused host it is one row, when its probe is due.
"""

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Window
from django.db.models.functions import RowNumber

from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.endpoint import probe_due
from openplatform.models.notification import NotificationStatus, in_hand, in_queue
from openplatform.notifications.foremost import foremost, free
from openplatform.notifications.turns import wake

BATCH_MAX = 500
PROBES_MAX = 100


def sweep_notifications(*, now: datetime) -> int:
    """Wake workers for what is due. Returns how many; stops when the broker does not take them.

    Two sweeps at once share the work: each skips the rows that the other has locked.
    """
    with transaction.atomic():
        found = [*_probes(now=now), *_due_rows(now=now)]
        Notification.remember_hints([row.pk for row in found], now=now)
    for done, row in enumerate(found):
        if not wake(row.pk, app_id=row.app_id):
            Notification.forget_hints([left.pk for left in found[done:]])
            return done
    return len(found)


def wake_next(*, app_id: int, now: datetime) -> bool:
    """An app's place is free: the oldest that is overdue takes it. Whether a worker was told."""
    if not settings.HINTS_ENABLED:
        return False
    with transaction.atomic():
        places = settings.NOTIFICATION_IN_FLIGHT_MAX
        row = _locked(foremost(now=now, places=places, limit=places, app_id=app_id), now=now).first()
        if row is None:
            return False
        Notification.remember_hints([row.pk], now=now)
    if not wake(row.pk, app_id=app_id):
        Notification.forget_hints([row.pk])
        return False
    return True


def _due_rows(*, now: datetime) -> list[Notification]:
    places = settings.NOTIFICATION_IN_FLIGHT_MAX
    rows = _locked(foremost(now=now, places=places, limit=BATCH_MAX), now=now)
    return _at_most(rows, taken=_given_out(now=now), places=places)


def _locked(wanted: list[int], *, now: datetime) -> QuerySet[Notification]:
    """Looked at again under the lock: a rival sweep may have given them out since."""
    rows = free(now=now).filter(pk__in=wanted, next_attempt_at__lte=now)
    return rows.select_for_update(skip_locked=True).order_by("next_attempt_at", "pk")


def _at_most(rows: Iterable[Notification], *, taken: dict[int, int], places: int) -> list[Notification]:
    """For each app as many as it has places left."""
    chosen = []
    for row in rows:
        if taken.get(row.app_id, 0) < places:
            taken[row.app_id] = taken.get(row.app_id, 0) + 1
            chosen.append(row)
    return chosen


def _given_out(*, now: datetime) -> dict[int, int]:
    """How many rows of each app a worker has, or was told of."""
    taken = in_hand(now=now) | in_queue(now=now)
    rows = Notification.objects.filter(taken, status=NotificationStatus.OWED).order_by()
    return dict(rows.values("app").annotate(count=Count("pk")).values_list("app", "count"))


def _probes(*, now: datetime) -> list[Notification]:
    """For each paused host whose probe is due, one of its rows, due or not: the one that has waited longest.

    Of an app no more than it has places: one with many dead hosts does not keep the others from their probes.
    """
    owed = free(now=now, app=OuterRef("app"), host=OuterRef("host"))
    turn = Window(RowNumber(), partition_by=F("app"), order_by=F("probe_at").asc())
    paused = NotifyEndpoint.objects.filter(probe_due(now=now), Exists(owed), paused_at__isnull=False)
    at_most = paused.annotate(turn=turn).filter(turn__lte=settings.NOTIFICATION_IN_FLIGHT_MAX)
    due = at_most.order_by("probe_at")[:PROBES_MAX]
    found = [
        free(now=now, app=endpoint.app_id, host=endpoint.host)
        .select_for_update(skip_locked=True).order_by("next_attempt_at").first()
        for endpoint in due
    ]  # fmt: skip
    return [row for row in found if row is not None]
