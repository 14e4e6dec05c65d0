"""The channels' days: from midnight to midnight in Beijing, whatever our own clocks show."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

BEIJING: Final = ZoneInfo("Asia/Shanghai")  # where their clocks are


def day_of(moment: datetime) -> date:
    """The day on which a moment falls."""
    return moment.astimezone(BEIJING).date()


def day_bounds(first: date, *, days: int = 1) -> tuple[datetime, datetime]:
    """From when to when (not included) these days last, in UTC."""
    ends = (datetime.combine(one, time.min, BEIJING) for one in (first, first + timedelta(days=days)))
    start, after = (end.astimezone(UTC) for end in ends)
    return start, after


def days_between(first: date, last: date) -> list[date]:
    """Both included."""
    return [first + timedelta(days=more) for more in range((last - first).days + 1)]
