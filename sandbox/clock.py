"""The sandbox's two clocks.

Business time is virtual and can be advanced: expiry, schedules, refunds. Signatures and request timestamps use the real
clock, because the other side checks them against its own; `clock_skew_s` makes that one wrong.
"""

import time
from datetime import UTC, datetime, timedelta, timezone

from sandbox import options, runtime

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")  # no daylight saving since 1991


def now() -> datetime:
    """Business time, aware."""
    return datetime.now(UTC) + timedelta(seconds=options.get("clock_offset_s"))


def advance(*, seconds: float) -> datetime:
    """Move business time forward and let the background look for what has become due."""
    options.put({"clock_offset_s": options.get("clock_offset_s") + seconds})
    runtime.wake.set()
    return now()


def advance_to(moment: datetime) -> datetime:
    """Move business time forward to `moment`; an earlier one changes nothing."""
    return advance(seconds=max(0.0, (moment - now()).total_seconds()))


def request_time() -> int:
    """Unix seconds against which a request's timestamp is checked, and with which an answer is signed."""
    return int(time.time() + options.get("clock_skew_s"))


def rfc3339(moment: datetime) -> str:
    """Beijing time with its offset, whole seconds, as every WeChat Pay body writes it."""
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")
