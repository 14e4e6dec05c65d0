"""The guarantee: whatever is owed and due is found in the database and given to a worker again.

Of an app's rows no more are given out at once than it has places, the oldest first: one that does not answer cannot
fill the queue. Of a paused host it is one row, when its probe is due.
"""

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from openplatform.models import Notification, NotifyEndpoint
from openplatform.models.notification import HINT_AGAIN_AFTER, NotificationStatus
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
        row = _waiting(now=now).filter(app_id=app_id).select_for_update(skip_locked=True).order_by("pk").first()
        if row is None:
            return False
        Notification.remember_hints([row.pk], now=now)
    if not wake(row.pk, app_id=app_id):
        Notification.forget_hints([row.pk])
        return False
    return True


def _due_rows(*, now: datetime) -> list[Notification]:
    places = settings.NOTIFICATION_IN_FLIGHT_MAX
    turn = Window(RowNumber(), partition_by=F("app"), order_by=F("pk").asc())
    foremost = _waiting(now=now).annotate(turn=turn).filter(turn__lte=places).order_by("next_attempt_at")
    wanted = list(foremost.values_list("pk", flat=True)[:BATCH_MAX])
    # Looked at again under the lock: a rival sweep may have given them out since.
    rows = _waiting(now=now).filter(pk__in=wanted).select_for_update(skip_locked=True).order_by("pk")
    return _at_most(rows, taken=_given_out(now=now), places=places)


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
    taken = Q(lease_until__gte=now) | Q(hinted_at__gte=now - HINT_AGAIN_AFTER)
    rows = Notification.objects.filter(taken, status=NotificationStatus.OWED).order_by()
    return dict(rows.values("app").annotate(count=Count("pk")).values_list("app", "count"))


def _free(*, now: datetime) -> QuerySet[Notification]:
    """Owed, in nobody's hands, and nobody was woken for it a moment ago."""
    return Notification.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=now),
        Q(hinted_at=None) | Q(hinted_at__lt=now - HINT_AGAIN_AFTER),
        status=NotificationStatus.OWED,
    )


def _waiting(*, now: datetime) -> QuerySet[Notification]:
    """Due, at a host that is not paused."""
    paused = NotifyEndpoint.objects.filter(app=OuterRef("app"), host=OuterRef("notify_host"), paused_at__isnull=False)
    return _free(now=now).filter(~Exists(paused), next_attempt_at__lte=now)


def _probes(*, now: datetime) -> list[Notification]:
    """For each paused host whose probe is due, one of its rows, due or not: the one that has waited longest.

    Of an app no more than it has places: one with many dead hosts does not keep the others from their probes.
    """
    owed = _free(now=now).filter(app=OuterRef("app"), notify_host=OuterRef("host"))
    turn = Window(RowNumber(), partition_by=F("app"), order_by=F("probe_at").asc())
    paused = NotifyEndpoint.objects.filter(Exists(owed), paused_at__isnull=False, probe_at__lte=now)
    foremost = paused.annotate(turn=turn).filter(turn__lte=settings.NOTIFICATION_IN_FLIGHT_MAX)
    due = foremost.order_by("probe_at")[:PROBES_MAX]
    found = [
        _free(now=now).filter(app=endpoint.app_id, notify_host=endpoint.host)
        .select_for_update(skip_locked=True).order_by("next_attempt_at").first()
        for endpoint in due
    ]  # fmt: skip
    return [row for row in found if row is not None]
