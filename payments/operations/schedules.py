"""When to ask again. Values in seconds; the last one of a schedule repeats."""

import random
from datetime import datetime, timedelta

from django.conf import settings

# After an answer that did not count: soon, because somebody is waiting.
UNKNOWN_S: tuple[int, ...] = (2, 5, 15, 30, 60, 180, 600)
CLOSING_S: tuple[int, ...] = (5, 15, 60, 300, 600)
# While the payer stands at the till with a bar code on the phone.
AT_THE_TILL_S: tuple[int, ...] = (2, 3, 5)
AT_THE_TILL_FOR = timedelta(seconds=45)  # then the channel is told to reverse it, and the payer may try again
# A refusal, or a number that the channel does not know, may come too early or from somebody in between. It counts when
# it came this often in a row, over some minutes: longer than any request of ours can still be on its way.
EVIDENCE_COUNT = 3
EVIDENCE_S: tuple[int, ...] = (30, 150)
ABNORMAL_S: tuple[int, ...] = (86_400,)
# A bill that is not made yet, one whose download went wrong, and one that should have been there long ago.
BILL_NOT_READY_S: tuple[int, ...] = (1_800,)
BILL_UNKNOWN_S: tuple[int, ...] = (60, 300, 900, 1_800)
BILL_LATE_S: tuple[int, ...] = (21_600,)
RESOLVE_GRACE = timedelta(minutes=15)
_JITTER = random.SystemRandom()


def lease() -> timedelta:
    """How long a worker may be busy with one row: beyond the hard limit of its task, so that it is dead by then."""
    return timedelta(seconds=settings.TASK_HARD_LIMIT_S + 5)


def bill_lease() -> timedelta:
    """The same for a bill, whose task may take longer."""
    return timedelta(seconds=settings.BILL_TASK_HARD_LIMIT_S + 5)


def at_step(schedule_s: tuple[int, ...], *, step: int, now: datetime) -> datetime:
    """The time of check number `step` (from 0), with a tenth of jitter so that a backlog does not march in step."""
    wait_s = schedule_s[min(step, len(schedule_s) - 1)]
    return now + timedelta(seconds=wait_s * _JITTER.uniform(1, 1.1))


def resolve_by(expires_at: datetime) -> datetime:
    """By when an open order is decided: it is closed upstream when it expires, and the close is confirmed."""
    return expires_at + RESOLVE_GRACE
