"""One attempt to deliver one notification.

1. Claim the row by a lease: of any number of workers exactly one goes on, and no app has more than its places.
2. Call the merchant's server outside any transaction, under one total deadline.
3. Write down how it went, and what follows from it for the row and for the host.
4. Give the place to the next that is overdue.

A process that dies in between leaves a lease that runs out; the attempt counted, and the sweep finds the row again. A
failure of ours is not the merchant's: what the attempt took is given back (troubles.py).
"""

import logging
import random
import time
from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from opentelemetry.trace import SpanKind

from openplatform.faults import fault_point
from openplatform.models import Notification, NotificationAttempt
from openplatform.models.notification import AttemptKind, NotificationStatus
from openplatform.notifications import health, sign_tests, troubles
from openplatform.notifications.message import message_for
from openplatform.notifications.schedule import ATTEMPTS_MAX, wait_after
from openplatform.notifications.sending import Outcome, post
from openplatform.notifications.sweep import wake_next
from openplatform.notifications.turns import claim
from openplatform.tracing import span

Clock = Callable[[], datetime]
logger = logging.getLogger(__name__)


def deliver_notification(*, notification_id: int, clock: Clock) -> bool:
    """Make the attempt that is due, if it is and nobody else makes it. Whether it was delivered."""
    claimed = claim(notification_id, now=clock())
    if claimed is None:
        return False
    fault_point("notification.claimed")
    try:
        is_delivered = _attempt(claimed, clock=clock)
        fault_point("notification.recorded")
        if is_delivered:
            sign_tests.test_if_due(claimed, clock=clock)
    finally:
        wake_next(app_id=claimed.app_id, now=clock())
    return is_delivered


def _attempt(claimed: Notification, *, clock: Clock) -> bool:
    """Make it and write it down. Whether the merchant took it."""
    try:
        return _make_attempt(claimed, clock=clock).is_delivered
    except Exception as error:  # noqa: BLE001 - whatever it is, it is ours: how merchants fail is an outcome
        troubles.note(claimed, error=error, now=clock())
        return False


def _make_attempt(claimed: Notification, *, clock: Clock) -> Outcome:
    attempted_at, started = clock(), time.monotonic()
    if claimed.schedule_step > ATTEMPTS_MAX:  # its processes died at every attempt
        outcome = Outcome(error="worker_lost")
    else:
        outcome = call_merchant(claimed, now=attempted_at)
    fault_point("notification.sent")
    duration_ms = int((time.monotonic() - started) * 1000)
    record_outcome(claimed=claimed, outcome=outcome, attempted_at=attempted_at, duration_ms=duration_ms, now=clock())
    return outcome


def call_merchant(notification: Notification, *, now: datetime) -> Outcome:
    with span("notification.deliver", traceparent=notification.traceparent, kind=SpanKind.CLIENT) as current:
        message = message_for(notification, now=now)
        outcome = post(message, app_id=notification.app_id, url=notification.notify_url, now=now)
        current.set_attribute("http.response.status_code", outcome.status_code or 0)
        current.set_attribute("fenpay.event_id", str(notification.pk))
    return outcome


def record_outcome(
    *, claimed: Notification, outcome: Outcome, attempted_at: datetime, duration_ms: int, now: datetime
) -> None:
    """Write the attempt down and move on: delivered, gone, again later, or held when the schedule is used up."""
    with transaction.atomic():
        has_recovered = health.note(claimed, outcome=outcome, now=now)
        row = Notification.objects.select_for_update().get(pk=claimed.pk)
        NotificationAttempt.record(
            claimed=claimed,
            attempted_at=attempted_at,
            duration_ms=duration_ms,
            status_code=outcome.status_code,
            error=outcome.error,
            response_excerpt=outcome.response_excerpt,
        )
        troubles.note_end(claimed, now=now)
        _move_on(row, claimed=claimed, outcome=outcome, now=now)
    if has_recovered:
        # In a statement of its own: that it was delivered stands, even if this takes too long.
        Notification.bring_forward(app_id=claimed.app_id, host=claimed.notify_host, now=now)


def _move_on(row: Notification, *, claimed: Notification, outcome: Outcome, now: datetime) -> None:
    if outcome.is_delivered:
        row.deliver(now=now)
    elif row.status != NotificationStatus.OWED or not row.is_mine_after(claimed):
        return  # our lease ran out and somebody else was or is at it: what they find out counts
    elif outcome.is_gone:
        row.stop()
    elif claimed.attempt_kind == AttemptKind.PROBE:
        row.retry(at=now)  # to the end of the queue, on the same step: the next probe takes another one
    else:
        _retry_or_hold(row, now=now)


def _retry_or_hold(row: Notification, *, now: datetime) -> None:
    wait = wait_after(row.schedule_step, jitter=random.random()) if row.schedule_step else None  # noqa: S311 - not a secret
    if row.schedule_step == 0:  # replayed while we were at it: due since then
        row.retry(at=now)
    elif wait is not None:
        row.retry(at=now + wait)
    else:
        row.hold()
        logger.error("notification %s is held: %s attempts failed", row.pk, row.attempts_count)
