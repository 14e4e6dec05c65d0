"""One attempt to deliver one notification.

1. Claim the row by a lease: of any number of workers exactly one goes on.
2. Call the merchant's server outside any transaction, under one total deadline.
3. Write down how it went, and what follows from it.

A process that dies in between leaves a lease that runs out; the attempt counted, and the sweep finds the row again.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from opentelemetry.trace import SpanKind

from openplatform import notify_urls, transport
from openplatform.blocks.lists import current_lists
from openplatform.faults import fault_point
from openplatform.keys import signer
from openplatform.models import Notification, NotificationAttempt
from openplatform.models.notification import EXCERPT_LENGTH_MAX, NotificationStatus
from openplatform.notifications.message import build_body, build_headers
from openplatform.notifications.schedule import ATTEMPTS_MAX, wait_after
from openplatform.tracing import span

ANSWER_BYTES_MAX = 4_096
CONNECT_S = 3.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an attempt went: an HTTP status, or the one word that says why there is none."""

    status_code: int | None = None
    error: str = ""
    response_excerpt: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_gone(self) -> bool:
        return self.status_code == 410


def deliver_notification(*, notification_id: int, clock: Callable[[], datetime]) -> bool:
    """Make the attempt that is due, if it is and nobody else makes it. Whether it was delivered."""
    signer(now=clock())  # raises when we cannot sign: our own trouble must not use up a merchant's schedule
    claimed = Notification.claim(notification_id, now=clock())
    if claimed is None:
        return False
    if claimed.schedule_step > ATTEMPTS_MAX:  # its processes died at every attempt
        now = clock()
        record_outcome(claimed=claimed, outcome=Outcome(error="worker_lost"), attempted_at=now, duration_ms=0, now=now)
        return False
    attempted_at, started = clock(), time.monotonic()
    with span("notification.deliver", traceparent=claimed.traceparent, kind=SpanKind.CLIENT) as current:
        outcome = call_merchant(claimed, now=attempted_at)
        current.set_attribute("http.response.status_code", outcome.status_code or 0)
        current.set_attribute("fenpay.event_id", str(claimed.pk))
    fault_point("notification.sent")
    duration_ms = int((time.monotonic() - started) * 1000)
    record_outcome(claimed=claimed, outcome=outcome, attempted_at=attempted_at, duration_ms=duration_ms, now=clock())
    return outcome.is_delivered


def call_merchant(notification: Notification, *, now: datetime) -> Outcome:
    """POST it. Every way in which the merchant's server can misbehave is an outcome, none is an error."""
    if current_lists().blocks_host(notify_urls.host_of(notification.notify_url), now=now):
        return Outcome(error="host_blocked")
    body = build_body(notification)
    try:
        notify_urls.validate(notification.notify_url)
        reply = transport.send(
            method="POST",
            url=notification.notify_url,
            headers=build_headers(notification, body=body, now=now),
            body=body,
            deadline_s=settings.NOTIFICATION_TIMEOUT_S,
            connect_s=CONNECT_S,
            bytes_max=ANSWER_BYTES_MAX,
            private_hosts=notify_urls.private_hosts(),
        )
    except notify_urls.NotifyUrlRefused:
        return Outcome(error="url_refused")
    except transport.TransportError as error:
        return Outcome(error=error.reason)
    return Outcome(status_code=reply.status, response_excerpt=_excerpt(reply.body))


def record_outcome(
    *, claimed: Notification, outcome: Outcome, attempted_at: datetime, duration_ms: int, now: datetime
) -> None:
    """Write the attempt down and move on: delivered, gone, again later, or held when the schedule is used up."""
    with transaction.atomic():
        row = Notification.objects.select_for_update().get(pk=claimed.pk)
        NotificationAttempt.record(
            claimed=claimed,
            attempted_at=attempted_at,
            duration_ms=duration_ms,
            status_code=outcome.status_code,
            error=outcome.error,
            response_excerpt=outcome.response_excerpt,
        )
        if outcome.is_delivered:
            row.deliver(now=now)
        elif row.status != NotificationStatus.OWED or not row.is_mine_after(claimed):
            return  # our lease ran out and somebody else was or is at it: what they find out counts
        elif outcome.is_gone:
            row.stop()
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


def _excerpt(body: bytes) -> str:
    """A merchant's answer is shown to operators: as text, short, and nothing that a database would refuse."""
    return body[:EXCERPT_LENGTH_MAX].decode("utf-8", "replace").replace("\x00", "")
