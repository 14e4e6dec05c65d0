"""Whose turn it is: no app may take more than its places, and a host that does not answer is left alone.

The order of locks is app, endpoint, notification.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from openplatform.hints import send_now
from openplatform.limits.pacing import Pace, QueueFull, reserve
from openplatform.models import App, Notification, NotifyEndpoint
from openplatform.models.notification import AttemptKind, NotificationStatus
from openplatform.notifications.owing import QUEUE, TASK
from openplatform.notifications.schedule import wait_after

PACE_WAIT_MAX_S = 20.0  # below HINT_AGAIN_AFTER: nobody else is woken for a row that has its turn


def claim(notification_id: int, *, now: datetime) -> Notification | None:
    """Take the row for one attempt; None when it is not due, in other hands, or it is not its turn.

    Of a paused host the attempt is a probe, and only one is due at a time.
    """
    wanted = Notification.objects.filter(pk=notification_id, status=NotificationStatus.OWED)
    found = wanted.only("app_id", "notify_url", "schedule_step").first()
    if found is None:
        return None
    with transaction.atomic():
        claimed = _claim(found, now=now)
        if claimed is None:
            Notification.forget_hints([notification_id])  # whoever comes next need not wait until it is forgotten
    return claimed


def _claim(found: Notification, *, now: datetime) -> Notification | None:
    App.lock_delivery(found.app_id)
    if Notification.in_flight_count(app_id=found.app_id, now=now) >= settings.NOTIFICATION_IN_FLIGHT_MAX:
        return None
    endpoint = NotifyEndpoint.lock(app_id=found.app_id, host=found.notify_host)
    if endpoint is None or not endpoint.is_paused:
        # Whoever takes it may die over it, each time: then it goes by the schedule as if the attempts had failed.
        wait = wait_after(found.schedule_step + 1, jitter=0)
        return Notification.claim(found.pk, now=now, again_at=now + wait if wait else None)
    if not endpoint.may_probe(now=now):
        return None
    probe = Notification.claim(found.pk, now=now, kind=AttemptKind.PROBE)
    if probe is not None:
        endpoint.take_probe(now=now, probe_wait=probe_wait())
    return probe


def probe_wait() -> timedelta:
    return timedelta(seconds=settings.NOTIFICATION_PROBE_S)


def wake(notification_id: int, *, app_id: int) -> bool:
    """Let a worker try it at this app's pace: what has piled up goes out evenly. False when the broker is away."""
    pace = Pace(calls=settings.NOTIFICATION_CATCH_UP_PER_S, period_s=1.0, wait_max_s=PACE_WAIT_MAX_S)
    try:
        wait_s = reserve(f"notifications:{app_id}", pace)
    except QueueFull:
        wait_s = PACE_WAIT_MAX_S
    return send_now(TASK, queue=QUEUE, delay_s=wait_s, notification_id=notification_id)
