"""Telling whoever is on call.

1. Take what is due: each by itself, or all of it as one summary when more is due than may be sent in a minute.
2. Claim it by a lease: of any number of processes exactly one sends it.
3. POST it outside any transaction, under one total deadline.
4. Write down how it went. After a failure everything that is due waits together, and no alarm is made of it.

A process that dies in between leaves a lease that runs out, and it is told again: rather twice than never.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from opentelemetry.trace import SpanKind

from openplatform import transport
from openplatform.alarms.formats import Request, refusal_in, request_for
from openplatform.faults import fault_point
from openplatform.models import AlarmMessage
from openplatform.tracing import span

DEADLINE_S, CONNECT_S = 5.0, 3.0
BUDGET_S = 20.0  # a webhook that is slow is waited for again at the next look
ANSWER_BYTES_MAX = 4_096
SUMMED_UP_MAX = 200
# The waits after a failure; the last one repeats, for a day.
WAITS_S = (10, 10, 30, 60, 120, 300)
GIVEN_UP_AFTER = timedelta(hours=24)
MINUTE = timedelta(minutes=1)

Clock = Callable[[], datetime]
logger = logging.getLogger(__name__)


def deliver_due(*, clock: Clock) -> int:
    """Send what is due. Returns how many messages were delivered; stops at the first request that fails."""
    if not settings.ALARM_WEBHOOK_URL:
        return 0
    done = 0
    ends_at = time.monotonic() + BUDGET_S
    batches, is_summed_up = _batches(now=clock())
    for batch in batches:
        if time.monotonic() > ends_at:
            break
        with transaction.atomic():
            claimed = AlarmMessage.claim(batch, now=clock(), is_summed_up=is_summed_up)
        if claimed and not _tell(claimed, clock=clock):
            break
        done += len(claimed)
    return done


def _batches(*, now: datetime) -> tuple[list[list[int]], bool]:
    """The ids to send, one list for each request, and whether they are summed up. Nothing, when the last minute has had
    its share and a summary besides.
    """
    due = list(AlarmMessage.due(now=now).values_list("pk", flat=True)[:SUMMED_UP_MAX])
    singles, summed_up = AlarmMessage.sent_since(now - MINUTE)
    if len(due) + singles <= settings.ALARM_MESSAGES_PER_MINUTE:
        return [[message_id] for message_id in due], False
    return ([due] if due and not summed_up else []), True


def _tell(claimed: list[AlarmMessage], *, clock: Clock) -> bool:
    error = _post(request_for(claimed, now=clock()))
    fault_point("alarm.sent")
    with transaction.atomic():
        for row in AlarmMessage.lock_claimed(claimed):
            _note(row, error=error, now=clock())
        if error:
            AlarmMessage.wait_together(now=clock(), until=_again_at(claimed[0], now=clock()))
    if error:
        logger.warning("the webhook for alarms did not take a message: %s", error)
    return not error


def _note(row: AlarmMessage, *, error: str, now: datetime) -> None:
    if not error:
        row.deliver(now=now)
    elif now - row.created_at >= GIVEN_UP_AFTER:
        row.hold(error=error)
    else:
        row.retry(at=_again_at(row, now=now), error=error)


def _again_at(row: AlarmMessage, *, now: datetime) -> datetime:
    return now + timedelta(seconds=WAITS_S[min(row.attempts_count, len(WAITS_S)) - 1])


def _post(request: Request) -> str:
    """One word for why it was not taken, or "". The address holds a token: it is in no log, span or row."""
    with span("alarm.tell", kind=SpanKind.CLIENT):
        try:
            reply = transport.send(
                method="POST", url=request.url, headers=request.headers, body=request.body, deadline_s=DEADLINE_S,
                connect_s=CONNECT_S, bytes_max=ANSWER_BYTES_MAX, private_hosts=_own_host(request.url), is_excerpt=True,
            )  # fmt: skip
        except transport.TransportError as failure:
            return failure.reason
        except ValueError:
            return "address_not_usable"
    return refusal_in(reply.body) if 200 <= reply.status < 300 else str(reply.status)


def _own_host(url: str) -> frozenset[str]:
    """Whoever runs us has named it: it may well be inside our own network."""
    parts = urlsplit(url)
    return frozenset({f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"})
